"""For those who run the server: is it well, how much does it do, what can be asked of it; and our example workflows."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from aiohttp import web

from engine.errors import PathError
from engine.paths import path_below
from engine.server import job_rows as rows
from engine.server.machine import version
from engine.server.openapi import describe_api, page
from engine.server.state import Route, ServerState, answer_json, state_of

TEMPLATES: Final = "safelight"
ANSWER_S: Final = 0.5
_CACHE_TIERS: Final = (("memory", "cache"), ("disk", "disk_cache"))


async def get_health(request: web.Request) -> web.StreamResponse:
    """Say whether jobs can be taken in; 503 where they cannot."""
    state = state_of(request)
    try:
        await asyncio.wait_for(state.store.keep(lambda db: db.execute("SELECT 1").fetchone()), 5)
        stored = True
    except (TimeoutError, OSError, asyncio.InvalidStateError):
        stored = False
    worker = state.supervisor.status()
    well = stored and not state.desk.closing
    facts = {
        "status": "ok" if well else "unavailable",
        "store": stored,
        "worker": worker.state,
        "queue_remaining": state.desk.remaining,
        "uptime_s": round(time.time() - state.began, 3),
    }
    return answer_json(facts, 200 if well else 503)


async def get_memory(request: web.Request) -> web.StreamResponse:
    """Return what the worker holds of weights and kept results; an empty object before its first job."""
    return answer_json(await _memory_now(state_of(request)))


async def _memory_now(state: ServerState) -> dict[str, Any]:
    """Ask the worker what it holds; one that has no time to answer still holds about what it last told."""
    if not state.supervisor.ready:
        state.desk.memory = {}
        return {}
    with contextlib.suppress(TimeoutError):
        told = await asyncio.wait_for(asyncio.wrap_future(state.supervisor.gauges()), ANSWER_S)
        memory = told.get("memory", {})
        state.desk.memory = {**memory, "time": time.time()} if memory else {}
    return state.desk.memory


def _memory_metrics(memory: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Yield name, text and values of the gauges of memory."""
    if not memory:
        return
    tiers = {name: memory[f"{name}_bytes"] for name in ("device", "ram", "staging")}
    yield "weights_bytes", "Bytes of weights held, by tier (staging: pinned memory for copies).", _by("tier", tiers)
    limits = {name: memory[f"{name}_limit"] for name in ("device", "ram")}
    yield "weights_limit_bytes", "What bounds them.", _by("tier", limits)
    kept = {tier: memory.get(f"{name}_bytes", 0) for tier, name in _CACHE_TIERS}
    yield "cache_bytes", "Bytes of kept results, by tier.", _by("tier", kept)
    bounds = {tier: memory.get(f"{name}_limit", 0) for tier, name in _CACHE_TIERS}
    yield "cache_limit_bytes", "What bounds them.", _by("tier", bounds)
    yield "link_bytes_per_second", "Speed of the last copies to the device.", {"": memory["link_speed"] or 0}


async def get_metrics(request: web.Request) -> web.StreamResponse:
    """Return counts in the text form that Prometheus reads."""
    state = state_of(request)
    worker = state.supervisor.status()
    counts = await state.store.keep(rows.count_by_state)
    lines: list[str] = []

    def add(name: str, kind: str, text: str, values: dict[str, Any]) -> None:
        lines.extend((f"# HELP safelight_{name} {text}", f"# TYPE safelight_{name} {kind}"))
        lines.extend(f"safelight_{name}{labels} {value}" for labels, value in values.items())

    add("up_seconds", "gauge", "Seconds since the server started.", {"": round(time.time() - state.began, 3)})
    add("queue_jobs", "gauge", "Jobs that wait or run.", {"": state.desk.remaining})
    add("jobs", "gauge", "Jobs that are remembered, by state.", _by("state", counts))
    add("jobs_ended_total", "counter", "Jobs that ended since the start, by state.", _by("state", state.desk.finished))
    add("events_total", "counter", "Numbered events that were told, ever.", {"": state.desk.last_event})
    add("sockets", "gauge", "WebSocket clients.", {"": len(state.hub.clients)})
    add("socket_messages_total", "counter", "Messages sent to WebSocket clients.", {"": state.hub.sent})
    add("sockets_let_go_total", "counter", "Clients let go of because they did not read.", {"": state.hub.let_go})
    add("worker_starts_total", "counter", "Worker processes started.", {"": worker.starts})
    add("worker_held_bytes", "gauge", "Memory that the worker holds.", {"": worker.held_bytes or 0})
    memory = await _memory_now(state)
    for name, text, values in _memory_metrics(memory):
        add(name, "gauge", text, values)
    loaded = memory.get("loaded_bytes", 0)
    add("weights_loaded_bytes_total", "counter", "Bytes of weights brought to the device by this worker.", {"": loaded})
    return web.Response(text="\n".join(lines) + "\n", content_type="text/plain", charset="utf-8")


def _by(label: str, counts: Any) -> dict[str, Any]:
    return {f'{{{label}="{name}"}}': count for name, count in sorted(counts.items())}


async def get_openapi(request: web.Request) -> web.StreamResponse:
    """Return the description of the API."""
    from engine.server.app import all_routes

    return answer_json(describe_api(all_routes(), version("safelight") or "0.1.0"))


async def get_api_page(request: web.Request) -> web.StreamResponse:
    """Show the description of the API to people."""
    from engine.server.app import all_routes

    return web.Response(text=page(all_routes()), content_type="text/html")


def _templates(request: web.Request) -> Path:
    return state_of(request).folders.base / "workflows"


async def get_templates(request: web.Request) -> web.StreamResponse:
    """List example workflows, by who brings them."""
    folder = _templates(request)
    names = await asyncio.to_thread(lambda: sorted(path.stem for path in folder.glob("*.json") if path.is_file()))
    return answer_json({TEMPLATES: names} if names else {})


async def get_template(request: web.Request) -> web.StreamResponse:
    """Return an example workflow."""
    try:
        path = await asyncio.to_thread(path_below, _templates(request), request.match_info["name"])
    except PathError:
        return web.Response(status=404)
    if request.match_info["pack"] != TEMPLATES or path.suffix != ".json" or not path.is_file():
        return web.Response(status=404)
    return web.FileResponse(path, headers={"Content-Type": "application/json"})


ROUTES: Final = (
    Route("GET", "/healthz", get_health, "Is the server well", answers={503: "it takes no jobs in"}, twin=False),
    Route("GET", "/metrics", get_metrics, "Counts for Prometheus", kind="text/plain", twin=False),
    Route(
        "GET",
        "/memory",
        get_memory,
        "What weights take of device and RAM, by model, and kept results of RAM and disk",
    ),
    Route("GET", "/openapi.json", get_openapi, "This description", twin=False),
    Route("GET", "/docs/api", get_api_page, "This description, for people", kind="text/html", twin=False),
    Route("GET", "/workflow_templates", get_templates, "Example workflows"),
    Route("GET", "/workflow_templates/{pack}/{name}", get_template, "One of them", answers={404: "no such workflow"}),
)
