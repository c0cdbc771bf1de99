"""The later Jobs API: every job in one form, whatever became of it; cancelling and trying again by id."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath
from typing import Any, Final

from aiohttp import web

from engine.errors import MediaError, PathError
from engine.media.images import SUFFIXES
from engine.media.serving import thumbnail_of
from engine.server import job_rows as rows
from engine.server.desk import QueueFull
from engine.server.prompts import Refusal
from engine.server.rooms import cancel_of, job_user, owner_again, viewer_of
from engine.server.routes.batches import queue_is_full
from engine.server.state import (
    Route,
    answer_error,
    answer_json,
    bad_request,
    read_object,
    state_of,
    texts,
    whole_number,
)

STATES: Final = (rows.PENDING, rows.RUNNING, *rows.ENDED)
SORTS: Final = ("created_at", "create_time", "execution_duration")
MOST: Final = 1000
SMALL, LARGE = 256, 1024
"""Sides of thumbnails in pixels: unless asked otherwise, and at most."""


async def get_jobs(request: web.Request) -> web.StreamResponse:
    """List jobs, the newest first unless asked otherwise."""
    query = request.query
    states = [one for one in query.get("status", "").split(",") if one]
    if any(one not in STATES for one in states):
        raise bad_request("there is no such status", f"status is one or more of {', '.join(STATES)}")
    sort, order = query.get("sort_by", "created_at"), query.get("sort_order", "desc")
    if sort not in SORTS or order not in ("asc", "desc"):
        raise bad_request("jobs cannot be sorted so", f"sort_by: {', '.join(SORTS)}; sort_order: asc, desc")
    limit, offset = whole_number(request, "limit"), whole_number(request, "offset", 0) or 0
    if (limit is not None and limit < 1) or offset < 0:
        raise bad_request("limit or offset is too small")
    limit = min(limit or MOST, MOST)
    found, total = await state_of(request).store.keep(
        rows.list_jobs(
            states,
            {"workflow_id": query.get("workflow_id"), "batch": query.get("batch_id"), "owner": viewer_of(request)},
            by_duration=sort == "execution_duration",
            ascending=order == "asc",
            most=limit,
            offset=offset,
        )
    )
    jobs = [_record(row) for row in found]
    more = offset + len(jobs) < total
    pages = {"offset": offset, "limit": limit, "total": total, "has_more": more}
    return answer_json({"jobs": jobs, "pagination": pages, "paused": state_of(request).desk.paused})


async def get_job(request: web.Request) -> web.StreamResponse:
    """Return one job, with its workflow and all that it showed."""
    row = await _row(request)
    if row is None:
        return _unknown(request)
    record = _record(row)
    record["outputs"] = json.loads(row["shown"] or "{}")
    record["workflow"] = {"prompt": json.loads(row["prompt"]), "extra_data": json.loads(row["extra"])}
    record["execution_status"] = json.loads(row["status"]) if row["status"] else None
    record["nodes"] = json.loads(row["meta"]) if row["meta"] else {}
    record["output_states"] = json.loads(row["states"]) if row["states"] else {}
    return answer_json(record)


async def get_thumbnail(request: web.Request) -> web.StreamResponse:
    """Return the last picture that a job showed, made small."""
    size = min(max(whole_number(request, "size", SMALL) or SMALL, 16), LARGE)
    row = await _row(request)
    shown = [] if row is None else list(_outputs(json.loads(row["shown"] or "{}")))
    pictures = [one for one in shown if PurePosixPath(str(one["filename"])).suffix.lower() in SUFFIXES]
    if row is None or not pictures:
        return _unknown(request) if row is None else answer_error(404, "no_picture", "The job showed no picture")
    last, state = pictures[-1], state_of(request)
    folders = state.catalogue.session.private.of(job_user(state, row["owner"]))
    name = "/".join(str(part) for part in (last.get("subfolder"), last["filename"]) if part)

    def make() -> bytes:
        return thumbnail_of(folders.resolve(str(last.get("type", "output")), name), size)

    try:
        data = await asyncio.to_thread(make)
    except (PathError, MediaError):
        return answer_error(404, "no_picture", "The picture is not there any more")
    return web.Response(body=data, content_type="image/webp", headers={"Cache-Control": "private, max-age=3600"})


async def cancel_job(request: web.Request) -> web.StreamResponse:
    """Take a job off the queue, or stop it."""
    id = request.match_info["job_id"]
    done = await cancel_of(state_of(request).desk, viewer_of(request), [id])
    if not done and await _row(request) is None:
        return _unknown(request)
    return answer_json({"cancelled": bool(done)})


async def cancel_jobs(request: web.Request) -> web.StreamResponse:
    """Cancel several jobs."""
    body = await read_object(request)
    ids = texts(body.get("job_ids", body.get("ids")), "job_ids")
    return answer_json({"cancelled": await cancel_of(state_of(request).desk, viewer_of(request), ids)})


async def move_job(request: web.Request) -> web.StreamResponse:
    """Give a job that waits another place in the queue."""
    body = await read_object(request)
    number = body.get("number")
    if not body.get("front") and (not isinstance(number, (int, float)) or isinstance(number, bool)):
        raise bad_request("it is not said where to", "give number (lower is sooner), or front: true")
    known = await _row(request)
    job = None if known is None else await state_of(request).desk.move(request.match_info["job_id"], body)
    if job is None:
        return _unknown(request) if known is None else answer_error(409, "not_waiting", "The job does not wait")
    return answer_json({"id": job.id, "priority": job.number})


async def retry_job(request: web.Request) -> web.StreamResponse:
    """Queue a job again that ended, under a new id."""
    state = state_of(request)
    row = await _row(request)
    if row is None:
        return _unknown(request)
    if row["state"] not in rows.ENDED:
        return answer_error(409, "not_ended", "The job has not ended", f"it is {row['state']}")
    extra = {key: value for key, value in json.loads(row["extra"]).items() if key != "create_time"}
    body = {"prompt": json.loads(row["prompt"]), "extra_data": extra, "client_id": row["client"]}
    owner = owner_again(request, row)
    accepted = await state.catalogue.ask(state.catalogue.accept, body, job_user(state, owner))
    if isinstance(accepted, Refusal):
        return answer_json(accepted.as_json(), 400)
    try:
        job = await state.desk.submit(accepted, body, owner)
    except QueueFull:
        return queue_is_full()
    return answer_json({"prompt_id": job.id, "number": job.number, "node_errors": accepted.node_errors})


async def _row(request: web.Request) -> dict[str, Any] | None:
    return await state_of(request).store.keep(rows.job_row(request.match_info["job_id"], viewer_of(request)))


def _unknown(request: web.Request) -> web.Response:
    return answer_error(404, "job_not_found", "There is no such job", f"id {request.match_info['job_id'][:100]!r}")


def _record(row: Mapping[str, Any]) -> dict[str, Any]:
    shown = json.loads(row["shown"]) if row["shown"] else {}
    outputs = list(_outputs(shown))
    return {
        "id": row["id"],
        "name": row["name"],
        "status": row["state"],
        "priority": row["number"],
        "create_time": int(row["created"]),
        "execution_start_time": None if row["started"] is None else int(row["started"]),
        "execution_end_time": None if row["ended"] is None else int(row["ended"]),
        "execution_error": json.loads(row["error"]) if row["error"] else None,
        "outputs_count": len(outputs),
        "preview_output": outputs[-1] if outputs else None,
        "workflow_id": row["workflow_id"],
        "batch_id": row["batch"],
        "owner": row["owner"],
    }


def _outputs(shown: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """List the files that nodes showed; what is kept for good comes after what is temporary."""
    found = [
        {**item, "nodeId": node, "mediaType": kind}
        for node, ui in shown.items()
        for kind, items in (ui.items() if isinstance(ui, Mapping) else ())
        for item in (items if isinstance(items, list) else ())
        if isinstance(item, Mapping) and "filename" in item
    ]
    return iter(sorted(found, key=lambda one: one.get("type") == "output"))


JOB_IDS: Final = {
    "type": "object",
    "required": ["job_ids"],
    "properties": {"job_ids": {"type": "array", "items": {"type": "string"}}},
}
ROUTES: Final = (
    Route(
        "GET", "/api/jobs", get_jobs, "Jobs, the newest first",
        query={
            "status": f"one or more of {', '.join(STATES)}, with commas", "sort_by": "create_time, execution_duration",
            "sort_order": "desc or asc", "limit": "how many", "offset": "from which on", "workflow_id": "of a workflow",
            "batch_id": "of a batch",
        },
        answers={400: "a query that cannot be meant"},
    ),
    Route("GET", "/api/jobs/{job_id}", get_job, "One job, with its workflow and outputs", answers={404: "no such job"}),
    Route(
        "GET", "/api/jobs/{job_id}/thumbnail", get_thumbnail, "The last picture of a job, small", kind="image/webp",
        query={"size": f"its longer side, at most {LARGE} pixels"}, answers={404: "no such job, or it has no picture"},
    ),
    Route("POST", "/api/jobs/{job_id}/cancel", cancel_job, "Cancel a job", answers={404: "no such job"}),
    Route(
        "POST", "/api/jobs/{job_id}/retry", retry_job, "Queue a job again that ended",
        answers={404: "no such job", 409: "it has not ended"},
    ),
    Route(
        "POST", "/api/jobs/{job_id}/priority", move_job, "Change a waiting job's place in the queue",
        body={"type": "object", "properties": {"number": {"type": "number"}, "front": {"type": "boolean"}}},
        answers={404: "no such job", 409: "it does not wait any more"},
    ),
    Route("POST", "/api/jobs/cancel", cancel_jobs, "Cancel several jobs", body=JOB_IDS),
)  # fmt: skip
