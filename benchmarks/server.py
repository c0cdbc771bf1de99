"""Measure the server from outside: jobs a second, many viewers, and how soon it answers while others work.

    python benchmarks/server.py [--jobs 1000] [--viewers 200] [--only jobs,viewers,deaf,queue,forecast,start,cancel]

All but ``start`` use nodes without torch in a worker of their own; ``start`` is the real program. The client runs on
the same machine and takes its share of it, so the numbers are lower bounds of what the server can do.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import socket
import statistics
import time
from collections import Counter
from collections.abc import Sequence
from typing import Any

import aiohttp
from served import Running, say, server
from server_nodes import WORK_S

CONNECTIONS = 16


async def hear(socket: aiohttp.ClientWebSocketResponse, ends: int) -> list[dict[str, Any]]:
    """Read messages until so many jobs are over."""
    heard: list[dict[str, Any]] = []
    while ends:
        message = await socket.receive_json()
        heard.append(message)
        ends -= message["type"] == "executing" and message["data"]["node"] is None
    return heard


async def measure_jobs(count: int) -> None:
    """Queue trivial jobs over several connections while one client hears of each."""
    async with server() as running:
        await finished(running, await running.queue("Add", value=10**8))  # the worker is there
        async with running.http.ws_connect(f"{running.url}/ws?clientId=benchmark") as socket:
            reader = asyncio.create_task(hear(socket, count))
            left = iter(range(count))
            ids: set[str] = set()

            async def some() -> None:
                for value in left:
                    ids.add(await running.queue("Add", value=value))

            busy = running.busy_s()
            began = time.perf_counter()
            await asyncio.gather(*(some() for _ in range(CONNECTIONS)))
            accepted = time.perf_counter() - began
            heard = await reader
            took = time.perf_counter() - began
            server_s, worker_s = (now - then for now, then in zip(running.busy_s(), busy, strict=True))
        done = {one["data"]["prompt_id"] for one in heard if one["type"] == "execution_success"}
        assert done == ids and len(ids) == count
        say(f"{count} jobs of one trivial node, posted, run, told, kept", f"{count / took:.0f} jobs/s", ">= 300")
        say(
            "processor time for each", f"{1e3 * server_s / count:.1f} ms server, {1e3 * worker_s / count:.1f} ms worker"
        )
        say("accepted (each is on the disk when it is answered)", f"{count / accepted:.0f} jobs/s")


async def finished(running: Running, id: str) -> None:
    """Wait until a job is over."""
    while id not in json.loads(await running.get(f"/history/{id}")):
        await asyncio.sleep(0.01)


async def measure_viewers(count: int, reports: int = 300) -> None:
    """Let many watch one job; each must hear each step and each numbered message, in order."""
    async with server() as running, contextlib.AsyncExitStack() as stack:
        await finished(running, await running.queue("Add", value=10**8))
        held = running.held_bytes()
        newest = json.loads(await running.get("/events?since=0"))["newest"]
        sockets = [
            await stack.enter_async_context(
                running.http.ws_connect(f"{running.url}/ws?clientId=v{number}&watch=*&since={newest}")
            )
            for number in range(count)
        ]
        readers = [asyncio.create_task(hear(socket, 1)) for socket in sockets]
        began = time.perf_counter()
        await running.queue("Steps", value=reports, pause_ms=10)
        heard = await asyncio.gather(*readers)
        took = time.perf_counter() - began
        wanted = None
        lost = 0
        for messages in heard:
            told = [one["data"]["value"] for one in messages if one["type"] == "progress"]
            numbers = [one["n"] for one in messages if "n" in one]
            wanted = wanted or numbers
            lost += reports - len(set(told)) + (numbers != wanted) + (told != sorted(told))
        total = sum(map(len, heard))
        grown = (running.held_bytes() - held) / 2**20
        say(f"{count} viewers of one job with {reports} steps", f"{lost} messages lost of {total}", "0")
        say("messages a second to all of them (the job itself needs 3 s)", f"{total / took:.0f}/s in {took:.1f} s")
        say("memory of the server for them", f"{grown:.0f} MiB")


async def measure_deaf(jobs: int = 800, reports: int = 20_000) -> None:
    """Let a client that never reads watch steps and jobs that show 100 KiB each, and see what the server holds."""
    async with server() as running:
        await finished(running, await running.queue("Add", value=10**8))
        host, port = running.url.removeprefix("http://").split(":")
        deaf = socket.socket()
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        deaf.connect((host, int(port)))
        deaf.sendall(
            f"GET /ws?watch=* HTTP/1.1\r\nHost: {host}:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
        )
        held = running.held_bytes()
        last = await running.queue("Steps", value=reports, pause_ms=0)
        for _ in range(jobs):
            last = await running.queue("Talk", value=100)
        most = 0
        while last not in json.loads(await running.get(f"/history/{last}")):
            most = max(most, running.held_bytes())
            await asyncio.sleep(0.02)
        counts = (await running.get("/metrics")).decode()
        assert "safelight_sockets_let_go_total 1" in counts, counts
        grown = (running.held_bytes() - held) / 2**20
        text = f"{grown:.0f} MiB after, {(most - held) / 2**20:.0f} MiB at most; it was let go of"
        say(
            f"memory for one that never reads {reports} steps and {jobs * 100 / 1024:.0f} MiB of results",
            text,
            "bounded",
        )
        deaf.close()


def spread(seconds: Sequence[float]) -> str:
    """Write the median, the 99th percentile and the worst of some times."""
    ordered = sorted(seconds)
    p99 = ordered[min(len(ordered) - 1, round(0.99 * len(ordered)))]
    return f"p50 {1e3 * statistics.median(ordered):.1f} ms, p99 {1e3 * p99:.1f} ms, worst {1e3 * ordered[-1]:.1f} ms"


async def timed(running: Running, path: str, seconds: float, pause_s: float = 0.004) -> list[float]:
    """Ask for ``path`` again and again; return how long each answer took."""
    times = []
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        began = time.perf_counter()
        await running.get(path)
        times.append(time.perf_counter() - began)
        await asyncio.sleep(pause_s)
    return times


async def measure_queue() -> None:
    """Ask for the queue while a node keeps every core busy, and another time with jobs that wait."""
    for waiting in (0, 100):
        async with server() as running:
            await finished(running, await running.queue("Add", value=10**8))
            id = await running.queue("Compute", value=WORK_S)
            for value in range(waiting):
                await running.queue("Add", value=value)
            await asyncio.sleep(1)
            times = await timed(running, "/queue", WORK_S - 3)
            assert json.loads(await running.get("/queue"))["queue_running"][0][1] == id, "it ended too soon"
            say(f"GET /queue, {waiting} jobs wait, all cores compute", spread(times), "p99 <= 20 ms")


async def measure_forecast(count: int = 1000) -> None:
    """Ask what a run of many nodes would do, half of them kept: with an idle worker, and with one that computes."""
    graph = {str(at): {"class_type": "Add", "inputs": {"value": at}} for at in range(count)}
    half = {id: graph[id] for id in list(graph)[: count // 2]}
    async with server() as running:
        await finished(running, str((await running.post("/prompt", {"prompt": half}))["prompt_id"]))
        for what, kind in (("idle", None), ("holding its interpreter", "SleepHoldingTheLock")):
            if kind is not None:
                await running.queue(kind, value=10)
                await asyncio.sleep(0.5)
            times = []
            for _ in range(20):
                began = time.perf_counter()
                answer = await running.post("/forecast", {"prompt": graph})
                times.append(time.perf_counter() - began)
            counts, tiers = answer["counts"], ", ".join(answer["looked_in"])
            text = f"{spread(times)}; {counts['cached']} kept, looked in {tiers}"
            say(f"POST /forecast of {count} nodes, the worker {what}", text, "<= 50 ms")


async def measure_start(rounds: int = 5) -> None:
    """Start the program and ask at once, as a person with an open page does."""
    pages, ready, nodes, warm = [], [], [], []
    for _ in range(rounds):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        page = asyncio.create_task(_first_page(port))
        async with server(real=True, port=port) as running:
            pages.append(await page - running.began)
            await running.get("/prompt")
            ready.append(time.perf_counter() - running.began)
            await running.get("/object_info")
            nodes.append(time.perf_counter() - running.began)
            await asyncio.sleep(3)  # the worker loads its libraries meanwhile
            for _ in range(10):
                began = time.perf_counter()
                size = len(await running.get("/object_info"))
                warm.append(time.perf_counter() - began)
    say("start of the process to the first GET /", _few(pages), "<= 0.5 s")
    say("start of the process to the first GET /prompt", _few(ready))
    say("start of the process to all of /object_info", _few(nodes), "<= 3 s")
    say(f"/object_info warm ({size / 1e6:.1f} MB)", spread(warm), "<= 50 ms")


async def _first_page(port: int) -> float:
    """Ask for ``/`` until somebody listens; return when the answer was there."""
    async with aiohttp.ClientSession() as http:
        while True:
            with contextlib.suppress(aiohttp.ClientConnectorError):
                async with http.get(f"http://127.0.0.1:{port}/") as answer:
                    await answer.read()
                    return time.perf_counter()
            await asyncio.sleep(0.005)


def _few(seconds: Sequence[float]) -> str:
    return f"median {statistics.median(seconds):.2f} s ({min(seconds):.2f} to {max(seconds):.2f})"


async def measure_cancel(rounds: int = 5) -> None:
    """Interrupt a node that sleeps in C with the interpreter's lock, and ask for the queue all the while."""
    asked, answers, over = [], [], []
    async with server() as running:
        for _ in range(rounds):
            id = await running.queue("SleepHoldingTheLock", value=60)
            async with running.http.ws_connect(f"{running.url}/ws?clientId=benchmark") as socket:
                while (await socket.receive_json())["type"] != "executing":
                    pass
                polling = asyncio.create_task(timed(running, "/queue", 1.5))
                began = time.perf_counter()
                await running.post("/interrupt", {})
                asked.append(time.perf_counter() - began)
                while (await socket.receive_json())["type"] != "execution_interrupted":
                    pass
                over.append(time.perf_counter() - began)
                answers += await polling
            kinds = Counter(one[0] for one in json.loads(await running.get(f"/history/{id}"))[id]["status"]["messages"])
            assert kinds["execution_interrupted"] == 1
    say("POST /interrupt of a node that sleeps in C", spread(asked), "<= 50 ms")
    say("GET /queue meanwhile", spread(answers), "<= 50 ms")
    say("until the job is over", _few(over))


def main() -> None:
    """Print a table of the measurements."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=1000)
    parser.add_argument("--viewers", type=int, default=200)
    parser.add_argument("--only", default="jobs,viewers,deaf,queue,forecast,start,cancel")
    chosen = parser.parse_args()
    print(
        f"{os.cpu_count()} processors, {os.getloadavg()[0]:.1f} busy before\n\n| what | measured | aim |\n|---|---|---|"
    )
    measures = {
        "jobs": lambda: measure_jobs(chosen.jobs),
        "viewers": lambda: measure_viewers(chosen.viewers),
        "deaf": measure_deaf,
        "queue": measure_queue,
        "forecast": measure_forecast,
        "start": measure_start,
        "cancel": measure_cancel,
    }
    for name in chosen.only.split(","):
        asyncio.run(measures[name]())


if __name__ == "__main__":
    main()
