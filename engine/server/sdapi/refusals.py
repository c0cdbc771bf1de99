"""Saying no in the words of this interface: ``{"detail": …}``, with the field that is meant."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from aiohttp import web


class FieldErrors(Exception):
    """Say which fields of a request cannot be meant or done: pairs of a name and why."""

    def __init__(self, errors: Sequence[tuple[str, str]]) -> None:
        super().__init__("; ".join(f"{name}: {why}" for name, why in errors))
        self.errors = tuple(errors)


class Refused(Exception):
    """Say no with a status of HTTP."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail


def refuse_field(name: str, why: str) -> FieldErrors:
    """Return the error for one field."""
    return FieldErrors([(name, why)])


def answer_fields(error: FieldErrors) -> web.Response:
    """Answer 422, with a list of ``{loc, msg, type}``."""
    detail = [{"loc": ["body", *name.split(".")], "msg": why, "type": "value_error"} for name, why in error.errors]
    return _answer(422, {"detail": detail})


def answer_refusal(status: int, detail: str, **more: Any) -> web.Response:
    """Answer with an error as a whole."""
    return _answer(status, {"error": "HTTPException", "detail": detail, "body": "", "errors": "", **more})


def _answer(status: int, value: Any) -> web.Response:
    return web.Response(text=json.dumps(value), status=status, content_type="application/json")
