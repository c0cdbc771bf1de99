"""Queueing prompts, the queue, the history, and stopping."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from aiohttp import web

from engine.errors import DocumentError
from engine.server import job_rows as rows
from engine.server.batches import BATCH_SCHEMA, read_batch
from engine.server.desk import QueueFull
from engine.server.intake import Asked
from engine.server.job_rows import number_text
from engine.server.prompts import Refusal
from engine.server.rooms import (
    drop_of,
    for_administrators,
    interrupt_of,
    running_of,
    user_of,
    viewer_of,
    waiting_of,
)
from engine.server.routes.batches import batch_answer, queue_is_full, submit_batch
from engine.server.security import owner_of
from engine.server.state import (
    Route,
    answer_error,
    answer_json,
    answer_text,
    bad_request,
    read_object,
    state_of,
    texts,
    whole_number,
)
from engine.server.webhook_rows import Webhook
from engine.server.webhooks import WEBHOOK_SCHEMA

MAX_HISTORY: Final = 10_000
AT_ONCE_BYTES: Final = 8 << 10
"""Shorter bodies are read sooner than another thread is woken."""


async def get_prompt(request: web.Request) -> web.StreamResponse:
    """Say how many jobs there are."""
    return answer_json(state_of(request).desk.exec_info(viewer_of(request)))


async def post_prompt(request: web.Request) -> web.StreamResponse:
    """Queue a prompt, or say what is wrong with it."""
    state = state_of(request)
    text = await request.read()
    try:
        read = state.catalogue.read_body
        body = read(text) if len(text) < AT_ONCE_BYTES else await state.catalogue.ask(read, text)
    except DocumentError as error:
        return answer_error(400, "invalid_prompt", error.problem.message, error.problem.hint or "")
    if not isinstance(body, Mapping):
        return answer_error(400, "no_prompt", "No prompt provided", "the body is not a JSON object")
    webhook = state.webhooks.read(body.get("webhook"))
    if "batch" in body:
        return await queue_batch(request, body, webhook)
    accepted = await state.catalogue.ask(state.catalogue.accept, body, user_of(request))
    if isinstance(accepted, Refusal):
        return answer_json(accepted.as_json(), 400)
    try:
        (job,) = await state.desk.submit_all([Asked(accepted, body, owner_of(request), webhook=webhook)])
    except QueueFull:
        return queue_is_full()
    errors = json.dumps(accepted.node_errors)
    return answer_text(
        f'{{"prompt_id": {json.dumps(job.id)}, "number": {number_text(job.number)}, "node_errors": {errors}}}'
    )


async def queue_batch(request: web.Request, body: Mapping[str, Any], webhook: Webhook | None) -> web.StreamResponse:
    """Queue one job for each set of values that the body's ``batch`` names."""
    state = state_of(request)
    values = read_batch(body["batch"])
    accepted = await state.catalogue.ask(state.catalogue.expand, body, values, user_of(request))
    if isinstance(accepted, Refusal):
        return answer_json(accepted.as_json(), 400)
    try:
        jobs = await submit_batch(state.desk, accepted, values, body, owner_of(request), webhook)
    except QueueFull:
        return queue_is_full()
    return answer_json({**batch_answer(jobs), "node_errors": {}})


async def get_queue(request: web.Request) -> web.StreamResponse:
    """List the jobs that run and wait."""
    desk, viewer = state_of(request).desk, viewer_of(request)
    running = running_of(desk, viewer)
    run = running.item() if running is not None else ""
    wait = ", ".join(job.item() for job in waiting_of(desk, viewer))
    return answer_text(f'{{"queue_running": [{run}], "queue_pending": [{wait}]}}')


async def post_queue(request: web.Request) -> web.StreamResponse:
    """Take jobs off the queue."""
    body = await read_object(request)
    desk, viewer = state_of(request).desk, viewer_of(request)
    if isinstance(body.get("pause"), bool):
        for_administrators(request, "pausing the queue")
    if body.get("clear"):
        await drop_of(desk, viewer, None)
    if "delete" in body:
        await drop_of(desk, viewer, texts(body["delete"], "delete"))
    if isinstance(body.get("pause"), bool):
        desk.paused = body["pause"]
        desk.pump()
    return web.Response(status=200)


