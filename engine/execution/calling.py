"""Calling the code of a node: once for each item of its lists, and bringing what it returns into one form."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from engine.errors import NodeFailure
from engine.execution.context import CURRENT, Context
from engine.graph.content import content_key
from engine.graph.hot_records import hot_record
from engine.graph.model import Link
from engine.graph.node_types import Blocked, Many, NodeResult, NodeType

Arguments = Mapping[str, Any]


@hot_record()
class Calls:
    """The calls that a node's inputs ask for. ``mapped``: one for each item of a list, so that outputs are lists.

    ``blocked`` has what keeps each call from being made, or None.
    """

    arguments: tuple[Arguments, ...]
    mapped: bool
    blocked: tuple[Blocked | None, ...]

    @property
    def all_blocked(self) -> bool:
        """Say whether there are calls and none of them is made."""
        return bool(self.blocked) and None not in self.blocked


NO_CALLS = Calls((), False, ())
_NOT_BLOCKED = (None,)
_NOT_PLAIN: frozenset[type] = frozenset({Many, Blocked, list})
"""Types of inputs that make more or less than one call of a node, or may hold something that does."""


def calls_for(node_type: NodeType, inputs: Arguments) -> Calls:
    """Lay out the calls of a node.

    Lists go side by side; a shorter one repeats its last item. Where any list is empty there is nothing to call. A node
    that takes whole lists is called once, with a list for every input.
    """
    if node_type.input_is_list:
        lists = {name: list(value) if type(value) is Many else [value] for name, value in inputs.items()}
        return Calls((lists,), False, (_blocked_by(lists),))
    if _NOT_PLAIN.isdisjoint(map(type, inputs.values())):
        return Calls((inputs,), False, _NOT_BLOCKED)
    lengths = [len(value) for value in inputs.values() if type(value) is Many]
    if not lengths:
        return Calls((inputs,), False, (_blocked_by(inputs),))
    count = max(lengths) if min(lengths) else 0
    each = tuple({name: _item(value, at) for name, value in inputs.items()} for at in range(count))
    return Calls(each, True, tuple(map(_blocked_by, each)))


def _item(value: Any, at: int) -> Any:
    return value[min(at, len(value) - 1)] if type(value) is Many else value


def _blocked_by(arguments: Arguments) -> Blocked | None:
    for value in arguments.values():
        if type(value) is Blocked:
            return value
        if type(value) is list:  # whole lists, of a node that takes them
            found = next((item for item in value if type(item) is Blocked), None)
            if found is not None:
                return found
    return None


def call(node_type: NodeType, context: Context, arguments: Arguments, debug: bool = False) -> Any:
    """Call the code of a node once; the answer may have to be awaited. ``debug``: a changed input is a failure."""
    run = node_type.run
    if run is None:
        raise NodeFailure(
            f"node type {node_type.id!r} only describes a node, there is no code to run",
            hint="resolve such nodes when the document is read, or install the pack that has the code",
        )
    before = {name: content_key(value) for name, value in arguments.items()} if debug else None
    token = CURRENT.set(context)
    try:
        made = run(context, **arguments) if node_type.wants_context else run(**arguments)
    finally:
        CURRENT.reset(token)
    if before is not None:
        _check_unchanged(node_type, arguments, before)
    return made


def _check_unchanged(node_type: NodeType, arguments: Arguments, before: Mapping[str, str | None]) -> None:
    for name, key in before.items():
        if key != content_key(arguments[name]):
            raise NodeFailure(
                f"the node changed its input {name!r}, which others share",
                expected="inputs that stay as they are",
                hint=f"copy it first: a fault in the code of the node ({node_type.module or 'unknown module'})",
            )


def is_awaitable(made: Any) -> bool:
    """Say whether what a node returned is to be awaited."""
    return hasattr(made, "__await__")


async def await_all(context: Context, made: Sequence[Any]) -> list[Any]:
    """Await those of ``made`` that want it, together, as the code of the node of ``context``."""
    CURRENT.set(context)

    async def one(value: Any) -> Any:
        try:
            return await value if is_awaitable(value) else value
        except SystemExit as error:  # it would end the event loop, and with it all other coroutines
            raise NodeFailure("the node tried to end the whole program") from error

    return list(await asyncio.gather(*map(one, made)))


def in_one_form(node_type: NodeType, made: Any) -> NodeResult:
    """Return what one call of a node gave, as a result with a value for each output.

    A node with one output returns that value itself, also when it is a tuple; one with several returns a tuple.
    """
    count = len(node_type.outputs)
    if isinstance(made, NodeResult):
        result = made
    elif count == 1 and made is not None:
        result = NodeResult((made,))
        if not node_type.gives_lists:
            return result
    elif made is None:
        result = NodeResult()
    elif isinstance(made, (tuple, list)):
        result = NodeResult(tuple(made))
    else:
        raise _wrong_count(node_type, f"one value of type {type(made).__name__}")
    if len(result.values) != count:
        raise _wrong_count(node_type, f"{len(result.values)} values" if made is not None else "None")
    if not node_type.gives_lists:
        return result
    for output, value in zip(node_type.outputs, result.values, strict=True):
        if output.is_list and not isinstance(value, (list, tuple, Link, Blocked)):
            raise NodeFailure(
                f"node type {node_type.id!r} returned no list for its list output {output.name!r}",
                expected="a list",
                got=type(value).__name__,
                hint=f"this is a fault in the code of the node ({node_type.module or 'unknown module'})",
            )
    return result


def _wrong_count(node_type: NodeType, got: str) -> NodeFailure:
    names = ", ".join(output.name for output in node_type.outputs)
    expected = f"{len(node_type.outputs)} ({names})" if names else "no values"
    return NodeFailure(
        f"node type {node_type.id!r} returned something else than its outputs",
        expected=expected,
        got=got,
        hint=f"this is a fault in the code of the node ({node_type.module or 'unknown module'})",
    )


def blocked_result(node_type: NodeType, blocked: Blocked) -> NodeResult:
    """Return the result of a call that was not made: what blocked it, from every output."""
    return NodeResult((blocked,) * len(node_type.outputs))


def any_links(results: Sequence[NodeResult]) -> bool:
    """Say whether any of ``results`` is yet to be computed by other nodes."""
    for result in results:
        if result.expand is not None:
            return True
        for value in result.values:
            if type(value) is Link:
                return True
    return False


def merged(node_type: NodeType, results: Sequence[NodeResult], mapped: bool) -> NodeResult:
    """Return the results of all calls of a node as one.

    The values of mapped calls become lists; what a list output gave is strung together, and so is a list that came
    from the expansion of one call. What they show is put together name by name.
    """
    if not mapped and not node_type.gives_lists:
        return results[0]
    values: list[Any] = []
    for slot, output in enumerate(node_type.outputs):
        ones = [result.values[slot] for result in results]
        if mapped or output.is_list:
            spread: list[Any] = []
            for one in ones:
                if type(one) is Many or (output.is_list and isinstance(one, (list, tuple))):
                    spread.extend(one)
                else:
                    spread.append(one)
            values.append(Many(spread))
        else:
            values.append(ones[0])
    files = tuple(file for result in results for file in result.files)
    return NodeResult(tuple(values), joined_ui([result.ui for result in results]), files)


def joined_ui(shown: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    """Put together what several calls show: lists under one name are strung together, else the last stays."""
    shown = [one for one in shown if one]
    if len(shown) < 2:
        return shown[0] if shown else NodeResult().ui
    together: dict[str, Any] = {}
    for one in shown:
        for name, value in one.items():
            if not isinstance(value, (list, tuple)):
                together[name] = value
            elif isinstance(together.get(name), list):
                together[name].extend(value)
            else:
                together[name] = list(value)
    return together
