"""Saved workflows called like functions: typed JSON in, named outputs back, at once or as a job."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode

from aiohttp import web

from engine.paths.private import user_folder
from engine.server import job_rows as rows
from engine.server.batches import BATCH_SCHEMA, read_batch
from engine.server.callable_workflows import Call, describe, find_workflow, prepare, workflow_names
from engine.server.desk import QueueFull
from engine.server.intake import Asked
from engine.server.job_rows import QueuedJob
from engine.server.prompts import Refusal
from engine.server.rooms import user_of
from engine.server.routes.batches import batch_answer, queue_is_full, submit_batch
from engine.server.security import owner_of
from engine.server.state import Route, ServerState, answer_error, answer_json, read_object, state_of, whole_number
from engine.server.user_files import DEFAULT_USER
from engine.server.webhooks import WEBHOOK_SCHEMA

MOST_WAIT_S: Final = 600


def _folders(request: web.Request) -> tuple[Path, ...]:
    """Return where workflows are saved: the user's own first, then those of the project."""
    state, user = state_of(request), user_of(request)
    folder = DEFAULT_USER if user is None else user_folder(user)
    return state.user_files.folder(folder) / "workflows", state.folders.base / "workflows"


async def get_workflows(request: web.Request) -> web.StreamResponse:
    """List the saved workflows."""
    return answer_json({"workflows": await asyncio.to_thread(workflow_names, _folders(request))})


async def get_workflow(request: web.Request) -> web.StreamResponse:
    """Say what a workflow takes and gives."""
    state, name = state_of(request), request.match_info["name"]
    path = await asyncio.to_thread(find_workflow, _folders(request), name)
    return answer_json({"name": name, **await state.catalogue.ask(describe, state.catalogue.session, path)})


async def call_workflow(request: web.Request) -> web.StreamResponse:
    """Run a workflow with the values in the body; with ``wait`` answer when it is done.

    ``batch`` beside the values runs it once for each set of more values; ``webhook`` is told the end of each job.
    """
    state, name = state_of(request), request.match_info["name"]
    given = await read_object(request)
    wait = min(max(whole_number(request, "wait", 0) or 0, 0), MOST_WAIT_S)
    webhook = state.webhooks.read(given.pop("webhook")) if isinstance(given.get("webhook"), Mapping) else None
    values = read_batch(given.pop("batch")) if isinstance(given.get("batch"), Mapping) else None
    path = await asyncio.to_thread(find_workflow, _folders(request), name)
    user = user_of(request)
    calls = await state.catalogue.ask(_prepared, state, path, [{**given, **row} for row in values or ({},)], user)
    extra = {} if calls[0].workflow is None else {"extra_pnginfo": {"workflow": calls[0].workflow}}
    common = {"extra_data": extra, "client_id": request.query.get("client_id")}
    # Whoever calls wants all that it gives, so nothing is queued where only some outputs can be computed.
    bodies = [{"prompt": one.prompt} for one in calls]
    accepted = await state.catalogue.ask(state.catalogue.accept_all, bodies, None, user)
    if isinstance(accepted, Refusal):
        return answer_json(accepted.as_json(), 400)
    owner = owner_of(request)
    try:
        if values is not None:
            jobs = await submit_batch(state.desk, accepted, values, common, owner, webhook)
            return await _batch_done(state, jobs, values, calls[0].names, wait)
        (job,) = await state.desk.submit_all([Asked(accepted[0], common, owner, webhook=webhook)])
    except QueueFull:
        return queue_is_full()
    queued = {"prompt_id": job.id, "number": job.number}
    if not wait or not await state.desk.wait_for(job.id, wait):
        return answer_json(queued, 202)
    row = await state.store.keep(rows.job_row(job.id))
    if row is None or row["state"] != rows.COMPLETED:
        kind, message = _why(row)
        return answer_error(422, kind, message, prompt_id=job.id)
    return answer_json({**queued, "outputs": _named(json.loads(row["shown"]), calls[0].names)})


def _prepared(state: ServerState, path: Path, given: Sequence[Mapping[str, Any]], user: str | None) -> list[Call]:
    return [prepare(state.catalogue.session, path, one, user) for one in given]


def _why(row: Mapping[str, Any] | None) -> tuple[str, str]:
    """Return type and text of the error that a job without a result ended with."""
    error = json.loads(row["error"]) if row is not None and row["error"] else {}
    message = error.get("exception_message") or "the job was cancelled"
    return error.get("exception_type") or "cancelled", message


async def _batch_done(
    state: ServerState,
    jobs: Sequence[QueuedJob],
    values: Sequence[Mapping[str, Any]],
    names: Mapping[str, str],
    wait: int,
) -> web.StreamResponse:
    """Answer for a batch: 202 while some of it has not ended, then what each job came to."""
    deadline = time.monotonic() + wait
    for job in jobs if wait else ():
        if not await state.desk.wait_for(job.id, max(deadline - time.monotonic(), 0.0)):
            wait = 0
            break
    if not wait:
        return answer_json(batch_answer(jobs), 202)
    made: list[dict[str, Any]] = []
    for job, given in zip(jobs, values, strict=True):
        row = await state.store.keep(rows.job_row(job.id))
        one = {"prompt_id": job.id, "values": given, "status": rows.CANCELLED if row is None else row["state"]}
        if row is not None and row["state"] == rows.COMPLETED:
            made.append({**one, "outputs": _named(json.loads(row["shown"]), names)})
        else:
            made.append({**one, "error": dict(zip(("type", "message"), _why(row), strict=True))})
    return answer_json({"batch_id": jobs[0].batch, "jobs": made})


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
            "properties": {"batch": BATCH_SCHEMA, "webhook": WEBHOOK_SCHEMA},
            "additionalProperties": True,
        },
        answers={202: "queued", 404: "no such workflow", 422: "it failed", 429: "the queue is full"},
    ),
)  # fmt: skip
