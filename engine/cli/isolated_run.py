"""The command ``run --isolated``: the same run, computed in a worker process that can be ended whatever it does."""

from __future__ import annotations

import concurrent.futures
import logging
import sys
from collections.abc import Mapping
from typing import Any, Final

from engine.errors import GraphError
from engine.execution.cancel import CancelToken
from engine.execution.events import Listener, tell
from engine.graph.api_prompt import graph_to_api
from engine.graph.model import Graph
from engine.jobs.job import JobListener
from engine.jobs.options import SupervisorOptions
from engine.jobs.previews import PreviewOptions
from engine.jobs.records import JobReport, JobRequest, ReportedFailure, event_from
from engine.jobs.supervisor import Supervisor
from engine.session import Result
from engine.settings import Settings

JOB: Final = "run"
LOOK_S: Final = 0.05
"""So often the main thread looks whether Ctrl-C was pressed."""

_log = logging.getLogger("safelight.worker")


def make_supervisor(settings: Settings, *, verbose: bool) -> Supervisor:
    """Return a supervisor whose worker is being started, while the caller reads the workflow."""
    options = SupervisorOptions(
        eager=True, log_level="INFO" if verbose else "ERROR", previews=PreviewOptions(size=0), restart=False
    )
    return Supervisor(settings, options, on_line=_show_line)


def run_isolated(
    supervisor: Supervisor, graph: Graph, *, listener: Listener | None, cancel: CancelToken, measure: bool = False
) -> tuple[Result, JobReport]:
    """Run ``graph`` in the supervisor's worker and return its result, without values, and the report.

    Raises `GraphError` with all problems when nothing could be run, as `Session.run` does, and `ReportedFailure` when
    there was no worker to run it.
    """
    request = JobRequest(JOB, graph_to_api(graph), workflow=graph.workflow, measure=measure)
    job = supervisor.submit(request, _forward(listener))
    while True:
        try:
            report = job.result(LOOK_S)
            break
        except concurrent.futures.TimeoutError:
            if cancel.cancelled:  # a signal's handler must not take locks, so it only set the token
                supervisor.cancel(JOB)
    if report.state == "failed" and not report.nodes:
        if report.exit_code == GraphError.exit_code:
            raise GraphError(report.problems)
        raise ReportedFailure(report.problems[0], report.exit_code)
    return Result(graph, report.as_result()), report


def _forward(listener: Listener | None) -> JobListener:
    """Return a listener of jobs that shows what nodes print and hands the executor's events to ``listener``."""

    def hear(record: Mapping[str, Any], data: bytes | None) -> None:
        if record["event"] == "log":
            _show_line(record, data)
            return
        event = event_from(record)
        if event is not None:
            tell(listener, event)

    return hear


def _show_line(record: Mapping[str, Any], data: bytes | None) -> None:
    """Show a line of the worker on standard error: standard output is for the result alone."""
    if record["stream"] == "log":
        _log.log(logging.getLevelName(record["level"] or "INFO"), "%s", record["text"])
    else:
        print(record["text"], file=sys.stderr)
