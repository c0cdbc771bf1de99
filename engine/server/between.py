"""What clients are told while nodes run that is no event of the executor: previews, lines, what packs say."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from engine.server.console import Console
from engine.server.hub import Hub
from engine.server.job_rows import QueuedJob
from engine.server.story import Message, Story

_nodes_log = logging.getLogger("safelight.nodes")


def tell_between(
    hub: Hub,
    console: Console,
    job: QueuedJob,
    story: Story,
    previews: str,
    event: Mapping[str, Any],
    data: bytes | None,
) -> bool:
    """Tell of an event that is none of the executor's; False where it is one of those. ``previews`` is their method."""
    match event["event"]:
        case "preview":
            if data is not None and previews != "none":
                facts, plain_too = story.preview_facts(str(event["node_id"])), previews != "default"
                hub.tell_preview(facts, event["format"], data, job.client, job.owner, plain_too=plain_too)
        case "log":
            console.add(event)
            level = logging.getLevelNamesMapping().get(str(event.get("level")), logging.DEBUG)
            _nodes_log.log(level, "%s", event["text"], extra={"job": job.id, "node": event.get("node_id")})
        case "message":
            hub.tell(
                Message(event["type"], event["data"], kept=False), job.id, event["sid"] or job.client, None, job.owner
            )
        case "text":
            hub.tell_text(event["node_id"], event["text"], job.id, event["sid"] or job.client, job.owner)
        case _:
            return False
    return True
