"""What handlers share: one `ServerState` for each application, and the shapes of their answers."""

from __future__ import annotations

import dataclasses
import json
import re
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from aiohttp import web

from engine.errors import DocumentError, SafelightError
from engine.graph.strict_json import parse_text
from engine.jobs.supervisor import Supervisor
from engine.paths import Folders
from engine.server.catalogue import Catalogue
from engine.server.console import Console
from engine.server.desk import Desk
from engine.server.forecasts import Forecaster
from engine.server.hub import Hub
from engine.server.options import ServerOptions
from engine.server.plans import Planning
from engine.server.store import Store
from engine.server.user_files import UserFiles
from engine.server.versions import Versions
from engine.server.webhooks import Webhooks
from engine.settings import Settings

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclasses.dataclass(frozen=True, slots=True)
class ServerState:
    """Everything that a handler may need."""

    options: ServerOptions
    settings: Settings
    folders: Folders
    catalogue: Catalogue
    store: Store
    hub: Hub
    desk: Desk
    supervisor: Supervisor
    console: Console
    user_files: UserFiles
    webhooks: Webhooks
    forecaster: Forecaster
    versions: Versions
    planning: Planning
    began: float = dataclasses.field(default_factory=time.time)


STATE: web.AppKey[ServerState] = web.AppKey("state", ServerState)


@dataclasses.dataclass(frozen=True, slots=True)
class Route:
    """One route: what answers it, and what the API's description says of it.

    ``query`` maps names of query parameters to what they mean; ``body`` is the JSON schema of the request's body
    (``multipart`` where it is a form); ``answers`` maps status codes to what they mean; ``kind`` is the media type of
    the answer, "" where it is empty. ``twin`` routes are also there below ``/api``.
    """

    method: str
    path: str
    handler: Handler
    summary: str
    query: Mapping[str, str] = dataclasses.field(default_factory=dict)
    body: Mapping[str, Any] | None = None
    multipart: bool = False
    answers: Mapping[int, str] = dataclasses.field(default_factory=dict)
    kind: str = "application/json"
    twin: bool = True

    @property
    def template(self) -> str:
        """The path with nothing but names in braces."""
        return re.sub(r"{(\w+):[^{}]*}", r"{\1}", self.path)


def state_of(request: web.Request) -> ServerState:
    """Return the state that belongs to a request's application."""
    return request.config_dict[STATE]


def answer_json(value: Any, status: int = 200) -> web.Response:
    """Answer with a value as JSON."""
    return answer_text(json.dumps(value), status)


def answer_text(text: str, status: int = 200) -> web.Response:
    """Answer with JSON that is text already."""
    return web.Response(body=text.encode(), status=status, content_type="application/json", charset="utf-8")


def answer_error(status: int, kind: str, message: str, details: str = "", **extra: Any) -> web.Response:
    """Answer with an error in the ecosystem's form."""
    error = {"type": kind, "message": message, "details": details, "extra_info": extra}
    return answer_json({"error": error, "node_errors": {}}, status)


def answer_problem(error: SafelightError, status: int = 400) -> web.Response:
    """Answer with one of our errors."""
    problem = error.problem
    facts = {"expected": problem.expected, "got": problem.got, "hint": problem.hint}
    return answer_error(status, problem.code, problem.message, str(error), **facts)


async def read_object(request: web.Request) -> dict[str, Any]:
    """Return the JSON object in a request's body; an empty body is an empty object. Raises `web.HTTPBadRequest`."""
    text = await request.read()
    if not text.strip():
        return {}
    try:
        value = parse_text(text, "the request")
    except DocumentError as error:
        raise bad_request(error.problem.message, error.problem.hint or "") from None
    if not isinstance(value, dict):
        raise bad_request("the body is not a JSON object")
    return value


def bad_request(message: str, details: str = "", kind: str = "invalid_request") -> web.HTTPBadRequest:
    """Return the exception that answers 400 with an error in JSON."""
    error = {"type": kind, "message": message, "details": details, "extra_info": {}}
    return web.HTTPBadRequest(text=json.dumps({"error": error, "node_errors": {}}), content_type="application/json")


def whole_number(request: web.Request, name: str, default: int | None = None) -> int | None:
    """Return a query parameter that is a whole number. Raises `web.HTTPBadRequest` for anything else."""
    text = request.query.get(name)
    if text is None or text == "":
        return default
    try:
        if len(text) > 18:
            raise ValueError(text)
        return int(text)
    except ValueError:
        raise bad_request(f"{name} is not a whole number") from None


def texts(value: Any, name: str) -> Sequence[str]:
    """Return ``value`` as a list of texts. Raises `web.HTTPBadRequest` when it is none."""
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise bad_request(f"{name} is not a list of texts")
    return value
