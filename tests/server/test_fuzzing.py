"""Whatever is sent, the server answers, never with a fault of its own, and goes on."""

from __future__ import annotations

import json
import random
import re
from typing import Any

import aiohttp
from server_client import Caller, simple

from engine.server.app import all_routes

WORDS: list[Any] = [
    None, True, 0, -1, 1.5, 1e308, 10**40, "", "x", "../..", "\u0000", "a" * 5000, "🦊", "1", "[input]", [], [[]], {},
    {"a": {"b": [None]}}, ["a", 0], [0, "a"], {"__value__": [1]}, "NaN", "pending", "completed,failed", "webp;90",
]  # fmt: skip
KEYS = [
    "prompt", "client_id", "prompt_id", "number", "front", "extra_data", "delete", "clear", "pause", "job_ids", "nodes",
    "partial_execution_targets", "username", "unload_models", "class_type", "inputs", "extra_pnginfo", "workflow",
]  # fmt: skip
TEXTS = [
    "x",
    "..",
    "%2e%2e%2fx",
    "a%00b",
    "a%0d%0ab",
    "%F0%9F%A6%8A",
    "con",
    "x" * 300,
    "loras",
    "Number",
    "-1",
    "default",
]


def body_of(dice: random.Random) -> bytes:
    kind = dice.randrange(6)
    if kind == 0:
        return bytes(dice.randrange(256) for _ in range(dice.randrange(60)))
    if kind == 1:
        return json.dumps(dice.choice(WORDS)).encode()
    if kind == 2:
        graph: Any = simple(dice.randrange(9))
        node = dice.choice(list(graph))
        graph[node][dice.choice(["class_type", "inputs", "x"])] = dice.choice(WORDS)
        return json.dumps({"prompt": graph, dice.choice(KEYS): dice.choice(WORDS)}).encode()
    if kind == 3:
        links: Any = [dice.choice(WORDS) for _ in range(4)]
        node = {"id": dice.choice(WORDS), "type": "Number", "widgets_values": dice.choice(WORDS), "inputs": links}
        return json.dumps({"prompt": {"nodes": [node, dice.choice(WORDS)], "links": links, "version": 0.4}}).encode()
    return json.dumps({key: dice.choice(WORDS) for key in dice.sample(KEYS, 4)}).encode()


def test_no_request_is_answered_with_a_fault(serve: Any) -> None:
    dice = random.Random(7)

    async def journey(caller: Caller) -> None:
        for route in all_routes() * 6:
            if route.path == "/ws":
                continue
            path = re.sub(r"{[^{}]+}", lambda _: dice.choice(TEXTS), route.path)
            query = {name: str(dice.choice(WORDS))[:300] for name in route.query if dice.random() < 0.7}
            body = body_of(dice) if route.method not in ("GET",) else None
            status, _, text = await caller.raw(route.method, path, params=query, data=body)
            assert status < 500, (route.method, path, query, body, text[:500])
        await caller.post("/queue", {"clear": True, "pause": False})
        await caller.post("/interrupt")
        await caller.idle()
        await caller.queue(simple(1))
        await caller.idle()

    serve(journey)


def test_no_word_on_the_websocket_hurts(serve: Any) -> None:
    dice = random.Random(8)

    async def journey(caller: Caller) -> None:
        for number in range(60):
            query = {"clientId": str(dice.choice(WORDS))[:99], "watch": dice.choice(["", "*", "x"])}
            if dice.random() < 0.5:
                query["since"] = dice.choice(["0", "5", "999999999", "-3"])
            async with caller.session.ws_connect(f"{caller.url}/ws", params=query) as socket:
                for _ in range(4):
                    match dice.randrange(4):
                        case 0:
                            await socket.send_bytes(bytes(dice.randrange(256) for _ in range(20)))
                        case 1:
                            await socket.send_str(json.dumps({"type": "feature_flags", "data": dice.choice(WORDS)}))
                        case 2:
                            await socket.send_str("[" * 9000)
                        case _:
                            await socket.send_str("x" * (1 << (number % 18)))
                message = await socket.receive(5)
                assert message.type in (aiohttp.WSMsgType.TEXT, aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSED)
        assert (await caller.raw("GET", "/ws", params={"since": "x"}))[0] in (400, 426)
        async with caller.listen() as ears:
            await ears.until_end(await caller.queue(simple(3)))

    serve(journey)
