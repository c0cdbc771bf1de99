"""What a person at a terminal sees: one bar a node while the graph runs, a table of the files at the end."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table

from engine.cli.report import human_bytes, human_seconds, title_of
from engine.execution.events import Event, NodeCached, NodeFailed, NodeFinished, NodeProgress, NodeRetried, NodeStarted
from engine.graph.model import Graph
from engine.session import Result

SHORTEST_SHOWN_S = 0.05
"""A node without steps that took less leaves no line behind."""


class Display:
    """Shows a run as it goes; is the run's listener. Lives as long as its `with` block."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._tasks: dict[str, TaskID] = {}
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=30),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=Console(stderr=True),
        )

    def __enter__(self) -> Display:
        self._progress.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._progress.stop()

    def __call__(self, event: Event) -> None:
        """Show one event."""
        match event:
            case NodeStarted(node_id) if node_id not in self._tasks:  # inside a loop it starts in each round
                self._tasks[node_id] = self._progress.add_task(self._name(node_id), total=None)
            case NodeProgress(node_id, step, total) if node_id in self._tasks:
                self._progress.update(self._tasks[node_id], completed=step, total=total)
            case NodeFinished(node_id, seconds):
                self._finish(node_id, seconds)
            case NodeFailed(node_id):
                self._progress.console.print(f"{self._name(node_id)}: failed", style="red", markup=False)
                self._remove(node_id)
            case NodeRetried(node_id, how):
                line = f"{self._name(node_id)}: out of memory, tried again {how}"
                self._progress.console.print(line, style="yellow", markup=False)
            case NodeCached(node_id):
                self._progress.console.print(f"{self._name(node_id)}: unchanged, taken from the cache", markup=False)
            case _:
                pass

    def _finish(self, node_id: str, seconds: float) -> None:
        task = self._tasks.get(node_id)
        shown = next((one for one in self._progress.tasks if one.id == task), None)
        if task is None or shown is None:
            return
        if shown.total is None and seconds < SHORTEST_SHOWN_S:
            self._remove(node_id)
            return
        total = shown.total or 1
        self._progress.update(task, completed=total, total=total)
        self._progress.stop_task(task)

    def _remove(self, node_id: str) -> None:
        task = self._tasks.pop(node_id, None)
        if task is not None:
            self._progress.remove_task(task)

    def _name(self, node_id: str) -> str:
        return title_of(self._graph, node_id).replace("[", "(").replace("]", ")")


def print_table(result: Result) -> None:
    """Print which node saved which files, and how long the run took."""
    table = Table(box=None, pad_edge=False)
    for heading in ("node", "file", "size"):
        table.add_column(heading, overflow="fold")
    for id in result.made.outputs:
        node = result.graph.nodes[id]
        for file in result.made.nodes[id].files:
            path = Path(file.path)
            size = human_bytes(path.stat().st_size) if path.is_file() else ""
            table.add_row(_plain(node.title or node.type), _plain(_short(path)), size)
    console = Console()
    console.print(table)
    console.print(f"done in {human_seconds(result.made.seconds)}", markup=False, highlight=False)


def _short(path: Path) -> str:
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)


def _plain(text: str) -> str:
    return text.replace("[", r"\[")
