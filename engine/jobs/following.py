"""Runs by plan: a plan of the whole graph for the device that it runs on, which streaming then keeps to.

The command line and the worker both run here. What cannot run is refused before anything does, with the smallest budget
that could and what to change. Where no plan can be made, what was used last stays, and the run says why.
"""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from engine.errors import GraphError, InputError, SafelightError
from engine.execution.cancel import CancelToken
from engine.execution.events import Event, Listener, NodeFailed, NodeFinished, NodeRetried, NodeStarted, broadcast
from engine.families.unknown_nodes import NotRehearsed
from engine.graph.model import Graph
from engine.jobs.plans import new_rehearsal, rehearse_graph
from engine.memory.budgets import Budgets, budgets_of
from engine.memory.cards import Card, card_like
from engine.memory.measured import Measured
from engine.session import Result, Session

if TYPE_CHECKING:
    from engine.families.memory_plan import Around, MemoryPlan, NodeMemory
    from engine.families.rehearsal import NotedCall, Rehearsal, UnknownWork
    from engine.memory.streaming_residency import StreamingResidency

SIM_FLOPS, SIM_MEMORY, SIM_LINK = 50e9, 10e9, 1e9
"""What a simulated device is taken to reach; only the order of loads depends on it."""
SIM_MARGIN = 0.25
"""What nodes hold beside what networks do, as a share of it."""


_log = logging.getLogger("safelight.memory")


class TooSmall(InputError):
    """Say that a budget cannot hold what a workflow needs, whatever is done about it."""


@dataclasses.dataclass(frozen=True, slots=True)
class Wanted:
    """Say what is to be run: a graph, the outputs that are wanted of it (None: all), and with whose files."""

    graph: Graph
    outputs: Sequence[str] | None = None
    user: str | None = None


