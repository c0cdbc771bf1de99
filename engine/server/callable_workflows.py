"""Saved workflows that can be called: found by name, described by what they take and give, filled in with values.

A value is given for a node Workflow Input by its name, or for any input of a node as ``Title.input``, as ``--set`` of
the command line takes it. A picture is given as the name of a file in the input folder. Pictures that a Workflow Output
gives are saved, so that they can be fetched.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from engine.errors import InputError, PathError
from engine.graph.api_prompt import graph_to_api
from engine.graph.assign import set_value
from engine.graph.model import Graph, Link, Node
from engine.graph.signature import OUTPUT, Port, Signature, bound, signature_of
from engine.paths import path_below
from engine.session import Session

SUFFIX: Final = ".json"
LOADERS: Final[Mapping[str, tuple[str, str]]] = MappingProxyType({"IMAGE": ("LoadImage", "image")})
SAVERS: Final[Mapping[str, tuple[str, str]]] = MappingProxyType({"IMAGE": ("SaveImage", "images")})


@dataclasses.dataclass(frozen=True, slots=True)
class Call:
    """A workflow with its values in place: the API prompt, the editor's document, what each shown node is called."""

    prompt: Mapping[str, Any]
    workflow: Mapping[str, Any] | None
    names: Mapping[str, str]


def workflow_names(folders: tuple[Path, ...]) -> list[str]:
    """List the workflows in ``folders``, by name; of equal names the first folder's counts."""
    return sorted({name for folder in folders for name in _names(folder)})


def _names(folder: Path) -> Iterator[str]:
    for path in folder.rglob(f"*{SUFFIX}"):
        relative = path.relative_to(folder)
        if path.is_file() and not path.is_symlink() and not any(part.startswith(".") for part in relative.parts):
            yield relative.with_suffix("").as_posix()


def find_workflow(folders: tuple[Path, ...], name: str) -> Path:
    """Return the file of the workflow called ``name``. Raises `PathError` when there is none."""
    for folder in folders:
        path = path_below(folder, name + SUFFIX)
        if path.is_file():
            return path
    raise PathError(f"there is no workflow {name[:100]!r}", hint="GET /workflows lists them")


def describe(session: Session, path: Path) -> dict[str, Any]:
    """Return what a workflow takes and gives. Raises `DocumentError` and `GraphError` where it cannot be read."""
    signature = signature_of(session.load(path), session.registry)
    return {
        "inputs": [_port(port) | {"required": port.required} for port in signature.inputs],
        "outputs": [_port(port) for port in signature.outputs],
    }


def _port(port: Port) -> dict[str, Any]:
    return {"name": port.name, "type": port.type}


def prepare(session: Session, path: Path, given: Mapping[str, Any], user: str | None = None) -> Call:
    """Put ``given`` into a workflow. Raises `InputError` for names that it does not have and values that do not fit."""
    graph = session.load(path)
    signature = signature_of(graph, session.registry)
    ports = {port.name: port for port in signature.inputs}
    named = {name: value for name, value in given.items() if name in ports or "." not in name}
    files = {name: value for name, value in named.items() if name in ports and ports[name].type in LOADERS}
    made = bound(graph, signature, {**named, **dict.fromkeys(files, ())})
    for name, value in files.items():
        made = _loaded(made, ports[name], value)
    for target, value in given.items():
        if target not in named:
            made = set_value(made, target, value, session.registry, session.private.of(user).list_files)
    made, names = _saved(made, signature)
    return Call(graph_to_api(made), graph.workflow, names)


def _loaded(graph: Graph, port: Port, value: Any) -> Graph:
    """Return ``graph`` with a loader of the file ``value`` in place of an input."""
    if not isinstance(value, str):
        raise InputError("a picture is given by the name of its file", input=port.name, expected="a file of input/")
    kind, name = LOADERS[port.type]
    node = Node(port.node_id, kind, MappingProxyType({name: value}), port.name)
    return dataclasses.replace(graph, nodes=MappingProxyType({**graph.nodes, port.node_id: node}))


def _saved(graph: Graph, signature: Signature) -> tuple[Graph, dict[str, str]]:
    """Return ``graph`` with a saver below each output that gives pictures, and the name of each node that shows."""
    nodes = dict(graph.nodes)
    names = {id: node.title or node.type for id, node in nodes.items() if node.type != OUTPUT}
    for port in signature.outputs:
        names[port.node_id] = port.name
        if port.type in SAVERS:
            kind, name = SAVERS[port.type]
            id = f"{port.node_id}.saved"
            inputs = {name: Link(port.node_id, 0), "filename_prefix": "workflow"}
            nodes[id] = Node(id, kind, MappingProxyType(inputs), port.name)
            names[id] = port.name
    return dataclasses.replace(graph, nodes=MappingProxyType(nodes)), names
