"""What is still to run, and which of it can run now.

Steps come in batches, each in the order of a plan; what was added last comes first, because somebody waits for it. The
next step of the newest batch can nearly always run, because its sources came before it. Only a step that cannot, and
one that was told to `wait` when it came up, is noted with those it waits for. A step is finished once; it may come up
several times before that.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

Batch = tuple[list[str], Mapping[str, Iterable[str]]]
"""Steps that have not come up, the next one last, and the sources of each."""


class Agenda:
    """Hold the steps of a run that are not finished. ``eager(node_id)`` says which to start before all others."""

    def __init__(self, eager: Callable[[str], bool] | None = None) -> None:
        self._eager = eager
        self._left: dict[str, int] = {}  # unfinished steps with their ranks; newer batches have lower ones
        self._batches: list[Batch] = []
        self._waiting: dict[str, int] = {}  # steps that wait, with how many others each still waits for
        self._users: dict[str, list[str]] = {}  # who waits for a step
        self._freed: list[tuple[int, str]] = []  # a heap of those that waited and can run now
        self._soon: deque[str] = deque()
        self._lowest = 0

    def __contains__(self, node_id: str) -> bool:
        """Say whether a step is on the agenda and not finished."""
        return node_id in self._left

    def __len__(self) -> int:
        return len(self._left)

    def __iter__(self) -> Iterator[str]:
        return iter(self._left)

    def add(self, steps: Sequence[str], sources: Mapping[str, Iterable[str]]) -> None:
        """Put ``steps``, each after its ``sources``, before everything else."""
        self._lowest -= len(steps)
        self._left.update(zip(steps, range(self._lowest, self._lowest + len(steps)), strict=True))
        later = list(reversed(steps))
        if self._eager is not None:
            eager = [node_id for node_id in steps if self._eager(node_id)]
            if eager:
                later = [node_id for node_id in later if not self._eager(node_id)]
            for node_id in eager:
                self.wait(node_id, sources[node_id])
        self._batches.append((later, sources))

    def wait(self, node_id: str, sources: Iterable[str]) -> None:
        """Let a step that came up come up again when ``sources`` are finished."""
        if not self._must_wait(node_id, sources):
            self._free(node_id)

    def next(self) -> str | None:
        """Return a step that can run now, or None."""
        if self._soon:
            return self._soon.popleft()
        while self._batches:
            steps, sources = self._batches[-1]
            if not steps:
                self._batches.pop()
                continue
            if self._freed and self._freed[0][0] < self._left[steps[-1]]:
                break
            node_id = steps.pop()
            if not self._must_wait(node_id, sources[node_id]):
                return node_id
        return heapq.heappop(self._freed)[1] if self._freed else None

    def finish(self, node_id: str) -> None:
        """Take a step off the agenda and free those that waited for it."""
        del self._left[node_id]
        if not self._users:
            return
        self._waiting.pop(node_id, None)  # where it is given up because it waits for itself
        for user in self._users.pop(node_id, ()):
            count = self._waiting.get(user)
            if count == 1:
                del self._waiting[user]
                self._free(user)
            elif count is not None:
                self._waiting[user] = count - 1

    def stuck(self) -> list[str]:
        """Return the steps that wait for one another in a circle, or nothing."""
        after: dict[str, list[str]] = {node_id: [] for node_id in self._left}
        for source, users in self._users.items():
            for user in users:
                if user in self._waiting:
                    after[user].append(source)
        node_id = next((one for one in self._left if after[one]), None)
        path: dict[str, None] = {}
        while node_id is not None and node_id not in path:
            path[node_id] = None
            node_id = next((source for source in after.get(node_id, ()) if source in self._left), None)
        ids = list(path)
        return ids[ids.index(node_id) :] if node_id is not None else []

    def _must_wait(self, node_id: str, sources: Iterable[str]) -> bool:
        """Note whom of ``sources`` a step waits for; return whether there is any."""
        count = 0
        for source in sources:
            if source in self._left:
                self._users.setdefault(source, []).append(node_id)
                count += 1
        if count:
            self._waiting[node_id] = count
        return count > 0

    def _free(self, node_id: str) -> None:
        if self._eager is not None and self._eager(node_id):
            self._soon.append(node_id)
        else:
            heapq.heappush(self._freed, (self._left[node_id], node_id))
