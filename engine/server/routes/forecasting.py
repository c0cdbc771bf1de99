"""What a run would do, said before it: which nodes are kept results, which would be called."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from aiohttp import web

from engine.errors import DocumentError
from engine.server.prompts import Refusal
from engine.server.rooms import user_of
from engine.server.routes.queueing import PROMPT_BODY
from engine.server.state import Route, answer_error, answer_json, state_of


async def post_forecast(request: web.Request) -> web.StreamResponse:
    """Say of each node whether its result is kept, whether it would be called, or is not needed."""
    state = state_of(request)
    text = await request.read()
    try:
        body = await state.catalogue.ask(state.catalogue.read_body, text)
    except DocumentError as error:
        return answer_error(400, "invalid_prompt", error.problem.message, error.problem.hint or "")
    if not isinstance(body, Mapping):
        return answer_error(400, "no_prompt", "No prompt provided", "the body is not a JSON object")
    found = await state.catalogue.ask(state.forecaster.answer, body, user_of(request))
    if isinstance(found, Refusal):
        return answer_json(found.as_json(), 400)
    return answer_json(found)


TAKEN: Final = ("prompt", "partial_execution_targets")
ROUTES: Final = (
    Route(
        "POST", "/forecast", post_forecast, "What a run would do, without running it",
        body={**PROMPT_BODY, "properties": {name: PROMPT_BODY["properties"][name] for name in TAKEN}},  # type: ignore[index]
        answers={200: "nodes: state (cached, runs, skipped) and tier by id", 400: "error and node_errors say why not"},
    ),
)  # fmt: skip