async def post_interrupt(request: web.Request) -> web.StreamResponse:
    """Stop the job that runs; with ``prompt_id`` only if it is that one."""
    body = await read_object(request)
    id = body.get("prompt_id")
    if id is not None and not isinstance(id, str):
        raise bad_request("prompt_id is not a text")
    interrupt_of(state_of(request).desk, viewer_of(request), id)
    return web.Response(status=200)


async def post_free(request: web.Request) -> web.StreamResponse:
    """Let go of weights and of results kept in memory, between two jobs."""
    body = await read_object(request)
    models, memory = bool(body.get("unload_models")), bool(body.get("free_memory"))
    if models or memory:
        state_of(request).supervisor.free(models=models or memory, cache=memory)
    return web.Response(status=200)


async def get_history(request: web.Request) -> web.StreamResponse:
    """List what ended, the oldest first."""
    most = whole_number(request, "max_items")
    most = MAX_HISTORY if most is None or most < 0 else min(most, MAX_HISTORY)
    return await _history(request, rows.history(most, whole_number(request, "offset"), viewer_of(request)))


async def get_history_of(request: web.Request) -> web.StreamResponse:
    """Return one job's entry of the history; an empty object where it has none."""
    return await _history(request, rows.history_of(request.match_info["prompt_id"], viewer_of(request)))


async def _history(request: web.Request, operation: Any) -> web.StreamResponse:
    found = await state_of(request).store.read(operation)
    return answer_text(rows.history_text(found))


async def post_history(request: web.Request) -> web.StreamResponse:
    """Forget jobs that ended."""
    body = await read_object(request)
    store, viewer = state_of(request).store, viewer_of(request)
    if body.get("clear"):
        await store.keep(rows.forget(None, viewer))
    if "delete" in body:
        await store.keep(rows.forget(texts(body["delete"], "delete"), viewer))
    return web.Response(status=200)


NODE: Final = {
    "type": "object",
    "required": ["class_type", "inputs"],
    "properties": {"class_type": {"type": "string"}, "inputs": {"type": "object"}, "_meta": {"type": "object"}},
}
PROMPT_BODY: Final = {
    "type": "object",
    "required": ["prompt"],
    "properties": {
        "prompt": {
            "description": "an API prompt (nodes by id), or an editor's workflow",
            "anyOf": [
                {"type": "object", "additionalProperties": NODE},
                {"type": "object", "required": ["nodes"], "properties": {"nodes": {"type": "array"}}},
            ],
        },
        "client_id": {"type": "string", "description": "whose WebSocket hears of the job"},
        "prompt_id": {"type": "string", "description": "the job's id; one is made where none is given"},
        "number": {"type": "number", "description": "place in the queue, lower first"},
        "front": {"type": "boolean", "description": "before all that wait"},
        "partial_execution_targets": {"type": "array", "items": {"type": "string"}},
        "extra_data": {"type": "object"},
        "batch": BATCH_SCHEMA,
        "webhook": WEBHOOK_SCHEMA,
    },
}
CLEAR_BODY: Final = {
    "type": "object",
    "properties": {"clear": {"type": "boolean"}, "delete": {"type": "array", "items": {"type": "string"}}},
}
REFUSED: Final = {200: "queued; node_errors says which outputs are left out", 400: "error and node_errors say why not"}

ROUTES: Final = (
    Route("GET", "/prompt", get_prompt, "How many jobs wait or run"),
    Route(
        "POST", "/prompt", post_prompt, "Queue a workflow", body=PROMPT_BODY,
        answers={**REFUSED, 429: "the queue is full; Retry-After says when to come again"},
    ),
    Route("GET", "/queue", get_queue, "The jobs that run and wait"),
    Route("POST", "/queue", post_queue, "Take jobs off the queue", body=CLEAR_BODY, kind=""),
    Route(
        "POST", "/interrupt", post_interrupt, "Stop the job that runs", kind="",
        body={"type": "object", "properties": {"prompt_id": {"type": "string"}}},
    ),
    Route(
        "POST", "/free", post_free, "Let go of weights and results", kind="",
        body={
            "type": "object",
            "properties": {"unload_models": {"type": "boolean"}, "free_memory": {"type": "boolean"}},
        },
    ),
    Route(
        "GET", "/history", get_history, "What ended, the oldest first",
        query={"max_items": "how many, the newest", "offset": "from which on, counted from the oldest"},
    ),
    Route("GET", "/history/{prompt_id}", get_history_of, "One job's entry of the history"),
    Route("POST", "/history", post_history, "Forget jobs that ended", body=CLEAR_BODY, kind=""),
)  # fmt: skip
