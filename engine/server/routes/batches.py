"""Batches: the jobs of one request, listed, cancelled and tried again as one."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping, Sequence
from typing import Any, Final

from aiohttp import web

from engine.server import batch_rows
from engine.server import job_rows as rows
from engine.server.desk import Desk, QueueFull
from engine.server.intake import Asked
from engine.server.job_rows import QueuedJob, number_text
from engine.server.prompts import Accepted, Refusal
from engine.server.rooms import cancel_of, job_user, owner_again, viewer_of
from engine.server.state import Route, answer_error, answer_json, bad_request, read_object, state_of, whole_number
from engine.server.webhook_rows import Webhook

RETRY_S: Final = 2
MOST: Final = 1000


def queue_is_full() -> web.Response:
    """Return the answer to a job that is not taken in."""
    answer = answer_error(429, "queue_full", "The queue is full", "wait until some jobs are done, then try again")
    answer.headers["Retry-After"] = str(RETRY_S)
    return answer


async def submit_batch(
    desk: Desk,
    accepted: Sequence[Accepted],
    values: Sequence[Mapping[str, Any]],
    body: Mapping[str, Any],
    owner: str | None,
    webhook: Webhook | None = None,
) -> list[QueuedJob]:
    """Take the jobs of a batch in, all or none. Raises `QueueFull`.

    A ``prompt_id`` becomes the id of the batch; its jobs have that and their place, so asking again adds nothing.
    """
    given = body.get("prompt_id")
    id = given if isinstance(given, str) and 0 < len(given) <= 180 else str(uuid.uuid4())
    asked = [
        Asked(
            one,
            {**body, "prompt_id": f"{id}-{at}"},
            owner,
            batch=id,
            facts={"id": id, "index": at, "size": len(accepted), "values": row},
            webhook=webhook,
        )
        for at, (one, row) in enumerate(zip(accepted, values, strict=True))
    ]
    return await desk.submit_all(asked)


def batch_answer(jobs: Sequence[QueuedJob]) -> dict[str, Any]:
    """Return what a client is told of a batch that was queued; the first job also in the form of a single one."""
    return {
        "batch_id": jobs[0].batch,
        "prompt_ids": [job.id for job in jobs],
        "prompt_id": jobs[0].id,
        "number": json.loads(number_text(jobs[0].number)),
    }


async def get_batches(request: web.Request) -> web.StreamResponse:
    """List batches, the newest first, with how many of their jobs are in which state."""
    limit, offset = whole_number(request, "limit"), whole_number(request, "offset", 0) or 0
    if (limit is not None and limit < 1) or offset < 0:
        raise bad_request("limit or offset is too small")
    limit = min(limit or MOST, MOST)
    found, total = await state_of(request).store.keep(batch_rows.list_batches(viewer_of(request), limit, offset))
    pages = {"offset": offset, "limit": limit, "total": total, "has_more": offset + len(found) < total}
    return answer_json({"batches": found, "pagination": pages})


async def get_batch(request: web.Request) -> web.StreamResponse:
    """Return one batch: counts, and each job with its values."""
    found = await _batch(request)
    return _unknown(request) if found is None else answer_json(found)


async def cancel_batch(request: web.Request) -> web.StreamResponse:
    """Take the waiting jobs of a batch off the queue and stop the one that runs."""
    found = await _batch(request)
    if found is None:
        return _unknown(request)
    ids = [job["prompt_id"] for job in found["jobs"] if job["status"] not in rows.ENDED]
    return answer_json({"cancelled": await cancel_of(state_of(request).desk, viewer_of(request), ids)})


async def retry_batch(request: web.Request) -> web.StreamResponse:
    """Queue the failed and cancelled jobs of a batch again, with ``all`` those that completed too, as a new batch."""
    body = await read_object(request)
    state, found = state_of(request), await _batch(request)
    if found is None:
        return _unknown(request)
    wanted = rows.ENDED if body.get("all") is True else (rows.FAILED, rows.CANCELLED)
    jobs = await state.store.keep(batch_rows.to_retry(found["id"], wanted, viewer_of(request)))
    if not jobs:
        return answer_error(409, "nothing_to_retry", "No job of the batch failed or was cancelled", "all: true repeats")
    owner = owner_again(request, {"owner": jobs[0][3]})
    bodies, values = [], []
    for prompt, text, client, _ in jobs:
        extra = json.loads(text)
        values.append(extra.pop("batch", {}).get("values", {}))
        extra.pop("create_time", None)
        bodies.append({"prompt": json.loads(prompt), "extra_data": extra, "client_id": client})
    accepted = await state.catalogue.ask(state.catalogue.accept_all, bodies, None, job_user(state, owner))
    if isinstance(accepted, Refusal):
        return answer_json(accepted.as_json(), 400)
    common = {"extra_data": bodies[0]["extra_data"], "client_id": bodies[0]["client_id"]}
    try:
        queued = await submit_batch(state.desk, accepted, values, common, owner)
    except QueueFull:
        return queue_is_full()
    return answer_json(batch_answer(queued))


async def _batch(request: web.Request) -> dict[str, Any] | None:
    return await state_of(request).store.keep(batch_rows.batch(request.match_info["batch_id"], viewer_of(request)))


def _unknown(request: web.Request) -> web.Response:
    return answer_error(
        404, "batch_not_found", "There is no such batch", f"id {request.match_info['batch_id'][:100]!r}"
    )


NONE: Final[Mapping[int, str]] = {404: "no such batch"}
ROUTES: Final = (
    Route(
        "GET", "/api/batches", get_batches, "Batches, the newest first",
        query={"limit": "how many", "offset": "from which on"},
    ),
    Route("GET", "/api/batches/{batch_id}", get_batch, "One batch, with its jobs and their values", answers=NONE),
    Route("POST", "/api/batches/{batch_id}/cancel", cancel_batch, "Cancel what has not ended of a batch", answers=NONE),
    Route(
        "POST", "/api/batches/{batch_id}/retry", retry_batch, "Queue again what failed or was cancelled of a batch",
        body={"type": "object", "properties": {"all": {"type": "boolean", "description": "also what completed"}}},
        answers={**NONE, 409: "there is nothing to try again", 429: "the queue is full"},
    ),
)  # fmt: skip
