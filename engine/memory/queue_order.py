"""Order the phases of queued jobs so that weights come to the device once for many jobs instead of once for each.

Jobs that use the same models are taken together, and within such a group the first phases of all jobs run before the
second ones: all prompts are encoded, then all pictures sampled, then all decoded. What a job hands from phase to phase
(embeddings, latents) waits in RAM meanwhile, and bounds how many jobs a group may hold. No result depends on the order:
noise is drawn from a job's own seed, and jobs are not put into one batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from engine.memory.phases import Link, Phase
from engine.memory.planning import Misfit, ResidencyPlan, make_plan

__all__ = ["Job", "OrderedQueue", "Step", "batched", "grouped", "order_queue", "submitted"]

AS_FAST: Final = 1e-3


@dataclass(frozen=True, slots=True)
class Job:
    """Describe a queued job: its phases in order, and the bytes that wait in RAM while it is between two of them."""

    phases: tuple[Phase, ...]
    waiting_bytes: int = 0

    @property
    def models(self) -> tuple[tuple[str, ...], ...]:
        """Return the models of each phase; jobs with the same can share loads."""
        return tuple(tuple(dict.fromkeys(one.block.model for one in phase.accesses)) for phase in self.phases)


@dataclass(frozen=True, slots=True)
class Step:
    """Name a phase of a job by the numbers of both."""

    job: int
    phase: int


@dataclass(frozen=True, slots=True)
class OrderedQueue:
    """An order of all phases with its plan."""

    steps: tuple[Step, ...]
    plan: ResidencyPlan


def order_queue(jobs: Sequence[Job], capacity: int, link: Link, ram_bytes: int) -> OrderedQueue | Misfit:
    """Return the order that ends first: as submitted, grouped by models, or grouped with phases batched.

    Of orders that take the same time (to a thousandth) the one that moves the fewest bytes wins, of equal ones the one
    nearest to the submitted. A `Misfit` counts phases in the submitted order.
    """
    found: list[OrderedQueue] = []
    for steps in dict.fromkeys((submitted(jobs), grouped(jobs), batched(jobs, ram_bytes))):
        plan = make_plan([jobs[step.job].phases[step.phase] for step in steps], capacity, link)
        if isinstance(plan, Misfit):
            return plan
        found.append(OrderedQueue(steps, plan))
    soonest = min(order.plan.outcome.seconds for order in found) * (1 + AS_FAST)
    in_time = [order for order in found if order.plan.outcome.seconds <= soonest]
    return min(in_time, key=lambda order: order.plan.outcome.loaded_bytes)


def submitted(jobs: Sequence[Job]) -> tuple[Step, ...]:
    """Return the phases job by job."""
    return tuple(Step(number, phase) for number, job in enumerate(jobs) for phase in range(len(job.phases)))


def grouped(jobs: Sequence[Job]) -> tuple[Step, ...]:
    """Return the phases job by job, jobs with the same models in a row; groups in the order of their first jobs."""
    return tuple(
        Step(number, phase) for group in _groups(jobs) for number in group for phase in range(len(jobs[number].phases))
    )


def batched(jobs: Sequence[Job], ram_bytes: int) -> tuple[Step, ...]:
    """Return the phases group by group, in a group the first phase of every job, then the second of every job …

    What waits between phases takes no more than `ram_bytes` at a time, or one job's where that is more.
    """
    steps: list[Step] = []
    for group in _groups(jobs):
        for members in _within(jobs, group, ram_bytes):
            for phase in range(len(jobs[members[0]].phases)):
                steps += [Step(number, phase) for number in members]
    return tuple(steps)


def _groups(jobs: Sequence[Job]) -> list[list[int]]:
    found: dict[tuple[tuple[str, ...], ...], list[int]] = {}
    for number, job in enumerate(jobs):
        found.setdefault(job.models, []).append(number)
    return list(found.values())


def _within(jobs: Sequence[Job], group: Sequence[int], ram_bytes: int) -> list[list[int]]:
    """Cut a group into parts whose waiting values fit into RAM together."""
    parts: list[list[int]] = []
    waiting = 0
    for number in group:
        if not parts or waiting + jobs[number].waiting_bytes > ram_bytes:
            parts.append([])
            waiting = 0
        parts[-1].append(number)
        waiting += jobs[number].waiting_bytes
    return parts
