"""Keep out who does not belong: hosts, pages, tokens, bodies, headers, errors. See docs/security.md."""

from engine.server.security.access import identity_of, may, owner_of
from engine.server.security.bodies import read_bytes, read_json
from engine.server.security.content_types import body_is_taken
from engine.server.security.guard import Guard
from engine.server.security.launch import make_guard, say_how_to_get_in
from engine.server.security.logs import clean_logs
from engine.server.security.multipart import Form, Part, read_form
from engine.server.security.policy import Limits, Policy, make_policy
from engine.server.security.roles import ROUTE_ROLES, routes_without_role
from engine.server.security.serving import bytes_answer, file_answer
from engine.server.security.tls import tls_context
from engine.server.security.tokens import Role, token_file

__all__ = [
    "ROUTE_ROLES",
    "Form",
    "Guard",
    "Limits",
    "Part",
    "Policy",
    "Role",
    "body_is_taken",
    "bytes_answer",
    "clean_logs",
    "file_answer",
    "identity_of",
    "make_guard",
    "make_policy",
    "may",
    "owner_of",
    "read_bytes",
    "read_form",
    "read_json",
    "routes_without_role",
    "say_how_to_get_in",
    "tls_context",
    "token_file",
]
