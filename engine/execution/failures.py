"""Turning whatever a node raised into an error that names the node, what it was given, and what to do."""

from __future__ import annotations

import traceback
from collections.abc import Mapping
from typing import Any

from engine.errors import NodeFailure, SafelightError
from engine.graph.model import Node

MAX_MESSAGE = 600
MAX_INPUTS = 12
SHOWN_TEXT = 24


def ran_out_of_memory(error: BaseException) -> bool:
    """Say whether ``error`` means that memory ran out, on whatever device."""
    text = str(error) if isinstance(error, RuntimeError) else ""
    return isinstance(error, MemoryError) or "OutOfMemory" in type(error).__name__ or "t allocate memory" in text


def failure_of(error: BaseException, node: Node, inputs: Mapping[str, Any]) -> SafelightError:
    """Return the error to report for ``error``, raised by ``node`` when it was run with ``inputs``.

    What Safelight raised on purpose only gets the node's name; anything else becomes a `NodeFailure` caused by it.
    """
    title = node.title or node.type
    _let_go(error)
    if isinstance(error, SafelightError):
        return error.at(node.id, title)
    text = str(error).strip()
    if len(text) > MAX_MESSAGE:
        text = text[:MAX_MESSAGE] + " …"
    kind = type(error).__name__
    hint = "the log holds the traceback; if the inputs are right, the node has a fault"
    code = None
    if isinstance(error, SystemExit):
        text, hint = "the node tried to end the whole program", "this is a fault in the code of the node"
    if ran_out_of_memory(error):
        code, hint = "E-MEMORY", "make the picture or the batch smaller, or use a tiled node"
    failure = NodeFailure(
        f"{kind}: {text}" if text else kind, code=code, got=describe_inputs(inputs) or None, hint=hint
    )
    failure.__cause__ = error
    return failure.at(node.id, title)


def _let_go(error: BaseException) -> None:
    """Empty the frames that the tracebacks of ``error`` hold, all but file names and lines.

    They keep every local alive as long as the error is, and after running out of memory those are what must go.
    """
    if error.__traceback__ is not None:
        # The outermost frame is the caller's own, which still runs and cannot be emptied.
        error.__traceback__ = error.__traceback__.tb_next
    pending: list[BaseException | None] = [error]
    seen: set[int] = set()
    while pending:
        one = pending.pop()
        if one is not None and id(one) not in seen:
            seen.add(id(one))
            traceback.clear_frames(one.__traceback__)
            pending += [one.__cause__, one.__context__]


def describe_inputs(inputs: Mapping[str, Any]) -> str:
    """Say in one line what the inputs are: numbers as they are, arrays by format and shape, long text by length."""
    shown = [f"{name}={describe(value)}" for name, value in list(inputs.items())[:MAX_INPUTS]]
    if len(inputs) > MAX_INPUTS:
        shown.append(f"and {len(inputs) - MAX_INPUTS} more")
    return ", ".join(shown)


def describe(value: Any) -> str:
    """Say in a few words what ``value`` is, without showing what is long or may be private."""
    if value is None or isinstance(value, (bool, float)):
        return str(value)
    if isinstance(value, int):
        return str(value) if value.bit_length() <= 64 else f"int of {value.bit_length()} bits"
    if isinstance(value, str):
        return repr(value) if len(value) <= SHOWN_TEXT else f"text of {len(value)} characters"
    kind = type(value).__name__
    shape = getattr(value, "shape", None)
    if shape is not None and hasattr(value, "dtype"):
        return f"{kind}({value.dtype}, {list(shape)})"
    if isinstance(value, Mapping):
        inside = ", ".join(f"{key}: {_briefly(one)}" for key, one in list(value.items())[:4])
        return f"{kind}({inside}{', …' if len(value) > 4 else ''})"
    if isinstance(value, (list, tuple)):
        return f"{kind} of {len(value)}" + (f" ({_briefly(value[0])}, …)" if value else "")
    return kind


def _briefly(value: Any) -> str:
    """Describe a member of a container, looking no deeper."""
    return type(value).__name__ if isinstance(value, (Mapping, list, tuple)) else describe(value)
