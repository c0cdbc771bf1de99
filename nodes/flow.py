"""Nodes that choose: which branch is computed, and whether anything below is.

The branch that is not chosen is not computed at all.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Annotated, Any

from engine.errors import InputError
from engine.execution.context import Context
from engine.graph.declare import Anything, Boolean, Choice, Float, Int, Lazy, Socket, Text, node
from engine.graph.node_types import Blocked

YesNo = Annotated[bool, Boolean()]
LazyAnything = Annotated[Any, Socket("*"), Lazy()]
BRANCHES = 10

_NOT_CONNECTED = Blocked()
"""Choosing a branch that is not connected means that nothing below is to run, which is in order."""


def _needs_branch(context: Context, inputs: Mapping[str, Any]) -> list[str]:
    name = "if_true" if inputs["condition"] else "if_false"
    return [name] if name in inputs else []


@node("FlowIf", category="flow", display_name="If / Else", outputs=["value"], needs=_needs_branch)
def flow_if(
    *, condition: YesNo = True, if_true: LazyAnything | None = None, if_false: LazyAnything | None = None
) -> Anything:
    """Hand on one of two inputs; the other one is not computed.

    What follows does not run when the chosen input is not connected.

    condition: which input to take.
    if_true: taken when the condition holds.
    if_false: taken when it does not.
    """
    chosen = if_true if condition else if_false
    return _NOT_CONNECTED if chosen is None else chosen


def _needs_numbered(context: Context, inputs: Mapping[str, Any]) -> list[str]:
    name = f"value_{inputs['index']}"
    return [name] if name in inputs else []


@node("FlowSwitch", category="flow", display_name="Switch", outputs=["value"], needs=_needs_numbered)
def flow_switch(
    *,
    index: Annotated[int, Int(0, BRANCHES - 1)] = 0,
    value_0: LazyAnything | None = None,
    value_1: LazyAnything | None = None,
    value_2: LazyAnything | None = None,
    value_3: LazyAnything | None = None,
    value_4: LazyAnything | None = None,
    value_5: LazyAnything | None = None,
    value_6: LazyAnything | None = None,
    value_7: LazyAnything | None = None,
    value_8: LazyAnything | None = None,
    value_9: LazyAnything | None = None,
) -> Anything:
    """Hand on one of ten inputs, by number; the others are not computed.

    What follows does not run when the chosen input is not connected.

    index: the number of the input to take.
    value_0: handed on when the index is 0.
    value_1: handed on when the index is 1.
    value_2: handed on when the index is 2.
    value_3: handed on when the index is 3.
    value_4: handed on when the index is 4.
    value_5: handed on when the index is 5.
    value_6: handed on when the index is 6.
    value_7: handed on when the index is 7.
    value_8: handed on when the index is 8.
    value_9: handed on when the index is 9.
    """
    values = (value_0, value_1, value_2, value_3, value_4, value_5, value_6, value_7, value_8, value_9)
    return _NOT_CONNECTED if values[index] is None else values[index]


def _needs_open(context: Context, inputs: Mapping[str, Any]) -> list[str]:
    return ["value"] if inputs["open"] else []


@node("FlowGate", category="flow", display_name="Gate", outputs=["value"], needs=_needs_open)
def flow_gate(*, value: LazyAnything, open: YesNo = True, message: Annotated[str, Text()] = "") -> Anything:
    """Hand on a value, or stop: when closed, nothing above is computed for it and nothing below runs.

    value: what to hand on.
    open: whether to hand the value on.
    message: when closed with a message, what follows counts as failed and says this; without one it is just left out.
    """
    return value if open else Blocked(message or None)


_COMPARISONS: Mapping[str, Callable[[Any, Any], Any]] = MappingProxyType(
    {
        "==": operator.eq,
        "!=": operator.ne,
        "<": operator.lt,
        "<=": operator.le,
        ">": operator.gt,
        ">=": operator.ge,
    }
)
_OPERATIONS: Mapping[str, Callable[[float, float], float]] = MappingProxyType(
    {
        "a + b": operator.add,
        "a - b": operator.sub,
        "a * b": operator.mul,
        "a / b": operator.truediv,
        "a // b": operator.floordiv,
        "a % b": operator.mod,
        "a ** b": operator.pow,
        "min": min,
        "max": max,
    }
)
_LOGIC: Mapping[str, Callable[[bool, bool], bool]] = MappingProxyType(
    {
        "and": operator.and_,
        "or": operator.or_,
        "xor": operator.xor,
        "not a": lambda a, b: not a,
    }
)
Number = Annotated[float, Float(-1e15, 1e15, step=0.1)]


@node("FlowCompare", category="flow/logic", display_name="Compare", outputs=["result"])
def flow_compare(
    *, a: Number = 0.0, operation: Annotated[str, Choice(tuple(_COMPARISONS))] = "==", b: Number = 0.0
) -> YesNo:
    """Compare two numbers.

    a: the first number.
    b: the second number.
    operation: how to compare them.
    """
    return bool(_COMPARISONS[operation](a, b))


@node("FlowArithmetic", category="flow/logic", display_name="Arithmetic", outputs=["number", "whole"])
def flow_arithmetic(
    *, a: Number = 0.0, operation: Annotated[str, Choice(tuple(_OPERATIONS))] = "a + b", b: Number = 0.0
) -> tuple[Number, Annotated[int, Int(-(2**63), 2**63 - 1)]]:
    """Compute with two numbers; the result comes as it is and cut to a whole number.

    a: the first number.
    b: the second number.
    operation: what to compute.
    """
    try:
        made = float(_OPERATIONS[operation](a, b))
        return made, int(made)
    except (ArithmeticError, ValueError, TypeError) as error:
        raise InputError(
            f"{operation} cannot be computed: {error}", input="operation", got=f"a = {a}, b = {b}",
            hint="check what the two numbers are connected to",
        ) from None  # fmt: skip


@node("FlowLogic", category="flow/logic", display_name="Logic", outputs=["result"])
def flow_logic(
    *, a: YesNo = False, operation: Annotated[str, Choice(tuple(_LOGIC))] = "and", b: YesNo = False
) -> YesNo:
    """Combine two yes-or-no values.

    a: the first value.
    b: the second value.
    operation: how to combine them; "not a" looks at the first alone.
    """
    return bool(_LOGIC[operation](bool(a), bool(b)))
