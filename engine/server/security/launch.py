"""Make the guard from what the command line says: one call for whoever starts a server, one line to print."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from engine.server.security.guard import Guard
from engine.server.security.login import startup_address
from engine.server.security.policy import WILDCARDS, Limits, Policy, make_policy
from engine.server.security.tokens import read_tokens, token_file


def make_guard(
    user_directory: Path,
    *,
    listen: Sequence[str] = ("127.0.0.1",),
    tls: bool = False,
    host_names: Sequence[str] = (),
    cors_origins: Sequence[str] = (),
    require_token: bool = False,
    max_upload_bytes: int | None = None,
    debug: bool = False,
) -> Guard:
    """Return the guard for a server that listens on ``listen``. Make it inside the event loop that it will serve.

    Raises `InputError` when others could get in without a token, when an origin is a wildcard, or when the file of
    tokens is damaged: the server must not start then.
    """
    path = token_file(user_directory)
    limits = Limits() if max_upload_bytes is None else dataclasses.replace(Limits(), max_upload_bytes=max_upload_bytes)
    policy = Policy(
        listen=tuple(listen),
        scheme="https" if tls else "http",
        host_names=tuple(host_names),
        cors_origins=tuple(cors_origins),
        token_file=path,
        token_required=require_token,
        limits=limits,
        debug=debug,
    )
    return Guard(make_policy(policy, has_tokens=bool(read_tokens(path))))


def say_how_to_get_in(guard: Guard, host: str, port: int) -> str:
    """Return the line to print when the server listens: where it is and, on this machine, the way past the log-in."""
    policy = guard.policy
    shown = "127.0.0.1" if host in WILDCARDS else host
    shown = f"[{shown}]" if ":" in shown and not shown.startswith("[") else shown
    if not policy.token_required:
        return f"open {policy.scheme}://{shown}:{port}/ (only this machine gets in, and needs no token)"
    if all(one in ("127.0.0.1", "::1", "localhost") for one in policy.listen) and not policy.host_names:
        address = startup_address(policy.scheme, shown, port, guard.doorkeeper.make_startup_token())
        return f"open {address} (logs in, once)"
    return (
        f"open {policy.scheme}://{shown}:{port}/login (others get in too: everybody needs a token of `main.py tokens`)"
    )
