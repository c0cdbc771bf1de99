"""The description of the API, made from the tables of routes: OpenAPI 3.1, and a page to read it."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

from engine.server.state import Route

ERROR: Final = {
    "type": "object",
    "properties": {
        "error": {
            "type": "object",
            "required": ["type", "message", "details", "extra_info"],
            "properties": {
                "type": {"type": "string"},
                "message": {"type": "string"},
                "details": {"type": "string"},
                "extra_info": {"type": "object"},
            },
        },
        "node_errors": {"type": "object"},
    },
}
COMMON: Final[Mapping[int, str]] = {
    400: "the request cannot be meant",
    401: "a login is needed",
    403: "refused",
    413: "too large",
    500: "a fault of the server; the log has it under the id in the answer",
}


def describe_api(routes: Iterable[Route], version: str) -> dict[str, Any]:
    """Return the OpenAPI 3.1 document of ``routes``."""
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        paths.setdefault(route.template, {})[route.method.lower()] = _operation(route)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Safelight",
            "version": version,
            "description": "Every path is also there below /api.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "paths": paths,
        "components": {"schemas": {"Error": ERROR}},
    }


def _operation(route: Route) -> dict[str, Any]:
    parameters: list[dict[str, Any]] = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in re.findall(r"{(\w+)}", route.template)
    ]
    parameters += [
        {"name": name, "in": "query", "description": text, "schema": {"type": "string"}}
        for name, text in route.query.items()
    ]
    answers = {200: "done", **COMMON, **route.answers}
    if 204 in route.answers or 101 in route.answers:
        del answers[200]
    operation: dict[str, Any] = {
        "summary": route.summary,
        "description": (route.handler.__doc__ or "").strip(),
        "operationId": re.sub(r"\W+", "_", f"{route.method.lower()}{route.template}").strip("_"),
        "responses": {str(code): _answer(code, text, route) for code, text in sorted(answers.items())},
    }
    if parameters:
        operation["parameters"] = parameters
    if route.body is not None:
        kind = "multipart/form-data" if route.multipart else "application/json"
        operation["requestBody"] = {"content": {kind: {"schema": route.body}}}
    return operation


def _answer(code: int, text: str, route: Route) -> dict[str, Any]:
    kind = route.kind
    if code >= 400:
        older = route.path.startswith("/sdapi/")  # its errors have the form that its own clients know
        schema: Mapping[str, Any] = {"type": "object"} if older else {"$ref": "#/components/schemas/Error"}
        return {"description": text, "content": {"application/json": {"schema": schema}}}
    return {"description": text} if code in (101, 204) or not kind else {"description": text, "content": {kind: {}}}


def page(routes: Iterable[Route]) -> str:
    """Return the page that lists ``routes`` for people."""
    rows = "\n".join(
        f"<tr><td>{route.method}</td><td><code>{html.escape(route.path)}</code></td>"
        f"<td>{html.escape(route.summary)}</td><td>{_words(route.query)}</td></tr>"
        for route in sorted(routes, key=lambda one: (one.path, one.method))
    )
    return (
        '<!doctype html>\n<html lang="en">\n<meta charset="utf-8">\n<title>Safelight: the API</title>\n'
        '<h1>The API</h1>\n<p>Every path is also there below <code>/api</code>. <a href="/openapi.json">OpenAPI</a></p>'
        f"\n<table>\n<tr><th>method</th><th>path</th><th>what</th><th>query</th></tr>\n{rows}\n</table>\n</html>\n"
    )


def _words(query: Mapping[str, str]) -> str:
    return "<br>".join(f"<code>{html.escape(name)}</code> {html.escape(text)}" for name, text in query.items())
