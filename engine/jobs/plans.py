"""Plans of memory: what a workflow will take of a card, node by node, before it runs and without the card.

The command line and the server answer with the same plan, because both make it here.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from engine.errors import Cancelled, GraphError, InputError, SafelightError
from engine.execution.cancel import CancelToken
from engine.execution.context import CURRENT, Services
from engine.execution.events import Event, NodeStarted
from engine.execution.rehearse import rehearse
from engine.graph.model import Graph
from engine.graph.validate import coerce_inputs
from engine.memory.blocks import SMALLEST_BLOCK
from engine.memory.budgets import budgets_of
from engine.memory.cards import Card, card_named
from engine.memory.making import DISK_SPEED
from engine.session import Session
from engine.settings import parse_bytes

if TYPE_CHECKING:
    from engine.families.memory_plan import MemoryPlan, NodeMemory
    from engine.families.ram_plan import RamChoice, RamPart
    from engine.families.rehearsal import Rehearsal

DEFAULT_CARD = "rtx4060"


def chosen_card(name: str | None, vram: str | None, link: str | None) -> Card:
    """Return a card by name, with another memory or link where they are given. Raises `InputError`."""
    card = card_named(name or DEFAULT_CARD)
    if vram is not None:
        total = parse_bytes(vram, "--vram")
        card = dataclasses.replace(card, total_bytes=total, name=card.name if name else "a card of this class")
    if link is not None:
        speed = parse_bytes(link.strip().lower().removesuffix("/s"), "--link")
        card = dataclasses.replace(card, link_speed=float(speed))
    if card.usable_bytes <= 0 or card.link_speed <= 0:
        raise InputError(
            "no plan can be made for a card without memory, or without a link",
            expected=f"--vram above {card.context_bytes / 2**30:.2f} GiB, which the driver keeps, and --link above 0",
            got=f"{card.total_bytes} bytes, {card.link_speed:.0f} bytes a second",
        )
    return card


def plan_graph(
    session: Session,
    graph: Graph,
    card: Card,
    block_bytes: int | None = None,
    *,
    rehearsal: Rehearsal | None = None,
    user: str | None = None,
    cancel: CancelToken | None = None,
    packs: bool = True,
) -> MemoryPlan:
    """Rehearse a graph with the files of `user` and plan what it asks for, within the session's budgets of weights.

    A `rehearsal` for the same card that was used before saves time. Raises as `rehearse_graph` does.
    """
    from engine.families.memory_plan import plan_memory

    rehearsal = rehearsal or new_rehearsal(session, card)
    rehearse_graph(session, graph, rehearsal, user=user, cancel=cancel, packs=packs)
    budgets = budgets_of(session.settings)
    return plan_memory(rehearsal, card, rehearsal.store, block_bytes or SMALLEST_BLOCK, budgets, session.measured)


def new_rehearsal(session: Session, card: Card) -> Rehearsal:
    """Return a rehearsal for runs of a session on a card. Profiles are kept beside the stored results, or nowhere where
    none are to be stored."""
    from engine.families.rehearsal import Rehearsal
    from engine.memory.measured import profile_directory
    from engine.memory.profile import ProfileStore

    settings = session.settings
    store = ProfileStore(profile_directory(settings, session.folders.directories("user")[0]))
    return Rehearsal(card, settings.dtype, store)


def rehearse_graph(
    session: Session,
    graph: Graph,
    rehearsal: Rehearsal,
    *,
    outputs: Sequence[str] | None = None,
    user: str | None = None,
    cancel: CancelToken | None = None,
    with_kept: bool = False,
    packs: bool = True,
) -> None:
    """Rehearse a graph with the files of `user`: `rehearsal` has what its nodes ask of models on the way to `outputs`.

    With `with_kept` the results that the session keeps are found as a run finds them, and what made them is not asked
    for again. Without `packs` no node of a pack is run (`NotRehearsed`). Raises
    `Cancelled` soon after `cancel` is set, `GraphError` where it cannot run, and what a node raises for wrong input.
    """
    from engine.families.unknown_nodes import noting_unknown

    problems = session.problems(graph, outputs, user)
    if problems:
        raise GraphError(problems)
    started = [""]
    rehearsal.begin(lambda: _current() or started[0])
    registry = noting_unknown(session.registry, rehearsal, session.measured, packs=packs)

    def listen(event: Event) -> None:
        if isinstance(event, NodeStarted):
            started[0] = event.display_id or event.node_id

    folders = session.private.of(user)
    services = Services(
        folders=folders,
        models=rehearsal,
        settings=session.settings,
        file_identity=folders.identity,
        salt=session.services_for(user).salt if with_kept else "rehearsal",
    )
    ready, kept = coerce_inputs(graph, session.registry), session.cache if with_kept else None
    made = rehearse(ready, registry, services, listen, cancel, outputs=outputs, kept=kept)
    for error in made.errors:
        raise error if isinstance(error, InputError) else _no_rehearsal(error) from error
    if made.cancelled or (cancel is not None and cancel.cancelled):
        raise Cancelled()


def _current() -> str | None:
    """Return where the node is shown whose code runs here; a thread that a node started has none."""
    context = CURRENT.get()
    return None if context is None else context.scope.display_id(context.node_id) or context.node_id


def _no_rehearsal(error: SafelightError) -> InputError:
    """Return what says that a node fails before anything can be planned."""
    problem = error.problem
    told = InputError(
        f"the workflow cannot be planned, because a node fails: {problem.message}",
        expected=problem.expected,
        got=problem.got,
        hint=problem.hint,
    )
    return told if problem.node_id is None else told.at(problem.node_id, problem.node_title)  # type: ignore[return-value]


def plan_record(made: MemoryPlan, graph: Graph) -> dict[str, Any]:
    """Return a plan as plain data."""
    card, outcome = made.card, made.plan.outcome if made.plan else None
    return {
        "ok": made.fits,
        "fits": made.fits,
        "measured": bool(made.nodes) and all(node.basis == "measured" for node in made.nodes),
        "card": {
            "name": card.name,
            "vram_bytes": card.total_bytes,
            "usable_bytes": card.usable_bytes,
            "link_bytes_per_second": card.link_speed,
            "operations_per_second": card.flops,
            "memory_bytes_per_second": card.memory_speed,
        },
        "smallest_vram_bytes": made.smallest_bytes,
        "peak_bytes": max((node.peak_bytes for node in made.nodes), default=0),
        "moved_bytes": outcome.loaded_bytes if outcome else None,
        "compute_seconds": round(sum(node.compute_seconds for node in made.nodes), 4),
        "stall_seconds": round(outcome.stall_seconds, 4) if outcome else None,
        "policy": made.plan.policy if made.plan else None,
        "room_bytes": made.plan.room if made.plan else None,
        "ram": None if made.chosen is None else _ram_record(made.chosen),
        "nodes": [_node_record(node, graph) for node in made.nodes],
    }


def _ram_record(chosen: RamChoice) -> dict[str, Any]:
    ram = chosen.ram
    return {
        "peak_bytes": ram.peak_bytes,
        "read_bytes": ram.read_bytes,
        "read_seconds": round(ram.read_bytes / DISK_SPEED, 3),
        "disk_bytes_per_second": DISK_SPEED,
        "within_budget": not ram.over,
        "needed_bytes": chosen.needed_bytes,
        "aside_bytes": ram.aside_bytes,
        "policy": ram.policy,
        "parts": [_part_record(part) for part in chosen.parts],
    }


def _part_record(part: RamPart) -> dict[str, Any]:
    return {
        "model": part.model,
        "held_bytes": part.held_bytes,
        "anew_bytes": part.anew_bytes,
        "blocks": part.blocks,
        "blocks_anew": part.blocks_anew,
        "made_bytes": part.made_bytes,
        "made_seconds": round(part.made_seconds, 4),
    }


def _node_record(node: NodeMemory, graph: Graph) -> dict[str, Any]:
    return {
        "node": node.node_id,
        "title": _title(graph, node.node_id),
        "type": graph.nodes[node.node_id].type if node.node_id in graph.nodes else None,
        "models": list(node.models),
        "calls": node.calls,
        "fits": node.fits,
        "basis": node.basis,
        "peak_bytes": node.peak_bytes,
        "activation_bytes": node.activation_bytes,
        "weight_bytes": node.weight_bytes,
        "needed_bytes": node.needed_bytes,
        "resident_bytes": node.resident_bytes,
        "moved_bytes": node.moved_bytes,
        "compute_seconds": round(node.compute_seconds, 4),
        "stall_seconds": None if node.stall_seconds is None else round(node.stall_seconds, 4),
        "would_fit": list(node.ways),
    }


def _title(graph: Graph, node_id: str) -> str:
    node = graph.nodes.get(node_id)
    return node_id if node is None else node.title or node.type
