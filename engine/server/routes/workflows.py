"""Saved workflows called like functions: typed JSON in, named outputs back, at once or as a job."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode

from aiohttp import web

from engine.server import job_rows as rows
from engine.server.callable_workflows import describe, find_workflow, prepare, workflow_names
from engine.server.desk import QueueFull
from engine.server.prompts import Refusal, refusal
from engine.server.state import Route, ServerState, answer_error, answer_json, read_object, state_of, whole_number
from engine.server.user_files import DEFAULT_USER

MOST_WAIT_S: Final = 600


def _folders(state: ServerState) -> tuple[Path, ...]:
    """Return where workflows are saved: the user's own first, then those of the project."""
    return state.user_files.folder(DEFAULT_USER) / "workflows", state.folders.base / "workflows"


async def get_workflows(request: web.Request) -> web.StreamResponse:
    """List the saved workflows."""
    state = state_of(request)
    return answer_json({"workflows": await asyncio.to_thread(workflow_names, _folders(state))})


async def get_workflow(request: web.Request) -> web.StreamResponse:
    """Say what a workflow takes and gives."""
    state, name = state_of(request), request.match_info["name"]
    path = await asyncio.to_thread(find_workflow, _folders(state), name)
    return answer_json({"name": name, **await state.catalogue.ask(describe, state.catalogue.session, path)})


async def call_workflow(request: web.Request) -> web.StreamResponse:
    """Run a workflow with the values in the body; with ``wait`` answer when it is done."""
    state, name = state_of(request), request.match_info["name"]
    given = await read_object(request)
    wait = min(max(whole_number(request, "wait", 0) or 0, 0), MOST_WAIT_S)
    path = await asyncio.to_thread(find_workflow, _folders(state), name)
    call = await state.catalogue.ask(prepare, state.catalogue.session, path, given)
    extra = {} if call.workflow is None else {"extra_pnginfo": {"workflow": call.workflow}}
    body = {"prompt": call.prompt, "extra_data": extra, "client_id": request.query.get("client_id")}
    accepted = await state.catalogue.ask(state.catalogue.accept, body)
    if isinstance(accepted, Refusal):
        return answer_json(accepted.as_json(), 400)
    if accepted.node_errors:  # whoever calls wants all that it gives
        refused = refusal("prompt_outputs_failed_validation", "Not all outputs can be computed")
        return answer_json(Refusal(refused.error, accepted.node_errors).as_json(), 400)
    try:
        job = await state.desk.submit(accepted, body)
    except QueueFull:
        return answer_error(429, "queue_full", "The queue is full")
    queued = {"prompt_id": job.id, "number": job.number}
    if not wait or not await state.desk.wait_for(job.id, wait):
        return answer_json(queued, 202)
    row = await state.store.keep(rows.job_row(job.id))
    if row is None or row["state"] != rows.COMPLETED:
        error = json.loads(row["error"]) if row is not None and row["error"] else {}
        message = error.get("exception_message") or "the job was cancelled"
        return answer_error(422, error.get("exception_type") or "cancelled", message, prompt_id=job.id)
    return answer_json({**queued, "outputs": _named(json.loads(row["shown"]), call.names)})


def _named(shown: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    """Return what nodes showed by the names of the outputs; files with the path to fetch them by."""
    made: dict[str, Any] = {}
    for node, ui in shown.items():
        entry = made.setdefault(names.get(node, node), {})
        for kind, items in ui.items():
            entry[kind] = [_with_path(item) for item in items] if isinstance(items, list) else items
    return made


def _with_path(item: Any) -> Any:
    if not isinstance(item, Mapping) or "filename" not in item:
        return item
    return {**item, "path": f"/view?{urlencode({key: str(value) for key, value in item.items()})}"}


ROUTES: Final = (
    Route("GET", "/workflows", get_workflows, "Saved workflows"),
    Route("GET", "/workflows/{name}", get_workflow, "What a workflow takes and gives", answers={404: "no such one"}),
    Route(
        "POST", "/workflows/{name}", call_workflow, "Call a workflow",
        query={"wait": "so many seconds for the outputs; without it a job is answered", "client_id": "who hears of it"},
        body={
            "type": "object",
            "description": "values by the name of a Workflow Input, or as Title.input",
            "additionalProperties": True,
        },
        answers={202: "queued", 404: "no such workflow", 422: "it failed", 429: "the queue is full"},
    ),
)  # fmt: skip
