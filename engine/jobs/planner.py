"""The planner: a process that makes plans of memory for a server, one after the other, and computes with no model.

    main thread      makes plans
    control thread   reads what the server says; ends the process when the server is gone

Both directions are lines of JSON. Packs are loaded when a workflow first asks for a node that is not built in, as the
worker loads them: what was not approved is not imported. Plans are made at every change of a workflow, so nodes of
packs that wait for something or write are not run for one.
"""

from __future__ import annotations

import contextlib
import dataclasses
import importlib
import json
import os
import queue
import sys
import threading
from collections.abc import Iterable, Mapping
from typing import IO, Any, Final

from engine.errors import Cancelled, SafelightError
from engine.execution.cancel import CancelToken
from engine.families.rehearsal import Rehearsal
from engine.families.unknown_nodes import NotRehearsed
from engine.graph.api_prompt import graph_from_api
from engine.graph.model import Graph
from engine.jobs.plans import chosen_card, new_rehearsal, plan_graph, plan_record
from engine.jobs.process_tree import refuse_huge_allocations
from engine.jobs.records import plain, settings_from
from engine.memory.budgets import budgets_of
from engine.memory.cards import CARDS, Card

POLITENESS: Final = 10
"""A run has the processor first."""


def main() -> None:
    """Serve the lines of standard input until there are no more."""
    told = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what a node prints is no answer
    if hasattr(os, "nice"):
        with contextlib.suppress(OSError):
            os.nice(POLITENESS)
    lines = iter(sys.stdin.buffer.readline, b"")
    planner = Planner(json.loads(next(lines)))
    threading.Thread(target=planner.control, args=(lines,), name="control", daemon=True).start()
    planner.serve(told)


class Planner:
    """A session that only rehearses, the question that is worked on, and those that wait."""

    def __init__(self, setup: Mapping[str, Any]) -> None:
        import torch

        torch.set_num_threads(1)
        self._settings = settings = dataclasses.replace(settings_from(setup["settings"]), device="cpu")
        module, _, attribute = setup["session"].partition(":")
        self._make_session = getattr(importlib.import_module(module), attribute)
        native = dataclasses.replace(settings, disable_all_custom_nodes=True, whitelist_custom_nodes=())
        self._session = self._make_session(native)
        self._has_packs = False
        if settings.max_ram_bytes is not None:
            refuse_huge_allocations(settings.max_ram_bytes)
        self._rehearsals: dict[Card, Rehearsal] = {}
        self._asked: queue.SimpleQueue[tuple[Mapping[str, Any], CancelToken]] = queue.SimpleQueue()
        self._tokens: dict[int, CancelToken] = {}

    def control(self, lines: Iterable[bytes]) -> None:
        """Take questions and their cancellation; ends this process after the last line."""
        for line in lines:
            message = json.loads(line)
            number = message["id"]
            if message["do"] == "plan":
                self._tokens[number] = CancelToken()
                self._asked.put((message, self._tokens[number]))
            elif number in self._tokens:
                self._tokens[number].cancel()
        os._exit(0)

    def serve(self, told: IO[str]) -> None:
        """Answer one question after the other. Does not return."""
        while True:
            message, token = self._asked.get()
            answer = {"id": message["id"], **self._answer(message, token)}
            del self._tokens[message["id"]]
            told.write(json.dumps(answer) + "\n")
            told.flush()

    def _answer(self, message: Mapping[str, Any], token: CancelToken) -> dict[str, Any]:
        try:
            token.check()
            graph = graph_from_api(message["prompt"])
            foreign = self._foreign(graph)
            if foreign and not self._has_packs:
                self._session, self._has_packs = self._make_session(self._settings), True
                foreign = self._foreign(graph)
            if foreign:
                return {"foreign": foreign}
            card = card_of(message["card"])
            if message["card"].get("found") is not None:  # the card that runs would compute on
                card = budgets_of(self._session.settings).card(card)
            return {
                "plan": plan_record(
                    plan_graph(
                        self._session, graph, card,
                        rehearsal=self._rehearsal(card), user=message["user"], cancel=token, packs=message["packs"],
                    ),
                    graph,
                )
            }  # fmt: skip
        except NotRehearsed as error:
            return {"packs": [error.problem.node_id]}
        except Cancelled:
            return {"cancelled": True}
        except SafelightError as error:
            return {"problems": [plain(problem) for problem in error.problems]}
        except Exception as error:  # noqa: BLE001 (a node's fault; the next question may be another one)
            return {"fault": f"{type(error).__name__}: {str(error)[:300]}"}

    def _rehearsal(self, card: Card) -> Rehearsal:
        """Return a rehearsal for a card; that of the last one is kept."""
        if card not in self._rehearsals:
            self._rehearsals = {card: new_rehearsal(self._session, card)}
        return self._rehearsals[card]

    def _foreign(self, graph: Graph) -> list[str]:
        """Return the nodes that are of no known type."""
        known = self._session.registry.types
        return [id for id, node in graph.nodes.items() if node.type not in known]


def card_of(asked: Mapping[str, Any]) -> Card:
    """Return the card of a question: by name, memory and link as the command line takes them, or one that is here
    (`found`: its name and its bytes). Raises `InputError`."""
    found = asked.get("found")
    if found is None:
        return chosen_card(asked.get("card"), asked.get("vram"), asked.get("link"))
    name, total = found
    short = "".join(letter for letter in name.lower() if letter.isalnum())
    known = next((one for one in sorted(CARDS, key=len, reverse=True) if one in short), None)
    card = chosen_card(known, None, asked.get("link"))
    return dataclasses.replace(card, name=name, total_bytes=total)
