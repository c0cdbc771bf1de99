"""What whoever queues a job says of it, brought into the form in which it is kept."""

from __future__ import annotations

import dataclasses
import json
import time
import uuid
from collections.abc import Mapping
from typing import Any, Final

from engine.jobs.records import JobRequest
from engine.server.job_rows import QueuedJob
from engine.server.prompts import Accepted
from engine.server.webhook_rows import Webhook

SECRETS: Final = ("auth_token_comfy_org", "api_key_comfy_org")
"""Keys of ``extra_data`` that are never kept."""
LONGEST_HINT: Final = 1 << 18
"""Prompts of more bytes are not sent a second time only to say what runs next."""


@dataclasses.dataclass(frozen=True, slots=True)
class Asked:
    """One job that is asked for: the checked prompt and the request's other fields.

    ``owner`` is the name of the token it was asked with; ``batch`` the id of the batch it belongs to and ``facts``
    what is said of its place there.
    """

    accepted: Accepted
    body: Mapping[str, Any]
    owner: str | None = None
    batch: str | None = None
    facts: Mapping[str, Any] | None = None
    webhook: Webhook | None = None

    @property
    def client(self) -> str | None:
        """Whose WebSocket hears of it."""
        given = self.body.get("client_id") or _extra(self.body).get("client_id")
        return given if isinstance(given, str) else None


def _extra(body: Mapping[str, Any]) -> Mapping[str, Any]:
    extra = body.get("extra_data")
    return extra if isinstance(extra, Mapping) else {}


def queued(asked: Asked) -> tuple[QueuedJob, str | None]:
    """Return the job, without its place, and the id of the editor's workflow that it came from."""
    now = time.time() * 1000
    extra = {key: value for key, value in _extra(asked.body).items() if key not in (*SECRETS, "batch")}
    client = asked.client
    if client is not None:
        extra["client_id"] = client
    extra.setdefault("create_time", int(now))
    if asked.facts is not None:
        extra["batch"] = asked.facts
    accepted = asked.accepted
    if accepted.workflow is not None:
        given = extra.get("extra_pnginfo")
        extra["extra_pnginfo"] = {**(given if isinstance(given, Mapping) else {}), "workflow": accepted.workflow}
    id = asked.body.get("prompt_id")
    id = id if isinstance(id, str) and 0 < len(id) <= 200 else str(uuid.uuid4())
    job = QueuedJob(
        id, 0.0, client, accepted.text, json.dumps(extra), accepted.outputs, now, owner=asked.owner, batch=asked.batch
    )
    return job, _workflow_id(extra)


def _workflow_id(extra: Mapping[str, Any]) -> str | None:
    found: Any = extra
    for key in ("extra_pnginfo", "workflow", "id"):
        found = found.get(key) if isinstance(found, Mapping) else None
    return found if isinstance(found, str) else None


def coming(job: QueuedJob | None, *, apart: bool) -> JobRequest | None:
    """Return the job that runs next as a request, for who plans ahead; None where none is known, or it is long."""
    if job is None or len(job.prompt) > LONGEST_HINT:
        return None
    return JobRequest(job.id, job.prompt.encode(), job.valid, user=job.owner if apart else None)
