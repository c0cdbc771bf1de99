"""Node types without torch, for the server's tests; both the server and its worker load `make_session` by name."""

from __future__ import annotations

import time
from typing import Any

from engine.execution.context import Services
from engine.graph.node_types import FolderChoices, NodeResult, NodeType, Output, Parameter, SavedFile
from engine.graph.registry import EMPTY_REGISTRY, Registry
from engine.paths import next_output_names, write_new_file
from engine.session import Session


class BareSession(Session):
    """A session of the nodes below."""

    @property
    def registry(self) -> Registry:  # type: ignore[override]
        return REGISTRY

    @property
    def services(self) -> Services:  # type: ignore[override]
        return Services(folders=self.folders, settings=self.settings, file_identity=self.folders.identity)


def make_session(settings: Any) -> Session:
    return BareSession(settings)


def number(context: Any, *, value: int) -> int:
    return value


def show(context: Any, *, value: Any) -> NodeResult:
    return NodeResult((), ui={"text": [str(value)]})


def save_text(context: Any, *, value: Any, pause: float = 0.0) -> NodeResult:
    """Write a small file, then wait: the window in which a killed server has a file and no end."""
    (name,) = next_output_names(context.folders, "output", "text", 1, suffix=".txt")
    written, sha256 = write_new_file(name, lambda file: file.write(f"{value}".encode()))
    time.sleep(pause)
    shown = {"filename": written.filename, "subfolder": "", "type": "output"}
    return NodeResult(ui={"files": [shown]}, files=(SavedFile(str(written.path), "output", "", sha256),))


def steps(context: Any, *, value: int, steps: int, pause: float) -> NodeResult:
    from PIL import Image

    for step in range(steps):
        time.sleep(pause)
        context.progress(step + 1, steps, lambda step=step: Image.new("RGB", (32, 16), (step, 0, 0)))
    return NodeResult((value,), ui={"text": [str(value)]})


def fail(context: Any, *, value: int) -> int:
    raise ValueError(f"no good: {value}")


def spin(context: Any, *, seconds: float) -> int:
    time.sleep(seconds)
    return 0


def load(context: Any, *, file: str) -> str:
    return context.folders.resolve("input", file).read_text()


INT, ANY = Output("INT", "INT"), Output("*", "*")


def kind(run: Any, inputs: tuple[Parameter, ...], outputs: tuple[Output, ...] = (), **facts: Any) -> NodeType:
    name = run.__name__.title().replace("_", "")
    return NodeType(name, name, "test", inputs, outputs, run, version="1", wants_context=True, **facts)


VALUE = Parameter("value", "INT", minimum=0, maximum=1_000_000)
REGISTRY = EMPTY_REGISTRY.with_types(
    [
        kind(number, (VALUE,), (INT,)),
        kind(show, (Parameter("value", "*"),), output_node=True),
        kind(
            save_text,
            (Parameter("value", "*"), Parameter("pause", "FLOAT", required=False)),
            output_node=True,
            cacheable=False,
        ),
        kind(
            steps,
            (VALUE, Parameter("steps", "INT", default=3), Parameter("pause", "FLOAT", default=0.0)),
            (INT,),
            output_node=True,
            cacheable=False,
        ),
        kind(fail, (VALUE,), (INT,), output_node=True),
        kind(spin, (Parameter("seconds", "FLOAT"),), (INT,), output_node=True, cacheable=False),
        kind(load, (Parameter("file", "COMBO", choices=FolderChoices("input")),), (ANY,)),
    ]
)
