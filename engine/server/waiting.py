"""The jobs that wait, in the order in which they run: by number, and between clients in turn.

A job that asks for no place gets one by start-time fair queueing (Goyal, Vin, Cheng 1996): the number after that
client's last one, or after that of the job which began last, whichever is higher. So jobs of several clients share
numbers and run in turn, a client's own keep their order, and sorting the queue by number gives the order of running.
With ``--queue-order models`` a client's own jobs change places among themselves (`grouping.py`).
Numbers that somebody chose (``number``, ``front``, a move) are used as they are.
"""

from __future__ import annotations

import bisect
import collections
import dataclasses
import math
from collections.abc import Iterable, Mapping
from typing import Any, Final

from engine.server.grouping import Grouping
from engine.server.job_rows import QueuedJob

MOST_CLIENTS: Final = 10_000
CHOSEN: Final = -(1 << 60)
"""The turn of a job whose number was chosen: before all that only share it."""


@dataclasses.dataclass(frozen=True, slots=True)
class Place:
    """Where a job stands: its number; among equal numbers lower turns are sooner. ``shared``: nobody chose it."""

    number: float
    turn: int
    shared: bool = False


class WaitingJobs:
    """Owns the queue in memory. Everything here runs in the event loop and takes logarithmic time."""

    def __init__(self) -> None:
        self._order: list[tuple[tuple[float, int, int], str]] = []
        self._jobs: dict[str, QueuedJob] = {}
        self._shared: set[str] = set()
        self.count_of: collections.Counter[str | None] = collections.Counter()
        """How many wait, by owner."""
        self._begun = 0.0
        """The highest number that was given by turns and has begun."""
        self._last: dict[str, tuple[float, int]] = {}
        """The last number and the turn of each client that waits or waited lately."""
        self._turn = 0
        self._front = 0
        self.grouping: Grouping | None = None
        """Chooses among the jobs of a client; None leaves them as they came."""

    def __len__(self) -> int:
        return len(self._jobs)

    def __contains__(self, id: str) -> bool:
        return id in self._jobs

    def ids(self) -> list[str]:
        """List the ids of the jobs, in no order."""
        return list(self._jobs)

    def listed(self) -> list[QueuedJob]:
        """List the jobs, in their order."""
        return [self._jobs[id] for _, id in self._order]

    def place(self, body: Mapping[str, Any], client: str) -> Place:
        """Return the place that ``body`` asks for (``number`` or ``front``), else the next one of ``client``."""
        number = body.get("number")
        if isinstance(number, (int, float)) and not isinstance(number, bool) and abs(number) < 1e15:
            return Place(float(number), CHOSEN)
        if body.get("front"):
            self._front += 1
            return Place(float(-self._front), CHOSEN)
        last, turn = self._last.get(client, (-math.inf, 0))
        if last < self._begun:  # it comes new, or comes back: among equals it is served before those who were
            self._turn -= 1
            last, turn = float(math.floor(self._begun)), self._turn
        if len(self._last) >= MOST_CLIENTS:
            self._last = {name: one for name, one in self._last.items() if one[0] >= self._begun}
        self._last[client] = (last + 1, turn)
        return Place(last + 1, turn, shared=True)

    def put(self, job: QueuedJob, *, shared: bool = False) -> None:
        """Add a job."""
        self._jobs[job.id] = job
        self.count_of[job.owner] += 1
        if shared:
            self._shared.add(job.id)
        bisect.insort(self._order, (job.order, job.id))

    def take(self, id: str) -> QueuedJob | None:
        """Remove a job and return it; None where it is not there."""
        job = self._jobs.pop(id, None)
        if job is not None:
            del self._order[bisect.bisect_left(self._order, (job.order, id))]
            self._shared.discard(id)
            self.count_of[job.owner] -= 1
        return job

    def next(self) -> QueuedJob | None:
        """Remove the job whose turn it is; None where none waits."""
        if not self._order:
            return None
        id = self._order[0][1]
        if id in self._shared:
            self._begun = max(self._begun, self._jobs[id].number)
            if self.grouping is not None:
                id = self._grouped(id, self.grouping)
        job = self.take(id)
        if job is not None and self.grouping is not None:
            self.grouping.begin(job)
        return job

    def first(self) -> QueuedJob | None:
        """Return the job whose turn is next as things are; None where none waits, or another one may be chosen."""
        return self._jobs[self._order[0][1]] if self._order and self.grouping is None else None

    def _grouped(self, first: str, grouping: Grouping) -> str:
        """Let the client of the job whose turn it is have another one of its own first; the rest move up one place."""
        client = self._jobs[first].fair_client
        own = [job for _, id in self._order if id in self._shared and (job := self._jobs[id]).fair_client == client]
        chosen = grouping.choose(own)
        passed = own[: own.index(chosen) + 1]
        for job in passed:
            self.take(job.id)
        for job, place in zip((chosen, *passed[:-1]), passed, strict=True):
            self.put(dataclasses.replace(job, number=place.number, turn=place.turn), shared=True)
        return chosen.id

    def drop(self, ids: Iterable[str]) -> list[str]:
        """Remove jobs for good; return the ids of those that were there. Their places are given again."""
        dropped = [job for id in ids if (job := self.take(id)) is not None]
        if self.grouping is not None:
            for job in dropped:
                self.grouping.forget(job.id)
        clients = {job.fair_client for job in dropped} & self._last.keys()
        if clients:
            highest = dict.fromkeys(clients, self._begun)
            for id in self._shared:
                job = self._jobs[id]
                if job.fair_client in highest:
                    highest[job.fair_client] = max(highest[job.fair_client], job.number)
            for client, number in highest.items():
                self._last[client] = (number, self._last[client][1])
        return [job.id for job in dropped]

    def restore(self, jobs: Iterable[QueuedJob], highest: int) -> None:
        """Take up the jobs of an earlier server; ``highest`` is the highest number that it gave."""
        self._front = highest
        lowest = math.inf
        for job in jobs:
            self.put(job, shared=job.number > 0)
            if job.number > 0:
                lowest = min(lowest, job.number)
                self._last[job.fair_client] = (max(job.number, self._last.get(job.fair_client, (0.0, 0))[0]), 0)
        self._begun = float(highest) if lowest == math.inf else max(math.floor(lowest) - 1.0, 0.0)
