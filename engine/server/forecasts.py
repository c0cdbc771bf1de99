"""Saying before a run what it would do, from what is known now: nothing is run, and no running job is waited for.

Keys are made here, in the catalogue's thread, as the executor makes them; where their results are is asked of the
worker, whose control thread answers also while a node computes. One that does not answer soon (native code may hold
its interpreter) leaves what the index on the disk says.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from engine.graph.validate import coerce_inputs
from engine.jobs.supervisor import Supervisor
from engine.paths.private import user_salt
from engine.server.catalogue import Catalogue
from engine.server.prompts import Refusal

if TYPE_CHECKING:
    from engine.execution.cache import Tier

ANSWER_S: Final = 0.03
DEAF_S: Final = 1.0
"""A worker that did not answer is not asked again for so long."""
STATES: Final = ("cached", "runs", "skipped")


class Forecaster:
    """Answers what runs would do. Used in the catalogue's thread alone."""

    def __init__(self, catalogue: Catalogue, supervisor: Supervisor) -> None:
        self._catalogue = catalogue
        self._supervisor = supervisor
        self._salt: str | None = None
        self._looked_in: list[str] = []
        self._deaf_until = 0.0

    def answer(self, body: Mapping[str, Any], user: str | None) -> Refusal | dict[str, Any]:
        """Return ``{nodes, counts, looked_in, node_errors}`` for what would be posted to ``/prompt``."""
        from engine.execution.context import Services
        from engine.execution.forecast import forecast

        accepted = self._catalogue.accept(body, user)
        if isinstance(accepted, Refusal):
            return accepted
        session = self._catalogue.session
        registry, folders = session.registry, session.private.of(user)
        assert accepted.graph is not None
        graph = coerce_inputs(accepted.graph, registry)
        self._looked_in = []
        if self._salt is None:
            self._ask_worker([])
        services = Services(folders=folders, file_identity=folders.identity, salt=user_salt(self._salt or "", user))
        expected = forecast(graph, registry, services, self._ask, accepted.outputs)
        counts = dict.fromkeys(STATES, 0)
        nodes: dict[str, dict[str, Any]] = {}
        for id, one in expected.items():
            counts[one.state] += 1
            nodes[id] = {"state": one.state}
            if one.tier is not None:
                nodes[id]["tier"] = one.tier
            if one.lazy:
                nodes[id]["lazy"] = True
        return {
            "nodes": nodes,
            "counts": counts,
            "looked_in": self._looked_in,
            "outputs": list(accepted.outputs),
            "node_errors": accepted.node_errors,
        }

    def _ask(self, keys: Sequence[str]) -> Mapping[str, Tier]:
        """Say where the results of ``keys`` are; nothing is known before a worker told what its keys depend on."""
        found = self._ask_worker(keys)
        if self._salt is None:
            return {}
        if found is not None:
            self._looked_in = ["memory", "disk"]
            return found
        cache, self._looked_in = self._catalogue.session.cache, ["disk"]
        try:
            return {key: tier for key in keys if (tier := cache.tier_of(key)) is not None}
        except sqlite3.Error:
            return {}

    def _ask_worker(self, keys: Sequence[str]) -> Mapping[str, Tier] | None:
        if not self._supervisor.ready or time.monotonic() < self._deaf_until:
            return None
        try:
            told = self._supervisor.known(keys).result(ANSWER_S)
        except TimeoutError:
            self._deaf_until = time.monotonic() + DEAF_S
            return None
        if told.get("salt") is not None:
            self._salt = told["salt"]
        return told.get("tiers")
