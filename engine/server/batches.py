"""One request, many jobs: lists of values for inputs, taken side by side (``zip``) or each with each (``product``)."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from typing import Any, Final

from engine.errors import InputError
from engine.graph.assign import set_value
from engine.graph.model import Graph
from engine.graph.signature import bound, signature_of
from engine.session import Session

MAX_JOBS: Final = 1000
"""So many jobs one batch may have."""
MAX_INPUTS: Final = 32
KINDS: Final = ("zip", "product")
SHAPE: Final = '{"zip": {"NODE.INPUT": [values]}} or {"product": {...}}'


def read_batch(value: Any) -> tuple[dict[str, Any], ...]:
    """Return the values of each job of a batch by input, in the order of running.

    ``zip`` takes the first values of all lists, then the second ones; ``product`` every combination, the last input
    changing fastest. Raises `InputError` for what is no batch, lists of different lengths, and too many jobs.
    """
    if not isinstance(value, Mapping) or len(value) != 1 or next(iter(value)) not in KINDS:
        got = list(value) if isinstance(value, Mapping) else type(value).__name__
        raise _error("this is no batch", SHAPE, repr(got)[:200])
    ((kind, lists),) = value.items()
    if not isinstance(lists, Mapping) or not 0 < len(lists) <= MAX_INPUTS:
        raise _error(f"{kind} does not name inputs", f"1 to {MAX_INPUTS} inputs, each with its list of values")
    for name, values in lists.items():
        if not isinstance(values, list) or not values:
            raise _error(f"{name[:100]!r} has no list of values", "a list of at least one value", repr(values)[:100])
    lengths = {name[:100]: len(values) for name, values in lists.items()}
    if kind == "zip" and len(set(lengths.values())) > 1:
        got = ", ".join(f"{name}: {length}" for name, length in lengths.items())
        hint = "product takes every combination, whatever the lengths"
        raise _error("the lists of zip differ in length", "as many values for each input", got, hint)
    count = math.prod(lengths.values()) if kind == "product" else next(iter(lengths.values()))
    if count > MAX_JOBS:
        raise _error("the batch is too large", f"at most {MAX_JOBS} jobs", str(count), "queue it as several batches")
    rows = itertools.product(*lists.values()) if kind == "product" else zip(*lists.values(), strict=True)
    return tuple(dict(zip(lists, row, strict=True)) for row in rows)


def filled(session: Session, graph: Graph, values: Mapping[str, Any], user: str | None = None) -> Graph:
    """Return ``graph`` with ``values`` in place, by the name of a Workflow Input or as ``NODE.INPUT``.

    Raises `InputError` where there is no such input or the value does not fit.
    """
    signature = signature_of(graph, session.registry)
    ports = {port.name for port in signature.inputs}
    named = {name: value for name, value in values.items() if name in ports}
    made = bound(graph, signature, named) if named else graph
    for target, value in values.items():
        if target not in named:
            made = set_value(made, target, value, session.registry, session.private.of(user).list_files)
    return made


def _error(message: str, expected: str, got: str | None = None, hint: str | None = None) -> InputError:
    return InputError(message, code="E-BATCH", expected=expected, got=got, hint=hint)


BATCH_SCHEMA: Final = {
    "type": "object",
    "description": f"one job for each set of values (at most {MAX_JOBS}); inputs as NODE.INPUT, Title.input or by the"
    " name of a Workflow Input",
    "minProperties": 1,
    "maxProperties": 1,
    "additionalProperties": False,
    "properties": {
        kind: {
            "type": "object",
            "minProperties": 1,
            "maxProperties": MAX_INPUTS,
            "additionalProperties": {"type": "array", "minItems": 1},
        }
        for kind in KINDS
    },
}
