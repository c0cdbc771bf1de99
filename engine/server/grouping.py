"""Jobs of one client in the order in which weights are loaded least: first what computes with the last job's models.

The planner's order for a queue (`engine.memory.queue_order`) at the grain that a server has, whole jobs: those with the
same models in a row, groups as they came. No result depends on it. It changes only which of its own jobs a client gets
on its turn, of those whose place nobody chose, and no job is passed over more than `MOST_OVERTAKEN` times.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Final

from engine.graph.node_types import FolderChoices
from engine.graph.registry import Registry
from engine.server.job_rows import QueuedJob

__all__ = ["MOST_OVERTAKEN", "Grouping"]

MOST_OVERTAKEN: Final = 20
NO_MODELS: Final = ("input", "output", "temp", "user")

Models = frozenset[tuple[str, str]]
"""Names of model files, each with its folder."""


class Grouping:
    """Chooses among the waiting jobs of a client. Used in the event loop."""

    def __init__(self, registry: Registry | None = None) -> None:
        self._inputs = {} if registry is None else _model_inputs(registry)
        self._known: dict[str, Models] = {}
        self._overtaken: dict[str, int] = {}
        self._last: Models = frozenset()

    def choose(self, jobs: Sequence[QueuedJob]) -> QueuedJob:
        """Return which of a client's jobs, in their order and at least one, is to run now."""
        head = jobs[0]
        chosen = head
        if self._overtaken.get(head.id, 0) < MOST_OVERTAKEN and self._models(head) != self._last:
            chosen = next((job for job in jobs if self._models(job) == self._last), head)
        for job in jobs:
            if job is chosen:
                break
            self._overtaken[job.id] = self._overtaken.get(job.id, 0) + 1
        return chosen

    def begin(self, job: QueuedJob) -> None:
        """Note that a job runs now."""
        self._last = self._models(job)
        self.forget(job.id)

    def forget(self, id: str) -> None:
        """Note that a job does not wait any more."""
        self._known.pop(id, None)
        self._overtaken.pop(id, None)

    def _models(self, job: QueuedJob) -> Models:
        if job.id not in self._known:
            self._known[job.id] = models_of(json.loads(job.prompt), self._inputs)
        return self._known[job.id]


def models_of(prompt: Mapping[str, Mapping[str, object]], inputs: Mapping[str, Mapping[str, str]]) -> Models:
    """Return the model files that an API prompt names; ``inputs`` are those of each node type, with their folders."""
    found = set()
    for node in prompt.values():
        given = node.get("inputs")
        for name, folder in inputs.get(str(node.get("class_type")), {}).items():
            value = given.get(name) if isinstance(given, Mapping) else None
            if isinstance(value, str):
                found.add((folder, value))
    return frozenset(found)


def _model_inputs(registry: Registry) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = {}
    for name, one in registry.types.items():
        for parameter in one.inputs:
            choices = parameter.choices
            if isinstance(choices, FolderChoices) and choices.folder not in NO_MODELS:
                found.setdefault(name, {})[parameter.name] = choices.folder
    return found
