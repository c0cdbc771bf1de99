"""Loops: a start, an end, and between them what is done in each round.

The end gathers one result of each round to a list, and carries up to three values from round to round. An output node
that a start feeds, such as one that saves pictures, runs in every round.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from typing import Annotated, Any

from engine.errors import InputError
from engine.graph.declare import Anything, Boolean, Int, LoopHandle, node
from engine.graph.node_types import LoopEnd, LoopStart, Many

YesNo = Annotated[bool, Boolean()]
Whole = Annotated[int, Int(-(2**31), 2**31 - 1)]
Carried = Mapping[str, Any]
CARRIED = ("carried", "carried_2", "carried_3")


def _items(items: Any) -> tuple[Any, ...]:
    """Return what to go over: the items of a list; anything else is one item."""
    return tuple(items) if type(items) is Many else (items,)


def _count_items(*, items: Any, **carried: Any) -> int:
    return len(_items(items))


@node(
    "ForEachStart",
    category="flow/loops",
    display_name="For Each",
    outputs=["loop", "item", "index", "count", *CARRIED],
    loop=LoopStart(_count_items),
)
def for_each_start(
    *,
    items: Anything,
    carried: Anything | None = None,
    carried_2: Anything | None = None,
    carried_3: Anything | None = None,
) -> Generator[tuple[LoopHandle, Anything, Whole, Whole, Anything, Anything, Anything], Carried, Carried]:
    """Begin a loop over the items of a list. Over an empty list it does nothing, and its end gives an empty list.

    items: a list output; a picture batch is one item (see Batch To List).
    carried: what the first round is given; the later ones get what the end was given.
    carried_2: a second value to carry.
    carried_3: a third value to carry.
    """
    state = {"carried": carried, "carried_2": carried_2, "carried_3": carried_3}
    all_items = _items(items)
    for index, item in enumerate(all_items):
        state |= yield (None, item, index, len(all_items), *state.values())
    return state


def _numbers(start: int, stop: int, step: int) -> range:
    if step == 0:
        raise InputError("a loop cannot go on in steps of 0", input="step", expected="another number", got="0")
    return range(start, stop, step)


def _count_numbers(*, start: int, stop: int, step: int, **carried: Any) -> int:
    return len(_numbers(start, stop, step))


@node(
    "RepeatStart",
    category="flow/loops",
    display_name="Repeat",
    outputs=["loop", "index", *CARRIED],
    loop=LoopStart(_count_numbers),
)
def repeat_start(
    *,
    start: Whole = 0,
    stop: Whole = 4,
    step: Whole = 1,
    carried: Anything | None = None,
    carried_2: Anything | None = None,
    carried_3: Anything | None = None,
) -> Generator[tuple[LoopHandle, Whole, Anything, Anything, Anything], Carried, Carried]:
    """Begin a loop that counts from start up to, and without, stop.

    start: the index of the first round.
    stop: where to stop; from 0 this is the number of rounds.
    step: how far the index goes from round to round; negative counts down.
    carried: what the first round is given; the later ones get what the end was given.
    carried_2: a second value to carry.
    carried_3: a third value to carry.
    """
    state = {"carried": carried, "carried_2": carried_2, "carried_3": carried_3}
    for index in _numbers(start, stop, step):
        state |= yield (None, index, *state.values())
    return state


@node(
    "WhileStart",
    category="flow/loops",
    display_name="While",
    outputs=["loop", "index", *CARRIED],
    loop=LoopStart(),
)
def while_start(
    *,
    begin: YesNo = True,
    max_rounds: Annotated[int, Int(1, 1_000_000)] = 1_000,
    carried: Anything | None = None,
    carried_2: Anything | None = None,
    carried_3: Anything | None = None,
) -> Generator[tuple[LoopHandle, Whole, Anything, Anything, Anything], Carried, Carried]:
    """Begin a loop that goes on until the input "again" of its end is false.

    begin: whether to run the first round.
    max_rounds: more rounds than this are taken for a mistake, and the loop fails.
    carried: what the first round is given; the later ones get what the end was given.
    carried_2: a second value to carry.
    carried_3: a third value to carry.
    """
    state = {"carried": carried, "carried_2": carried_2, "carried_3": carried_3}
    if not begin:
        return state
    for index in range(max_rounds):
        state |= yield (None, index, *state.values())
    raise InputError(
        f"the loop did not end within {max_rounds} rounds",
        input="max_rounds",
        expected='"again" of its end to become false',
        got=f"true after {max_rounds} rounds",
        hint="connect a condition that ends it, or allow more rounds",
    )


@node(
    "LoopEnd",
    category="flow/loops",
    display_name="Loop End",
    outputs=["results", *CARRIED],
    loop=LoopEnd("loop", collect=("result",), carry=CARRIED, again="again"),
)
def loop_end(
    *,
    loop: LoopHandle,
    result: Anything | None = None,
    carried: Anything | None = None,
    carried_2: Anything | None = None,
    carried_3: Anything | None = None,
    again: YesNo | None = None,
) -> tuple[list[Anything], Anything, Anything, Anything]:
    """End a loop. It gives the results of all rounds as a list, and what the last round carried.

    loop: the start of the loop.
    result: gathered from each round; a round whose result is blocked (see Gate) is left out.
    carried: what the next round is given.
    carried_2: a second value for the next round.
    carried_3: a third value for the next round.
    again: false ends the loop after this round.
    """
    return list(result or ()), carried, carried_2, carried_3
