"""What is still to run, and which of it can run now.

Steps come in batches, each in the order of a plan; what was added last comes first, because somebody waits for it. A
step is finished once; it may come up several times before that, when it was told to `wait` for others meanwhile.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence


class Agenda:
    """Hold the steps of a run that are not finished. ``eager(node_id)`` says which to start before all others."""

    def __init__(self, eager: Callable[[str], bool] | None = None) -> None:
        self._eager = eager
        self._waiting: dict[str, int] = {}  # unfinished steps, with how many others each still waits for
        self._users: dict[str, list[str]] = {}
        self._ranks: dict[str, tuple[int, int]] = {}
        self._ready: list[tuple[tuple[int, int], str]] = []
        self._soon: deque[str] = deque()
        self._batch = 0

    def __contains__(self, node_id: str) -> bool:
        """Say whether a step is on the agenda and not finished."""
        return node_id in self._waiting

    def __len__(self) -> int:
        return len(self._waiting)

    def __iter__(self) -> Iterator[str]:
        return iter(self._waiting)

    def add(self, steps: Sequence[str], sources: Mapping[str, Iterable[str]]) -> None:
        """Put ``steps`` before everything else. Of their ``sources`` those count that are not finished yet."""
        self._batch -= 1
        for position, node_id in enumerate(steps):
            self._ranks[node_id] = (self._batch, position)
            self._waiting[node_id] = 0
        for node_id in steps:
            self._wait(node_id, sources[node_id])

    def wait(self, node_id: str, sources: Iterable[str]) -> None:
        """Let a step that came up come up again when ``sources`` are finished."""
        self._wait(node_id, sources)

    def next(self) -> str | None:
        """Return a step that can run now, or None."""
        if self._soon:
            return self._soon.popleft()
        return heapq.heappop(self._ready)[1] if self._ready else None

    def finish(self, node_id: str) -> None:
        """Take a step off the agenda and free those that waited for it."""
        del self._waiting[node_id], self._ranks[node_id]
        for user in self._users.pop(node_id, ()):
            if user not in self._waiting:
                continue  # given up before its time, because it waited for itself
            self._waiting[user] -= 1
            if self._waiting[user] == 0:
                self._release(user)

    def stuck(self) -> list[str]:
        """Return the steps that wait for one another in a circle, or nothing."""
        users = {source: [user for user in ones if user in self._waiting] for source, ones in self._users.items()}
        after: dict[str, list[str]] = {node_id: [] for node_id in self._waiting}
        for source, ones in users.items():
            for user in ones:
                after[user].append(source)
        node_id = next((one for one in self._waiting if after[one]), None)
        path: dict[str, None] = {}
        while node_id is not None and node_id not in path:
            path[node_id] = None
            node_id = next((source for source in after.get(node_id, ()) if source in self._waiting), None)
        ids = list(path)
        return ids[ids.index(node_id) :] if node_id is not None else []

    def _wait(self, node_id: str, sources: Iterable[str]) -> None:
        count = 0
        for source in sources:
            if source in self._waiting:
                self._users.setdefault(source, []).append(node_id)
                count += 1
        self._waiting[node_id] = count
        if count == 0:
            self._release(node_id)

    def _release(self, node_id: str) -> None:
        if self._eager is not None and self._eager(node_id):
            self._soon.append(node_id)
        else:
            heapq.heappush(self._ready, (self._ranks[node_id], node_id))
