"""A plan of the memory for people at a terminal: a table with a bar for each node, and what it comes to."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from rich.text import Text

from engine.cli.report import human_bytes, human_seconds, title_of
from engine.graph.model import Graph
from engine.memory.making import DISK_SPEED

if TYPE_CHECKING:
    from engine.families.memory_plan import MemoryPlan, NodeMemory
    from engine.families.ram_plan import RamChoice

BAR = 16
FULL, PART, EMPTY = "█", "▓", "·"


def print_plan(made: MemoryPlan, graph: Graph) -> None:
    """Print what each node takes, what does not fit and what would, and the whole."""
    console = Console()
    card = made.card
    console.print(
        f"{card.name}: {_gib(card.total_bytes)}, of which {_gib(card.usable_bytes)} can be used; "
        f"link {card.link_speed / 1e9:g} GB/s. Predicted, not measured.",
        markup=False,
        highlight=False,
        soft_wrap=True,
    )
    if not made.nodes:
        console.print("no node of this workflow computes with a model")
        return
    table = Table(box=None, pad_edge=False)
    for heading in ("node", "memory", "at most", "weights", "moved", "computing", "waiting", ""):
        table.add_column(
            heading, justify="left" if heading in ("node", "memory") else "right", no_wrap=heading != "node"
        )
    for node in made.nodes:
        table.add_row(*_row(node, made, graph))
    console.print(table)
    console.print(f"{FULL} weights  {PART} activations  of what can be used", style="dim", highlight=False)
    _print_sum(console, made, graph)
    _print_ram(console, made.chosen)


def _row(node: NodeMemory, made: MemoryPlan, graph: Graph) -> tuple[Text | str, ...]:
    return (
        Text(title_of(graph, node.node_id)),
        _bar(node, made.card.usable_bytes),
        _gib(node.peak_bytes),
        _gib(node.weight_bytes),
        "" if node.moved_bytes is None else human_bytes(node.moved_bytes),
        human_seconds(node.compute_seconds),
        "" if node.stall_seconds is None else human_seconds(node.stall_seconds),
        Text("fits", "green") if node.fits else Text("too large", "red"),
    )


def _bar(node: NodeMemory, usable: int) -> Text:
    """Draw weights and activations as shares of what can be used; one too large fills the bar."""
    resident = max(0, node.peak_bytes - node.activation_bytes)
    weights = min(BAR, round(BAR * resident / usable))
    activations = min(BAR - weights, max(1, round(BAR * node.activation_bytes / usable)))
    text = Text(FULL * weights, "cyan")
    text.append(PART * activations, "yellow" if node.fits else "red")
    return text.append(EMPTY * (BAR - weights - activations), "dim")


def _print_sum(console: Console, made: MemoryPlan, graph: Graph) -> None:
    computing = sum(node.compute_seconds for node in made.nodes)
    if made.plan is None:
        for node in made.nodes:
            if not node.fits:
                name = title_of(graph, node.node_id)
                console.print(
                    f"does not fit: {name} needs {_gib(node.needed_bytes)}; what would: " + "; ".join(node.ways),
                    markup=False,
                    highlight=False,
                    style="red",
                    soft_wrap=True,
                )
        console.print(f"the smallest card for this workflow as it is: {_gib(made.smallest_bytes)}", highlight=False)
        return
    outcome = made.plan.outcome
    share = 100 * outcome.stall_seconds / computing if computing else 0.0
    console.print(
        f"fits: {human_bytes(outcome.loaded_bytes)} moved, {human_seconds(computing)} computing, "
        f"{human_seconds(outcome.stall_seconds)} waiting for weights ({share:.1f} %). "
        f"The smallest card that could: {_gib(made.smallest_bytes)}.",
        markup=False,
        highlight=False,
        soft_wrap=True,
    )


def _print_ram(console: Console, chosen: RamChoice | None) -> None:
    if chosen is None or not (chosen.ram.read_bytes or chosen.parts):
        return
    ram = chosen.ram
    over = "" if not ram.over else "; the budget of RAM cannot hold what one node needs"
    lines = [
        f"RAM: {_gib(ram.peak_bytes)} of weights at most, {human_bytes(ram.read_bytes)} read from the disk "
        f"({human_seconds(ram.read_bytes / DISK_SPEED)} at {DISK_SPEED / 1e9:g} GB/s){over}."
    ]
    lines += [
        f"RAM holds {_gib(part.held_bytes)} of {part.model}; {_gib(part.anew_bytes)} in {part.blocks_anew} of "
        f"{part.blocks} blocks are made anew when they are loaded: {human_bytes(part.made_bytes)}, "
        f"{human_seconds(part.made_seconds)} in all."
        for part in chosen.parts
    ]
    for line in lines:
        console.print(line, markup=False, highlight=False, soft_wrap=True)


def _gib(nbytes: int) -> str:
    return f"{nbytes / 2**30:.2f} GiB"
