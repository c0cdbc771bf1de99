"""The commands that say what there is: ``nodes`` and ``models``."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import Any

from engine.cli.arguments import settings_from
from engine.cli.report import human_bytes, print_json
from engine.errors import InputError, SafelightError
from engine.graph.node_types import MISSING, FolderChoices, NodeType, Parameter
from engine.graph.values import described
from engine.session import Session
from engine.settings import read_settings


def nodes(arguments: argparse.Namespace) -> int:
    """List all nodes by category, or describe one."""
    session = Session(read_settings(settings_from(arguments)))
    if arguments.id is not None:
        node_type = session.registry.get(arguments.id)
        if node_type is None:
            near = session.registry.closest(arguments.id)
            hint = f"did you mean {', '.join(near)}?" if near else "`nodes` without an id lists them all"
            raise InputError(f"there is no node called {arguments.id!r}", got=arguments.id, hint=hint)
        if arguments.json:
            print_json(node_record(node_type))
        else:
            print("\n".join(_description(node_type, session)))
        return 0
    if arguments.json:
        print_json({node_type.id: node_record(node_type) for node_type in session.registry})
        return 0
    by_category: dict[str, list[NodeType]] = {}
    for node_type in session.registry:
        by_category.setdefault(node_type.category, []).append(node_type)
    width = max(len(node_type.id) for node_type in session.registry)
    for category in sorted(by_category):
        print(category)
        for node_type in sorted(by_category[category], key=lambda one: one.id):
            summary = next(iter(node_type.description.splitlines()), node_type.display_name)
            print(f"  {node_type.id:{width}}  {summary}")
    return 0


def models(arguments: argparse.Namespace) -> int:
    """List the files of all model folders with their sizes, and what family each is of."""
    session = Session(read_settings(settings_from(arguments)))
    folders = session.folders
    listed: dict[str, list[dict[str, Any]]] = {}
    for key in folders.model_keys():
        files = [session.model_facts(key, name) for name in folders.list_files(key)]
        if files:
            listed[key] = files
    if arguments.json:
        print_json({key: {"directories": [str(path) for path in folders.directories(key)], "files": listed.get(key, [])}
                    for key in folders.model_keys()})  # fmt: skip
        return 0
    for key, files in listed.items():
        print(key)
        for file in files:
            print(f"  {file['name']}  {human_bytes(file['bytes'])}  {file['family'] or file['problem'] or ''}".rstrip())
    if not listed:
        print(f"no model files under {folders.base / 'models'}")
    return 0


def node_record(node_type: NodeType) -> dict[str, Any]:
    """Return a node's description as plain data."""
    return {
        "id": node_type.id,
        "display_name": node_type.display_name,
        "category": node_type.category,
        "description": node_type.description,
        "output_node": node_type.output_node,
        "inputs": [_parameter_record(parameter) for parameter in node_type.inputs],
        "outputs": [{"name": output.name, "type": output.type} for output in node_type.outputs],
    }


def _parameter_record(parameter: Parameter) -> dict[str, Any]:
    record: dict[str, Any] = {"name": parameter.name, "type": parameter.type, "required": parameter.required}
    for key in ("minimum", "maximum", "step"):
        if getattr(parameter, key) is not None:
            record[key] = getattr(parameter, key)
    if parameter.default is not MISSING:
        record["default"] = parameter.default
    if isinstance(parameter.choices, FolderChoices):
        record["folder"] = parameter.choices.folder
    elif parameter.choices is not None:
        record["choices"] = list(parameter.choices)
    return record | ({"help": parameter.help} if parameter.help else {})


def _description(node_type: NodeType, session: Session) -> Iterator[str]:
    yield f"{node_type.id} ({node_type.display_name}), in {node_type.category}"
    yield ""
    yield node_type.description
    if node_type.inputs:
        yield "\ninputs"
    for parameter in node_type.inputs:
        default = "" if parameter.default is MISSING else f", default {parameter.default!r}"
        optional = "" if parameter.required else ", optional"
        yield f"  {parameter.name}: {described(parameter)}{default}{optional}"
        if parameter.help:
            yield f"      {parameter.help}"
        if isinstance(parameter.choices, FolderChoices):
            names = parameter.choices.offered_in(lambda folder: _files(session, folder))
            yield f"      there: {', '.join(names) if names else 'no files yet'}"
        elif parameter.choices is not None and len(parameter.choices) > 8:
            yield f"      all: {', '.join(str(choice) for choice in parameter.choices)}"
    if node_type.outputs:
        yield "\noutputs"
    for output in node_type.outputs:
        yield f"  {output.name}: {output.type}"


def _files(session: Session, folder: str) -> tuple[str, ...]:
    try:
        return session.folders.list_files(folder)
    except SafelightError:
        return ()
