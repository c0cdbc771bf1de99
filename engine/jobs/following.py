"""Before a run: a plan of the whole graph for the device that it runs on, which streaming then keeps to.

What cannot run is refused here, before anything does: with the smallest budget that could, and what to change.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from engine.errors import InputError
from engine.execution.events import Event, NodeFailed, NodeFinished, NodeRetried, NodeStarted
from engine.graph.model import Graph
from engine.jobs.plans import plan_graph
from engine.memory.budgets import Budgets, budgets_of
from engine.memory.cards import Card, card_like
from engine.memory.measured import Measured
from engine.session import Session

if TYPE_CHECKING:
    from engine.families.memory_plan import MemoryPlan, NodeMemory
    from engine.memory.streaming_residency import StreamingResidency

SIM_FLOPS, SIM_MEMORY, SIM_LINK = 50e9, 10e9, 1e9
"""What a simulated device is taken to reach; only the order of loads depends on it."""
SIM_MARGIN = 0.25
"""What nodes hold beside what networks do, as a share of it."""


def follow_plan(session: Session, graph: Graph) -> MemoryPlan | None:
    """Let a device that is streamed to keep to a plan of the whole graph; returns it, None for other devices.

    Raises `InputError` where the budgets cannot hold even one block beside what a node needs, `GraphError` where the
    graph cannot run.
    """
    models: StreamingResidency = session.services.models
    if not hasattr(models, "streamed"):
        return None
    budgets = budgets_of(session.settings)
    card = device_card(models, budgets)
    made = plan_graph(session, graph, card, models.block_bytes, ram_bytes=models.budget_bytes)
    check_budgets(made, budgets, session.settings.device)
    if made.ram is not None:
        models.settle({key: made.ram.held.get(key) for use in made.ram.uses for key in use})
        models.expect(made.ram.uses if made.ram.policy == "next use" else ())
    planned = made.to_follow()
    if planned is not None:
        models.streamed.follow(planned)
    return made


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
    """Raise `InputError` where a budget cannot hold a plan's largest block, or what a node needs beside one.

    A node that can be done in smaller parts is no reason to refuse: it is done so when memory runs out.
    """
    largest = max((block.nbytes for blocks in made.blocks.values() for block in blocks), default=0)
    total, usable = made.card.total_bytes, made.card.usable_bytes
    if largest > usable:
        raise InputError(
            "the device cannot hold even one block of the weights",
            expected=f"at least {made.smallest_bytes} bytes for the whole workflow, {largest} for its largest block",
            got=f"{total} bytes",
            hint=f"give it more, like {_more(made.smallest_bytes, budgets, device)}",
        )
    if budgets.weight_bytes is not None and largest > budgets.weight_bytes:
        raise InputError(
            "the budget of weights cannot hold even one block of them",
            expected=f"at least {largest} bytes",
            got=f"{budgets.weight_bytes} bytes",
            hint=f"give them more, like --memory-bytes {_mib(largest)}",
        )
    needed = None if made.chosen is None else made.chosen.needed_bytes
    if budgets.ram_bytes is not None and needed is not None and budgets.ram_bytes < needed:
        raise InputError(
            "the budget of RAM cannot hold what one node needs at a time",
            expected=f"at least {needed} bytes",
            got=f"{budgets.ram_bytes} bytes",
            hint=f"give it more, like --ram-budget {_mib(needed)}",
        )
    stuck = [node for node in made.nodes if not _may_run(node, made.card)]
    if stuck:
        worst = max(stuck, key=lambda node: node.needed_bytes)
        raise InputError(
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
