"""What a pack's node returns, in any of its forms, brought into a `NodeResult`.

A tuple; ``{"ui": …, "result": …}``; ``{"result": …, "expand": …}``; an `ExecutionBlocker`; an object with ``args``,
``ui``, ``expand`` and ``block_execution`` (the ``NodeOutput`` of the schema style).
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Iterable, Mapping
from typing import Any

from engine.compat.calling import Owner
from engine.errors import NodeFailure, SafelightError
from engine.graph.api_prompt import is_link
from engine.graph.model import Link
from engine.graph.node_types import Blocked, Many, NodeResult, Output, SavedFile


class ExecutionBlocker:
    """Say that whoever would receive this is not to run; a message is shown to the user."""

    def __init__(self, message: str | None = None) -> None:
        self.message = message

    def __repr__(self) -> str:
        return f"ExecutionBlocker({self.message!r})"


@dataclasses.dataclass(frozen=True, slots=True)
class Shape:
    """What a class declares about what it returns, and whose it is."""

    id: str
    function: str
    outputs: tuple[Output, ...]
    owner: Owner
    gives_lists: bool = dataclasses.field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "gives_lists", any(one.is_list for one in self.outputs))


def _plain(value: Any) -> Any:
    return Blocked(value.message) if isinstance(value, ExecutionBlocker) else value


def result_of(made: Any, shape: Shape, context: Any = None) -> NodeResult:
    """Bring ``made`` into one form. Raises `NodeFailure`, which names the pack, for anything that is no such form."""
    if type(made) is tuple and len(made) == len(shape.outputs) and not shape.gives_lists:
        return NodeResult(tuple(map(_plain, made)))
    ui: Mapping[str, Any] = {}
    expand: Mapping[str, Any] | None = None
    result = made
    if isinstance(made, Mapping):
        ui, expand = _ui(made.get("ui"), shape), _expansion(made.get("expand"), shape)
        result = made.get("result", MISSING_RESULT)
        if not made.keys() & {"ui", "result", "expand"} and made:
            raise _wrong(shape, f"a dict with {', '.join(map(repr, list(made)[:4]))}", 'a dict with "result" or "ui"')
    elif hasattr(made, "block_execution") and hasattr(made, "args"):
        ui, expand = _ui(made.ui, shape), _expansion(made.expand, shape)
        result = made.args
        if made.block_execution is not None:
            result = ExecutionBlocker(made.block_execution or None)
        elif not made.args and (made.ui is not None or expand is not None):
            result = MISSING_RESULT
    values = _values(result, shape, expand is not None)
    return NodeResult(values, ui, _files(ui, context) if ui else (), expand)


MISSING_RESULT = object()


def _values(result: Any, shape: Shape, expands: bool) -> tuple[Any, ...]:
    count = len(shape.outputs)
    if isinstance(result, (ExecutionBlocker, Blocked)):
        return (Blocked(result.message),) * count
    if result is MISSING_RESULT:  # only shows something; whoever is connected to it is told
        return (Blocked(f"{shape.id} gave no value for this output"),) * count
    if count == 0:
        return ()
    if not isinstance(result, (tuple, list)) or _is_number_list(result):
        raise _wrong(shape, _described(result), f"a tuple with {count} value{'' if count == 1 else 's'}")
    if len(result) != count:
        expected = f"a tuple with {count} values ({', '.join(one.name for one in shape.outputs)})"
        raise _wrong(shape, f"a tuple with {len(result)}", expected)
    pairs = zip(result, shape.outputs, strict=True)
    return tuple(_value(value, output, shape, expands) for value, output in pairs)


def _is_number_list(result: Any) -> bool:
    return isinstance(result, tuple) and hasattr(result, "numel")  # a torch.Size is a tuple, but no result


def _value(value: Any, output: Output, shape: Shape, expands: bool) -> Any:
    if isinstance(value, (ExecutionBlocker, Blocked)):
        return Blocked(value.message)
    if expands and is_link(value):
        return Link(value[0], int(value[1]))
    if not output.is_list:
        return value
    if isinstance(value, (str, bytes, Mapping)) or not isinstance(value, Iterable):
        raise _wrong(shape, f"{_described(value)} for {output.name}", f"a list for the output {output.name}")
    return Many(_item(one, expands) for one in value)


def _item(value: Any, expands: bool) -> Any:
    if isinstance(value, ExecutionBlocker):
        return Blocked(value.message)
    return Link(value[0], int(value[1])) if expands and is_link(value) else value


def _ui(ui: Any, shape: Shape) -> Mapping[str, Any]:
    if ui is None:
        return {}
    as_dict = getattr(ui, "as_dict", None)
    found = as_dict() if callable(as_dict) else ui
    if not isinstance(found, Mapping):
        raise _wrong(shape, f'{_described(found)} as "ui"', 'a dict as "ui"')
    return found


def _expansion(expand: Any, shape: Shape) -> Mapping[str, Any] | None:
    if expand is None:
        return None
    finalize = getattr(expand, "finalize", None)
    found = finalize() if callable(finalize) else expand
    if not isinstance(found, Mapping):
        raise _wrong(shape, f'{_described(found)} as "expand"', 'a dict of nodes as "expand"')
    return found


def _files(ui: Mapping[str, Any], context: Any) -> tuple[SavedFile, ...]:
    """List the files that ``ui`` says were written, so that a result whose files are gone is made again."""
    folders = getattr(context, "folders", None)
    if folders is None:
        return ()
    entries = [one for value in ui.values() if isinstance(value, (list, tuple)) for one in value]
    return tuple(saved for one in entries if (saved := _saved(one, folders)) is not None)


def _saved(entry: Any, folders: Any) -> SavedFile | None:
    if not isinstance(entry, Mapping) or not isinstance(entry.get("filename"), str):
        return None
    folder, subfolder = str(entry.get("type") or "output"), str(entry.get("subfolder") or "").replace("\\", "/")
    if folder not in ("output", "temp"):
        return None
    try:
        path = folders.resolve(folder, f"{subfolder}/{entry['filename']}" if subfolder else entry["filename"])
        with path.open("rb") as file:
            return SavedFile(str(path), folder, subfolder, hashlib.file_digest(file, "sha256").hexdigest())
    except (SafelightError, OSError):
        return None


def _described(value: Any) -> str:
    return "nothing (None)" if value is None else f"a value of type {type(value).__name__}"


def _wrong(shape: Shape, got: str, expected: str) -> NodeFailure:
    return NodeFailure(
        f"{shape.id} of pack {shape.owner.name!r} returned something else than its outputs",
        code="E-NODE-RESULT",
        expected=expected,
        got=got,
        hint=f"this is a fault in {shape.function}() of the pack",
    )
