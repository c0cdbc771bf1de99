"""The node types that the module of a pack declares, in whichever of the styles it is written."""

from __future__ import annotations

import contextlib
import dataclasses
import inspect
import logging
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from engine.compat.calling import Owner, settle
from engine.compat.class_nodes import node_type_of
from engine.compat.instances import Instances
from engine.graph.node_types import NodeType

_log = logging.getLogger("safelight.packs")


@dataclasses.dataclass(frozen=True, slots=True)
class Declared:
    """A node type and how to describe it again; ``describe`` is None where nothing about it can change."""

    node_type: NodeType
    describe: Callable[[Instances], NodeType] | None = None
    kind: type | None = None


class PackError(Exception):
    """Say that a pack's module is no pack."""


def declared_nodes(
    module: ModuleType, pack: str, digest: str, instances: Instances, problems: list[str]
) -> list[Declared]:
    """Return what ``module`` declares: NODE_CLASS_MAPPINGS, else comfy_entrypoint, and native ``@node`` functions.

    A class that cannot be a node is left out and said so in ``problems``. Raises `PackError` for a module that
    declares nothing at all, and whatever its entry point raises.
    """
    owner = Owner(pack, module.__name__, digest)
    native = [Declared(one) for one in _native(module, owner)]
    mappings = getattr(module, "NODE_CLASS_MAPPINGS", None)
    entry = getattr(module, "comfy_entrypoint", None)
    if mappings is None and not callable(entry):
        if not native and not hasattr(module, "WEB_DIRECTORY"):
            raise PackError("it declares no nodes: no NODE_CLASS_MAPPINGS, no comfy_entrypoint, no @node functions")
        return native
    classes: list[tuple[str | None, Any, str | None]]
    if mappings is not None:
        if not isinstance(mappings, Mapping):
            raise PackError(f"NODE_CLASS_MAPPINGS is a {type(mappings).__name__}, not a dict")
        names = getattr(module, "NODE_DISPLAY_NAME_MAPPINGS", None)
        titles: Mapping[str, str] = names if isinstance(names, Mapping) else {}
        classes = [(str(id), kind, titles.get(id)) for id, kind in mappings.items()]
    else:
        classes = [(None, kind, None) for kind in settle(_listed_by(entry))]
    return native + list(_described(classes, owner, instances, problems))


async def _listed_by(entry: Any) -> list[Any]:
    """Ask an entry point for its extension, and that for its nodes."""
    extension = entry()
    if inspect.isawaitable(extension):
        extension = await extension
    if not hasattr(extension, "get_node_list"):
        raise PackError(f"comfy_entrypoint returned a {type(extension).__name__}, not a ComfyExtension")
    on_load = getattr(extension, "on_load", None)
    begun = on_load() if callable(on_load) else None
    if inspect.isawaitable(begun):
        await begun
    nodes = extension.get_node_list()
    return list(await nodes if inspect.isawaitable(nodes) else nodes)


def _described(
    classes: list[tuple[str | None, Any, str | None]], owner: Owner, instances: Instances, problems: list[str]
) -> Iterator[Declared]:
    for id, kind, title in classes:
        try:
            yield _declared(id, kind, title, owner, instances)
        except Exception as error:  # noqa: BLE001 (one class that cannot be a node leaves the others)
            _log.info("a class of pack %s", owner.name, exc_info=error)
            problems.append(f"{id or getattr(kind, '__name__', kind)}: {type(error).__name__}: {error}")


def _declared(id: str | None, kind: Any, title: str | None, owner: Owner, instances: Instances) -> Declared:
    if not isinstance(kind, type):
        raise PackError(f"it is a {type(kind).__name__}, not a class")
    if hasattr(kind, "define_schema"):
        from engine.compat.schema_nodes import schema_node_type

        def describe(instances: Instances) -> NodeType:
            return schema_node_type(kind, owner, id, title)
    else:
        if id is None:
            raise PackError("a class of an extension needs define_schema")
        known = id

        def describe(instances: Instances) -> NodeType:
            return node_type_of(known, kind, owner, instances, title)

    kind.RELATIVE_PYTHON_MODULE = owner.module  # type: ignore[attr-defined]
    return Declared(describe(instances), describe, kind)


def refreshed(declared: Declared, old: NodeType, instances: Instances) -> NodeType:
    """Describe a node type again, and return ``old`` itself where its inputs are the same or cannot be told."""
    if declared.describe is None:
        return old
    try:
        with contextlib.redirect_stdout(sys.stderr):
            new = declared.describe(instances)
        return old if new.inputs == old.inputs else new
    except Exception as error:  # noqa: BLE001 (a folder that is gone for a moment is no reason to lose the node)
        _log.warning("the inputs of %s could not be read again: %s", old.id, error)
        return old


def _native(module: ModuleType, owner: Owner) -> Iterator[NodeType]:
    """Yield the types of the functions under ``@node`` that the module has, its own or imported from its parts."""
    for value in list(vars(module).values()):
        found = getattr(value, "node_type", None)
        if isinstance(found, NodeType) and found.module.startswith(owner.module):
            yield dataclasses.replace(found, version=f"{owner.version}-{found.version}", module=owner.module)


def web_folder(module: ModuleType, path: Path, problems: list[str]) -> Path | None:
    """Return the folder of scripts for the editor: WEB_DIRECTORY, else ``[tool.comfy] web`` of pyproject.toml."""
    named = getattr(module, "WEB_DIRECTORY", None) or _named_in_project(path)
    if not isinstance(named, str) or not path.is_dir():
        return None
    folder = (path / named).resolve()
    if not folder.is_relative_to(path.resolve()) or not folder.is_dir():
        problems.append(f"WEB_DIRECTORY: {named!r} is no folder of the pack")
        return None
    return folder


def _named_in_project(path: Path) -> Any:
    file = path / "pyproject.toml"
    if not file.is_file():
        return None
    import tomllib

    try:
        tool = tomllib.loads(file.read_text(encoding="utf-8")).get("tool", {})
        return tool.get("comfy", {}).get("web")
    except (OSError, ValueError, AttributeError):
        return None
