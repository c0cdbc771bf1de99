"""The command ``run``: from a file to pictures, with progress for people and one JSON object for programs."""

from __future__ import annotations

import argparse
import contextlib
import logging
import signal
import sys
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.cli.arguments import settings_from
from engine.cli.report import peak_memory_bytes, print_json, print_problems, problem_records, title_of
from engine.errors import Cancelled, InputError
from engine.execution.cancel import CancelToken
from engine.execution.events import Event, Listener, NodeFinished, NodeProgress, NodeStarted, broadcast
from engine.execution.trace import Trace
from engine.graph.model import Graph
from engine.graph.signature import bound
from engine.session import Result, Session, Workflow
from engine.settings import Settings, read_settings

if TYPE_CHECKING:
    from engine.cli.progress import Display
    from engine.jobs.records import JobReport

_log = logging.getLogger("safelight.run")


def run(arguments: argparse.Namespace) -> int:
    """Run a workflow file and return the exit code; see `engine.cli.entry.main`."""
    settings = read_settings(settings_from(arguments))
    if arguments.isolated or settings.max_ram_bytes is not None:
        result, ended = _compute_isolated(arguments, settings)
        peak, plan = ended.worker.get("peak_memory_bytes"), ended.plan
    else:
        from engine.jobs.following import PlannedRuns

        session = Session(settings)
        workflow = read_workflow(session, arguments)
        # What a node prints must not mix with what this command prints for programs.
        with _heard(workflow, arguments) as (listener, cancel), contextlib.redirect_stdout(sys.stderr):
            measure = _measured(arguments)
            result, plan = PlannedRuns(session).run(workflow.graph, listener=listener, cancel=cancel, measure=measure)
        _close_cache(session)
        peak = peak_memory_bytes()
    if arguments.json:
        print_json(report(result, peak, plan))
    else:
        _show(result)
    return exit_code(result)


def _compute_isolated(arguments: argparse.Namespace, settings: Settings) -> tuple[Result, JobReport]:
    """Run in a worker process; return the result and the worker's report."""
    from engine.cli.isolated_run import make_supervisor, run_isolated

    with make_supervisor(settings, verbose=arguments.verbose) as supervisor:
        workflow = read_workflow(Session(settings), arguments)
        with _heard(workflow, arguments) as (listener, cancel):
            measure = _measured(arguments)
            return run_isolated(supervisor, workflow.graph, listener=listener, cancel=cancel, measure=measure)


def _measured(arguments: argparse.Namespace) -> bool:
    """Say whether somebody will read what each node took."""
    return bool(arguments.json or arguments.profile is not None)


def read_workflow(session: Session, arguments: argparse.Namespace) -> Workflow:
    """Open the workflow that the arguments name and set what they say. Raises `InputError`."""
    workflow = _open(session, arguments.file)
    for assignment in arguments.set:
        target, value = _assignment(assignment)
        workflow.set(target, value)
    if arguments.input:
        given = dict(_named(text) for text in arguments.input)
        workflow.graph = bound(workflow.graph, workflow.signature, given)
    return workflow


def _named(text: str) -> tuple[str, str]:
    """Split ``NAME=VALUE``."""
    name, separator, value = text.partition("=")
    if not separator or not name.strip():
        raise InputError("this is not an input", expected="NAME=VALUE", got=text)
    return name.strip(), value


@contextlib.contextmanager
def _heard(workflow: Workflow, arguments: argparse.Namespace) -> Iterator[tuple[Listener, CancelToken]]:
    """Show a run as the arguments ask; yields who listens, and the token that Ctrl-C sets."""
    cancel = CancelToken()
    with _cancel_on_interrupt(cancel), _display(workflow, quiet=arguments.json) as display:
        trace = Trace(workflow.graph) if arguments.profile is not None else None
        logger = _logger(workflow.graph) if arguments.verbose else None
        yield broadcast(*[one for one in (display, logger, trace) if one]), cancel
    if trace is not None:
        trace.write(arguments.profile)


def exit_code(result: Result) -> int:
    """Return the exit code of a run: what stopped it wins over what failed in it."""
    if result.made.cancelled:
        return Cancelled.exit_code
    return max((error.exit_code for error in result.made.errors), default=0)


