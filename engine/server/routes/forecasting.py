"""What a run would do, said before it: which nodes are kept results, which would be called, what memory it takes."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, Final

from aiohttp import web

from engine.errors import DocumentError
from engine.server.plans import Crowded, PlanTooSlow
from engine.server.prompts import Refusal
from engine.server.rooms import user_of
from engine.server.routes.queueing import PROMPT_BODY
from engine.server.state import Route, answer_error, answer_json, state_of


async def post_forecast(request: web.Request) -> web.StreamResponse:
    """Say of each node whether its result is kept, whether it would be called, or is not needed."""
    state, body = state_of(request), await _body(request)
    if isinstance(body, web.StreamResponse):
        return body
    found = await state.catalogue.ask(state.forecaster.answer, body, user_of(request))
    if isinstance(found, Refusal):
        return answer_json(found.as_json(), 400)
    return answer_json(found)


async def post_plan(request: web.Request) -> web.StreamResponse:
    """Plan the memory of a run, node by node, as the command line's ``plan --json`` does. Nothing is computed."""
    state, body = state_of(request), await _body(request)
    if isinstance(body, web.StreamResponse):
        return body
    making = asyncio.ensure_future(state.planning.answer(body, user_of(request)))
    try:
        while not making.done():
            await asyncio.wait([making], timeout=LOOK_S)
            if request.transport is None or request.transport.is_closing():
                return web.Response(status=499)
        found = making.result()
    except PlanTooSlow:
        return answer_error(503, "plan_too_slow", "The plan took too long to make", "ask again: what it learnt is kept")
    except Crowded:
        return answer_error(429, "crowded", "Too many plans are being made", "ask again later")
    finally:
        making.cancel()
    return answer_json(found.as_json(), 400) if isinstance(found, Refusal) else answer_json(found)


async def _body(request: web.Request) -> Mapping[str, Any] | web.StreamResponse:
    """Return the JSON object that was sent, or the answer to one that is none."""
    state = state_of(request)
    text = await request.read()
    try:
        body = await state.catalogue.ask(state.catalogue.read_body, text)
    except DocumentError as error:
        return answer_error(400, "invalid_prompt", error.problem.message, error.problem.hint or "")
    if not isinstance(body, Mapping):
        return answer_error(400, "no_prompt", "No prompt provided", "the body is not a JSON object")
    return body


LOOK_S: Final = 0.25
"""So often it is looked whether whoever asked for a plan still waits for it."""
TAKEN: Final = ("prompt", "partial_execution_targets")
ROUTES: Final = (
    Route(
        "POST", "/forecast", post_forecast, "What a run would do, without running it",
        body={**PROMPT_BODY, "properties": {name: PROMPT_BODY["properties"][name] for name in TAKEN}},  # type: ignore[index]
        answers={200: "nodes: state (cached, runs, skipped) and tier by id", 400: "error and node_errors say why not"},
    ),
    Route(
        "POST", "/plan", post_plan, "What memory a run would take, without running it",
        body={
            **PROMPT_BODY,
            "properties": {
                "prompt": PROMPT_BODY["properties"]["prompt"],  # type: ignore[index]
                "card": {"type": "string"}, "vram": {"type": "string"}, "link": {"type": "string"},
            },
        },
        answers={
            200: "fits, peak_bytes, smallest_vram_bytes, nodes; or planned: false, and why",
            400: "error and node_errors say why not",
            429: "too many plans are being made",
            503: "it took too long",
        },
    ),
)  # fmt: skip
