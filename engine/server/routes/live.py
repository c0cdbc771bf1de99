"""The WebSocket, and the event log that any number of viewers can read from any point on."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import Mapping
from typing import Any, Final

from aiohttp import WSMsgType, web

from engine.server import job_rows as rows
from engine.server.hub import OWN_FEATURES, Client
from engine.server.rooms import viewer_of
from engine.server.state import Route, ServerState, answer_text, state_of, whole_number

MAX_MESSAGE: Final = 1 << 16
HEARTBEAT_S: Final = 30.0
MAX_ID: Final = 200
REPLAY: Final = 10_000
"""So many events are told again at most; older ones are read from /events."""


def features(state: ServerState) -> dict[str, Any]:
    """Return what this server can do beyond the protocol's first version."""
    return {**OWN_FEATURES, "max_upload_size": state.options.max_upload_bytes}


async def get_features(request: web.Request) -> web.StreamResponse:
    """Say what this server can do."""
    return web.json_response(features(state_of(request)))


async def websocket(request: web.Request) -> web.StreamResponse:
    """Tell a client what happens, until it goes away."""
    state = state_of(request)
    since = whole_number(request, "since")
    socket = web.WebSocketResponse(max_msg_size=MAX_MESSAGE, heartbeat=HEARTBEAT_S, compress=False)
    await socket.prepare(request)
    id, viewer = request.query.get("clientId", "")[:MAX_ID], viewer_of(request)
    if not id or not state.hub.id_is_free(id, viewer):
        id = uuid.uuid4().hex
    watch = request.query.get("watch") or None
    client = Client(socket, id, request.transport, watch, numbered="since" in request.query, viewer=viewer)
    state.hub.tell_one(client, "status", {"status": state.desk.exec_info(viewer), "sid": id})
    sender = asyncio.get_running_loop().create_task(state.hub.send_all(client))
    try:
        await _catch_up(state, client, since)
        async for message in socket:
            if message.type == WSMsgType.TEXT:
                _hear(state, client, message.data)
    finally:
        state.hub.clients.discard(client)
        sender.cancel()
    return socket


async def _catch_up(state: ServerState, client: Client, since: int | None) -> None:
    """Tell a client what it missed, then let it hear what happens; nothing falls between the two."""
    if since is not None:
        job = None if client.watch in (None, "*") else client.watch
        owner = client.id if client.watch is None else None
        while True:
            upto = state.desk.last_event
            found = await state.store.keep(rows.events_since(since, job, owner, REPLAY, client.viewer))
            for n, _, type, data, _ in found:
                state.hub.tell_one(client, type, json.loads(data), n)
            since = max([since, *(one[0] for one in found)])
            if len(found) < REPLAY and upto == state.desk.last_event:
                break
    state.hub.clients.add(client)
    running, story = state.desk.running(), state.desk.running_story()
    if running is not None and story is not None and client.wants(running.id, running.client, running.owner):
        for message in story.snapshot():
            state.hub.tell_one(client, message.type, message.data)


def _hear(state: ServerState, client: Client, text: str) -> None:
    """Take in what a client says; only its features matter so far, and only in its first message."""
    try:
        message = json.loads(text)
    except (ValueError, RecursionError):
        return
    if not isinstance(message, dict) or message.get("type") != "feature_flags":
        return
    told = message.get("data")
    if isinstance(told, Mapping):
        client.features = told
    state.hub.tell_one(client, "feature_flags", features(state))


async def get_events(request: web.Request) -> web.StreamResponse:
    """List events after a number, of one job or of all."""
    state = state_of(request)
    since = whole_number(request, "since", 0) or 0
    most = min(whole_number(request, "limit", 1000) or 1000, REPLAY)
    job, client = request.query.get("job"), request.query.get("client_id")
    operation = rows.events_since(since, job, client, max(most, 1), viewer_of(request))
    found = await state.store.keep(operation)  # after what is still being written
    events = ", ".join(
        f'{{"n": {n}, "job": {json.dumps(job)}, "time": {time}, "type": {json.dumps(type)}, "data": {data}}}'
        for n, job, type, data, time in found
    )
    last = found[-1][0] if found else since
    return answer_text(f'{{"events": [{events}], "last": {last}, "newest": {state.desk.last_event}}}')


ROUTES: Final = (
    Route(
        "GET", "/ws", websocket, "WebSocket: what happens, as it happens",
        query={
            "clientId": "who this is; jobs queued with this client_id are told here",
            "since": "tell events after this number again, and number all (0: from the beginning)",
            "watch": "hear of this job too, whoever queued it; * for all",
        },
        answers={101: "messages {type, data}, and binary frames with previews"},
    ),
    Route("GET", "/features", get_features, "What this server can do"),
    Route(
        "GET", "/events", get_events, "The event log after a number",
        query={"since": "a number", "job": "only of this job", "client_id": "only of this client", "limit": "how many"},
    ),
)  # fmt: skip