class PlannedRuns:
    """Run the workflows of a session one after the other, each by a plan where its device is streamed to.

    What a run left on the device is known to the plan of the next, and each keeps for it what has room.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self._rehearsal: Rehearsal | None = None

    def run(
        self,
        graph: Graph,
        *,
        outputs: Sequence[str] | None = None,
        listener: Listener | None = None,
        cancel: CancelToken | None = None,
        measure: bool = False,
        user: str | None = None,
        coming: Callable[[], Wanted] | None = None,
    ) -> tuple[Result, dict[str, Any] | None]:
        """Run as `Session.run` does; return its result, and what was planned and done (None: nothing is streamed).

        That is the `policy` by which weights stayed, the bytes that were to be moved (`planned_bytes`, None without a
        plan) and that were (`moved_bytes`), how often something else happened (`replans`), and the `reason` why
        there was no plan. `coming` tells what is run next, and may raise where it cannot. Raises `TooSmall` as well.
        """
        # A CPU that was asked for is known to stream nothing before anything is loaded.
        models = None if self._session.settings.device == "cpu" else _streaming(self._session)
        if models is None:
            return self._session.run(
                graph, outputs=outputs, listener=listener, cancel=cancel, measure=measure, user=user
            ), None  # fmt: skip
        streamed, (made, reason) = models.streamed, self._planned(models, Wanted(graph, outputs, user), cancel, coming)
        moved, replans = streamed.device.loaded_bytes, streamed.replans
        learner = None if made is None else Learner(self._session, made)
        heard = broadcast(*[one for one in (listener, learner) if one is not None])
        result = self._session.run(graph, outputs=outputs, listener=heard, cancel=cancel, measure=measure, user=user)
        if learner is not None:
            learner.keep()
        plan = None if made is None else made.plan
        return result, {
            "policy": "recency" if plan is None else plan.policy,
            "planned_bytes": None if plan is None else streamed.planned_bytes,
            "moved_bytes": streamed.device.loaded_bytes - moved,
            "replans": streamed.replans - replans,
            "reason": reason,
        }

    def _planned(
        self,
        models: StreamingResidency,
        now: Wanted,
        cancel: CancelToken | None,
        coming: Callable[[], Wanted] | None,
    ) -> tuple[MemoryPlan | None, str | None]:
        """Plan a run; return the plan, or why there is none. Raises `GraphError` and `TooSmall`."""
        from engine.families.memory_plan import Around

        try:
            rehearsal = self._rehearsal
            if rehearsal is None:  # once: most of a plan's time goes into what it keeps
                card = device_card(models, budgets_of(self._session.settings))
                rehearsal = self._rehearsal = new_rehearsal(self._session, card)
            around = Around(models.streamed.resident(), self._work_of(rehearsal, coming, cancel))
            made = follow_plan(
                self._session, now.graph, rehearsal=rehearsal, around=around,
                outputs=now.outputs, user=now.user, cancel=cancel, with_kept=True, packs=False,
            )  # fmt: skip
        except (GraphError, TooSmall):
            raise
        except Exception as error:  # noqa: BLE001 (a run needs no plan: it only moves more without one)
            reason = _reason(error)
            models.expect(())
            models.streamed.follow(None)
            if cancel is None or not cancel.cancelled:
                level = logging.DEBUG if isinstance(error, NotRehearsed) else logging.WARNING
                _log.log(level, "what was used last stays on the device, for want of a plan: %s", reason)
            return None, reason
        return made, None if made is None or made.fits else "it fits in smaller parts alone"

    def _work_of(
        self,
        rehearsal: Rehearsal,
        coming: Callable[[], Wanted] | None,
        cancel: CancelToken | None,
    ) -> Sequence[NotedCall | UnknownWork]:
        """Return what the next run will ask of models: nothing where that is not known, or packs would have to tell."""
        if coming is None:
            return ()
        try:
            then, types = coming(), self._session.registry.types
            if not all(types[node.type].lasting for node in then.graph.nodes.values()):
                return ()
            rehearse_graph(
                self._session, then.graph, rehearsal,
                outputs=then.outputs, user=then.user, cancel=cancel, with_kept=True,
            )  # fmt: skip
            return rehearsal.calls
        except Exception as error:  # noqa: BLE001 (its own run will tell)
            _log.debug("what runs next is not known: %s", error)
            return ()


def _reason(error: Exception) -> str:
    if not isinstance(error, SafelightError):
        return f"{type(error).__name__}: {error}"
    problem = error.problem
    return problem.message if problem.node_id is None else f"node {problem.node_id}: {problem.message}"


def follow_plan(
    session: Session,
    graph: Graph,
    *,
    rehearsal: Rehearsal | None = None,
    around: Around | None = None,
    outputs: Sequence[str] | None = None,
    user: str | None = None,
    cancel: CancelToken | None = None,
    with_kept: bool = False,
    packs: bool = True,
) -> MemoryPlan | None:
    """Let a device that is streamed to keep to a plan of the whole graph; returns it, None for other devices.

    Raises `TooSmall` where the budgets cannot hold even one block beside what a node needs, and as
    `engine.jobs.plans.rehearse_graph` does, whose parameters these are.
    """
    from engine.families.memory_plan import plan_memory

    models = _streaming(session)
    if models is None:
        return None
    budgets = budgets_of(session.settings)
    card = device_card(models, budgets)
    rehearsal = rehearsal or new_rehearsal(session, card)
    rehearse_graph(
        session, graph, rehearsal, outputs=outputs, user=user, cancel=cancel, with_kept=with_kept, packs=packs
    )  # fmt: skip
    # Without a budget of RAM its owner has one of its own.
    held = budgets if budgets.ram_bytes is not None else dataclasses.replace(budgets, ram_bytes=models.budget_bytes)
    made = plan_memory(rehearsal, card, rehearsal.store, models.block_bytes, held, session.measured, around)
    check_budgets(made, budgets, session.settings.device)
    if made.ram is not None:
        models.settle({key: made.ram.held.get(key) for use in made.ram.uses for key in use})
    planned = made.to_follow()
    models.expect(made.ram.uses if made.ram is not None and made.ram.policy == "next use" else ())
    models.streamed.follow(planned)
    return made


def _streaming(session: Session) -> StreamingResidency | None:
    """Return the owner of weights where it streams them."""
    models: Any = session.services.models
    return models if hasattr(models, "streamed") else None


class Learner:
    """Listen to a run that was planned, and keep what its nodes took for the next plan.

    What was tried again, failed, or came from a cache teaches nothing.
    """

    def __init__(self, session: Session, made: MemoryPlan) -> None:
        self._session, self._made = session, made
        self._streamed = session.services.models.streamed
        self._peaks: dict[str, int] = {}
        self._seconds: dict[str, float] = {}
        self._odd: set[str] = set()

    def __call__(self, event: Event) -> None:
        """Hear of a node. The executor tells each start and end before it goes on."""
        match event:
            case NodeStarted():
                self._streamed.lately_made = 0
            case NodeFinished():
                node = event.display_id or event.node_id
                self._peaks[node] = max(self._peaks.get(node, 0), self._streamed.lately_made)
                self._seconds[node] = self._seconds.get(node, 0.0) + event.seconds
            case NodeRetried() | NodeFailed():
                self._odd.add(event.display_id or event.node_id)

    def keep(self) -> None:
        """Keep what was heard."""
        waited = {node.node_id: node.stall_seconds or 0.0 for node in self._made.nodes}
        for node, facts in self._made.work.items():
            if node in self._seconds and node not in self._odd:
                seconds = max(0.0, self._seconds[node] - waited.get(node, 0.0))
                self._session.measured.put(facts, Measured(self._peaks[node], seconds))


def device_card(models: Any, budgets: Budgets) -> Card:
    """Return what the device that `models` stream to is as a card, within the budgets."""
    device = models.streamed.device
    if device.counts_activations:
        return Card(
            "simulated", device.total_bytes, SIM_FLOPS, SIM_MEMORY, SIM_LINK, context_bytes=0,
            kind=models.device.kind, margin_share=SIM_MARGIN, margin_bytes=0,
        )  # fmt: skip
    import torch

    name = torch.cuda.get_device_name(models.device.device) if models.device.device.type == "cuda" else "a card"
    card = dataclasses.replace(card_like(name, models.device.total_bytes), kind=models.device.kind)
    if device.link_speed is not None:
        card = dataclasses.replace(card, link_speed=device.link_speed)
    return budgets.card(card)


def check_budgets(made: MemoryPlan, budgets: Budgets, device: str) -> None:
    """Raise `TooSmall` where a budget cannot hold a plan's largest block, or what a node needs beside one.

    A node that can be done in smaller parts is no reason to refuse: it is done so when memory runs out.
    """
    largest = max((block.nbytes for blocks in made.blocks.values() for block in blocks), default=0)
    total, usable = made.card.total_bytes, made.card.usable_bytes
    if largest > usable:
        raise TooSmall(
            "the device cannot hold even one block of the weights",
            expected=f"at least {made.smallest_bytes} bytes for the whole workflow, {largest} for its largest block",
            got=f"{total} bytes",
            hint=f"give it more, like {_more(made.smallest_bytes, budgets, device)}",
        )
    if budgets.weight_bytes is not None and largest > budgets.weight_bytes:
        raise TooSmall(
            "the budget of weights cannot hold even one block of them",
            expected=f"at least {largest} bytes",
            got=f"{budgets.weight_bytes} bytes",
            hint=f"give them more, like --memory-bytes {_mib(largest)}",
        )
    needed = None if made.chosen is None else made.chosen.needed_bytes
    if budgets.ram_bytes is not None and needed is not None and budgets.ram_bytes < needed:
        raise TooSmall(
            "the budget of RAM cannot hold what one node needs at a time",
            expected=f"at least {needed} bytes",
            got=f"{budgets.ram_bytes} bytes",
            hint=f"give it more, like --ram-budget {_mib(needed)}",
        )
    stuck = [node for node in made.nodes if not _may_run(node, made.card)]
    if stuck:
        worst = max(stuck, key=lambda node: node.needed_bytes)
        raise TooSmall(
            f"the workflow does not fit: node {worst.node_id} needs {worst.needed_bytes} bytes at least",
            expected=f"a device that lets it take {made.smallest_bytes} bytes",
            got=f"{total} bytes, of which {usable} can be used",
            hint=" or ".join((_more(made.smallest_bytes, budgets, device), *worst.ways[1:])),
        )


def _may_run(node: NodeMemory, card: Card) -> bool:
    """Say whether a node could run: without what is set aside for being wrong, or in smaller parts."""
    predicted = card.predicted(node.activation_bytes)
    fits = node.needed_bytes - node.activation_bytes + predicted <= card.usable_bytes
    return fits or any("by itself" in way for way in node.ways)


def _more(needed: int, budgets: Budgets, device: str) -> str:
    """Return the flag that has to be larger."""
    if budgets.vram_bytes is not None:
        return f"--vram-budget {_mib(needed)}"
    if device.startswith("sim:"):
        return f"--device sim:{_mib(needed + budgets.reserve_bytes)}"
    return f"a card with {needed / 2**30:.1f} GiB" if not budgets.reserve_bytes else "a smaller --reserve-vram"


def _mib(nbytes: int) -> str:
    return f"{-(-nbytes // 2**20)}MiB"
