"""Write what goes wrong as JSON: one form for every refusal and error, without paths of this machine."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from aiohttp import web

from engine.errors import Problem

_POSIX_PATH = re.compile(r"(?<![\w.:/~\\-])/(?:[^\s/'\"<>|:,;()]+/)+([^\s/'\"<>|:,;()]*)")
_WINDOWS_PATH = re.compile(r"(?<!\w)(?:[A-Za-z]:[\\/]|\\\\)(?:[^\\/'\"<>|:*?\r\n]+[\\/]+)*([^\s\\/'\"<>|:*?]*)")
_FIELDS = ("code", "message", "node_id", "node_title", "input", "expected", "got", "hint")


def refuse(
    status: int, code: str, message: str, *, hint: str | None = None, headers: Mapping[str, str] | None = None
) -> web.Response:
    """Return an answer that says no, in the form of `problem_answer`."""
    return problem_answer(status, [Problem(code, message, hint=hint)], headers=headers)


def refuse_for_now(wait_s: float) -> web.Response:
    """Return the answer to a client that gave too many wrong tokens."""
    message = "too many wrong tokens; try again later"
    return refuse(429, "E-THROTTLED", message, headers={"Retry-After": str(int(wait_s) + 1)})


def problem_answer(
    status: int,
    problems: Sequence[Problem],
    *,
    headers: Mapping[str, str] | None = None,
    more: Mapping[str, Any] | None = None,
) -> web.Response:
    """Return ``{"error": {type, message, details, extra_info}, "node_errors": {}, "problems": […]}``.

    ``error`` has the fields that the protocol's clients read; ``problems`` has every field of ours. ``more`` joins
    ``extra_info``.
    """
    first = problems[0]
    facts = [name for name in ("expected", "got", "hint") if getattr(first, name)]
    details = [f"expected {first.expected}"] if first.expected else []
    details += [f"got {first.got}"] if first.got else []
    error = {
        "type": first.code,
        "message": without_paths(first.message),
        "details": without_paths(", ".join(details)),
        "extra_info": {**{name: public_problem(first)[name] for name in facts}, **(more or {})},
    }
    body = {"error": error, "node_errors": {}, "problems": [public_problem(problem) for problem in problems]}
    text = json.dumps(body, ensure_ascii=True)
    return web.Response(status=status, text=text, content_type="application/json", headers=headers)


def public_problem(problem: Problem) -> dict[str, str]:
    """Return the fields of ``problem`` that are set, fit to be sent to a client."""
    values = {name: getattr(problem, name) for name in _FIELDS}
    return {name: without_paths(value) for name, value in values.items() if value is not None}


def without_paths(text: str) -> str:
    """Shorten every absolute path in ``text`` to its last part: where our files lie is nobody's business."""
    return _WINDOWS_PATH.sub(r"…\\\1", _POSIX_PATH.sub(r"…/\1", text))
