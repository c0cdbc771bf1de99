"""What a worker was asked and has not answered yet."""

from __future__ import annotations

import concurrent.futures
import threading
from collections.abc import Mapping
from typing import Any, Final

from engine.jobs.process import WorkerProcess

Answer = concurrent.futures.Future[dict[str, Any]]
ANSWERS: Final[Mapping[Any, str]] = {"freed": "free", "pong": "ping", "known": "known", "gauged": "gauge"}
"""What answers a question, and where it says which one."""
TOLD: Final = ("before", "after", "tiers", "salt", "memory")


class Questions:
    """Keeps questions until they are answered or the worker is gone. Safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._asked: dict[int, Answer] = {}

    def ask(self, worker: WorkerProcess | None, message: dict[str, Any], nothing: dict[str, Any]) -> Answer:
        """Send a question; its answer is ``nothing`` where there is no worker."""
        answer: Answer = concurrent.futures.Future()
        answer.set_running_or_notify_cancel()  # nobody who waits for it can take it back
        if worker is None or worker.gone:
            answer.set_result(nothing)
        else:
            with self._lock:
                self._asked[id(answer)] = answer
            worker.sender.send({**message, message["do"]: id(answer)})
        return answer

    def hear(self, message: Mapping[str, Any]) -> bool:
        """Take in an answer; False for what is none."""
        name = ANSWERS.get(message.get("is"))
        if name is None:
            return False
        with self._lock:
            answer = self._asked.pop(int(message[name]), None)
        if answer is not None:
            answer.set_result({name: message[name] for name in TOLD if name in message})
        return True

    def give_up(self) -> None:
        """Answer everything with nothing: the worker is gone."""
        with self._lock:
            asked, self._asked = self._asked, {}
        for answer in asked.values():
            answer.set_result({})