def report(result: Result, peak_bytes: int | None = None, plan: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Describe a run as plain data: outputs with their files, what each node did, time and memory."""
    made, nodes = result.made, result.graph.nodes
    used = [outcome.usage.peak_bytes for outcome in made.nodes.values() if outcome.usage is not None]
    peaks = [peak for peak in (peak_bytes, *used) if peak is not None]  # measuring nodes resets the process's own mark
    return {
        "ok": made.ok,
        "cancelled": made.cancelled,
        "seconds": round(made.seconds, 4),
        "peak_memory_bytes": max(peaks, default=None),
        "plan": None if plan is None else dict(plan),
        "outputs": [
            {
                "node": id,
                "title": nodes[id].title or nodes[id].type,
                "state": str(made.nodes[id].state),
                "files": [_file_record(file) for file in made.nodes[id].files],
            }
            for id in made.outputs
        ],
        "nodes": [
            {
                "node": id,
                "title": title_of(result.graph, id),
                "type": nodes[id].type if id in nodes else None,
                "state": str(outcome.state),
                "seconds": round(outcome.seconds, 4),
                "peak_bytes": outcome.usage.peak_bytes if outcome.usage else None,
                "moved_bytes": outcome.usage.moved_bytes if outcome.usage else None,
                "tier": outcome.tier,
                "retries": list(outcome.retries),
                "rungs": list(outcome.rungs),
                "notes": list(outcome.ui.get("text", ())),
            }
            for id, outcome in made.nodes.items()
        ],
        "errors": problem_records([problem for error in made.errors for problem in error.problems]),
    }


def _file_record(file: Any) -> dict[str, Any]:
    path = Path(file.path)
    return {
        "path": str(path),
        "filename": path.name,
        "subfolder": file.subfolder,
        "type": file.folder,
        "sha256": file.sha256,
        "bytes": path.stat().st_size if path.is_file() else None,
    }


def _open(session: Session, file: str) -> Workflow:
    if file != "-":
        return session.open(file)
    from engine.graph.documents import parse_text

    document = parse_text(sys.stdin.buffer.read(), "standard input")
    if not isinstance(document, Mapping):
        raise InputError("standard input holds no workflow", expected="a JSON object", got=type(document).__name__)
    return session.open(document)


def _assignment(text: str) -> tuple[str, Any]:
    """Split ``NODE.INPUT=VALUE``; the input's type decides how the value is read."""
    target, separator, value = text.partition("=")
    if not separator or "." not in target:
        raise InputError("this is not an assignment", expected="NODE.INPUT=VALUE", got=text)
    return target.strip(), value


@contextlib.contextmanager
def _cancel_on_interrupt(cancel: CancelToken) -> Iterator[None]:
    """Let the first Ctrl-C stop the run at its next step; a second one interrupts at once."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def first(number: int, frame: object) -> None:
        cancel.cancel()
        signal.signal(signal.SIGINT, signal.default_int_handler)

    before = signal.signal(signal.SIGINT, first)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _logger(graph: Graph) -> Listener:
    """Return a listener that writes what happens to the log, for terminals without bars and for bug reports."""

    def listen(event: Event) -> None:
        match event:
            case NodeStarted(node_id):
                _log.info("%s: started", title_of(graph, node_id))
            case NodeProgress(node_id, step, total):
                _log.info("%s: step %d of %d", title_of(graph, node_id), step, total)
            case NodeFinished(node_id, seconds):
                _log.info("%s: done in %.2f s", title_of(graph, node_id), seconds)

    return listen


def _display(workflow: Workflow, *, quiet: bool) -> contextlib.AbstractContextManager[Display | None]:
    if quiet or not sys.stderr.isatty():
        return contextlib.nullcontext()
    from engine.cli.progress import Display

    return Display(workflow.graph)


def _close_cache(session: Session) -> None:
    """Finish storing what was made; say when that failed, which is no failure of the run."""
    if "cache" not in vars(session):  # nothing ran here
        return
    session.cache.flush()
    disk = session.cache.facts().disk
    session.cache.close()
    if disk is not None and disk.problem is not None:
        print(f"note: nothing was stored for later runs: {disk.problem}", file=sys.stderr)


def _show(result: Result) -> None:
    """Say what was saved where, then what went wrong."""
    if result.files:
        if sys.stdout.isatty():
            from engine.cli.progress import print_table

            print_table(result)
        else:
            for file in result.files:
                print(file.path)
    for id, outcome in result.made.nodes.items():
        for note in outcome.ui.get("text", ()):
            print(f"note: {title_of(result.graph, id)}: {note}", file=sys.stderr)
    print_problems([problem for error in result.made.errors for problem in error.problems])
    if result.made.cancelled:
        print_problems(Cancelled().problems)
