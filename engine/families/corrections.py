"""What nodes were measured to take, against what was predicted: the next plan of the same work on the same device is
corrected by it.

A node's work is told by the calls that it makes (of which weights, with which sizes, how often), not by its place in a
graph. Peaks are those of all tensors made while its networks computed, seconds those of the node less what it is
planned to wait.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from engine.families.profiles import NetworkCall
from engine.memory.cards import Card
from engine.memory.measured import Measured, MeasuredStore
from engine.memory.phases import Phase

__all__ = ["corrected", "work_facts"]

Call = tuple[str, NetworkCall, int]
"""Key of weights, call, and how often it is made in a row."""


def work_facts(card: Card, dtype: str, calls: Sequence[Call]) -> dict[str, Any]:
    """Return under which facts it is kept what this work took on a device."""
    made = [[key, dataclasses.asdict(call), times] for key, call, times in calls]
    return {"device": card.name, "kind": card.kind, "dtype": dtype, "calls": made}


def corrected(
    phases: Sequence[Phase],
    works: Sequence[Mapping[str, Any]],
    card: Card,
    measured: MeasuredStore,
) -> tuple[list[Phase], list[bool]]:
    """Return phases as they were measured, and which of them were. ``works[i]`` are the facts of the node of phase i.

    Of a node with several phases all are corrected by the same factors: what was measured is the node's.
    """
    by_node: dict[str, list[int]] = {}
    for number, phase in enumerate(phases):
        by_node.setdefault(phase.name, []).append(number)
    made, known = list(phases), [False] * len(phases)
    for numbers in by_node.values():
        work = works[numbers[0]]
        found = measured.get(work) if work else None
        if found is None:
            continue
        own = [phases[number] for number in numbers]
        for number, phase in zip(numbers, _scaled(own, found, card), strict=True):
            made[number], known[number] = phase, True
    return made, known


def _scaled(own: Sequence[Phase], found: Measured, card: Card) -> list[Phase]:
    predicted = max(card.predicted(phase.activation_bytes) for phase in own)
    seconds = sum(phase.seconds for phase in own)
    bigger = found.peak_bytes / predicted if found.peak_bytes and predicted else 1.0
    longer = found.seconds / seconds if found.seconds and seconds else 1.0
    return [
        dataclasses.replace(
            phase,
            activation_bytes=card.set_aside(round(card.predicted(phase.activation_bytes) * bigger)),
            accesses=tuple(dataclasses.replace(one, seconds=one.seconds * longer) for one in phase.accesses),
        )
        for phase in own
    ]
