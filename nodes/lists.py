"""Lists: making them, pairing them, and taking them apart. A node that takes one item runs once for each of a list."""

from __future__ import annotations

import itertools
from typing import Annotated

from engine.errors import InputError
from engine.graph.declare import Anything, Choice, Image, Int, Text, node

Whole = Annotated[int, Int(-(2**31), 2**31 - 1)]
MAX_ITEMS = 1_000_000


@node("ListMake", category="flow/lists", display_name="Make List", outputs=["items"], input_is_list=True)
def list_make(
    *,
    value_0: Anything | None = None,
    value_1: Anything | None = None,
    value_2: Anything | None = None,
    value_3: Anything | None = None,
    value_4: Anything | None = None,
    value_5: Anything | None = None,
    value_6: Anything | None = None,
    value_7: Anything | None = None,
    value_8: Anything | None = None,
    value_9: Anything | None = None,
) -> list[Anything]:
    """Make one list of all inputs, in order; the items of lists among them follow one another.

    value_0: the first value or list.
    value_1: the second value or list.
    value_2: the third value or list.
    value_3: the fourth value or list.
    value_4: the fifth value or list.
    value_5: the sixth value or list.
    value_6: the seventh value or list.
    value_7: the eighth value or list.
    value_8: the ninth value or list.
    value_9: the tenth value or list.
    """
    given = (value_0, value_1, value_2, value_3, value_4, value_5, value_6, value_7, value_8, value_9)
    return list(itertools.chain.from_iterable(one for one in given if one is not None))


@node("ListRange", category="flow/lists", display_name="Number List", outputs=["numbers"])
def list_range(*, start: Whole = 0, stop: Whole = 4, step: Whole = 1) -> list[Whole]:
    """List whole numbers from start up to, and without, stop.

    start: the first number.
    stop: where to stop; it is not in the list.
    step: how far each is from the one before; negative counts down.
    """
    if step == 0:
        raise InputError("numbers cannot go on in steps of 0", input="step", expected="another number", got="0")
    numbers = range(start, stop, step)
    if len(numbers) > MAX_ITEMS:
        raise InputError("the list is too long", expected=f"at most {MAX_ITEMS} numbers", got=str(len(numbers)))
    return list(numbers)


@node("ListLines", category="flow/lists", display_name="Line List", outputs=["lines"])
def list_lines(*, text: Annotated[str, Text(multiline=True)] = "") -> list[Annotated[str, Text()]]:
    """List the lines of a text, without those that are empty.

    text: one item a line.
    """
    return [line.strip() for line in text.splitlines() if line.strip()]


@node("ListZip", category="flow/lists", display_name="Pair Lists", outputs=["a", "b", "c"], input_is_list=True)
def list_zip(
    *,
    a: Anything,
    b: Anything,
    c: Anything | None = None,
    lengths: Annotated[str, Choice(("shortest", "longest", "equal"))] = "equal",
) -> tuple[list[Anything], list[Anything], list[Anything]]:
    """Put lists side by side, so that they are gone through together.

    a: the first list.
    b: the second list.
    c: a third list.
    lengths: for lists of different lengths: cut to the shortest, repeat last items up to the longest, or refuse.
    """
    lists = [one for one in (a, b, c) if one is not None]
    counts = [len(one) for one in lists]
    how = lengths[0]
    if how == "equal" and len(set(counts)) > 1:
        raise InputError(
            "the lists are not equally long", input="lengths", expected="lists of one length",
            got=", ".join(map(str, counts)), hint='choose "shortest" or "longest"',
        )  # fmt: skip
    count = min(counts) if how != "longest" or not min(counts) else max(counts)
    cut = [[one[min(place, len(one) - 1)] for place in range(count)] for one in lists]
    return cut[0], cut[1], cut[2] if len(cut) > 2 else []


@node("ListProduct", category="flow/lists", display_name="Combine Lists", outputs=["a", "b", "c"], input_is_list=True)
def list_product(
    *, a: Anything, b: Anything, c: Anything | None = None
) -> tuple[list[Anything], list[Anything], list[Anything]]:
    """Combine each item of one list with each of the others; the last list changes fastest.

    With an empty list there are no combinations.

    a: the list that changes slowest.
    b: the second list.
    c: a third list.
    """
    lists = [one for one in (a, b, c) if one is not None]
    count = 1
    for one in lists:
        count *= len(one)
    if count > MAX_ITEMS:
        raise InputError("there are too many combinations", expected=f"at most {MAX_ITEMS}", got=str(count))
    rows = list(itertools.product(*lists))
    columns = [[row[place] for row in rows] for place in range(len(lists))]
    return columns[0], columns[1], columns[2] if len(columns) > 2 else []


@node("ListItem", category="flow/lists", display_name="List Item", outputs=["item"], input_is_list=True)
def list_item(*, items: Anything, index: Whole = 0) -> Anything:
    """Take one item of a list.

    items: the list.
    index: the place of the item, from 0; negative counts from the end.
    """
    place, count = index[0], len(items)
    if not -count <= place < count:
        raise InputError(
            "the list has no such item",
            input="index",
            expected=f"{-count} to {count - 1}" if count else "a list with items",
            got=f"{place} of a list of {count}",
        )
    return items[place]


@node("ListSlice", category="flow/lists", display_name="List Slice", outputs=["items"], input_is_list=True)
def list_slice(*, items: Anything, start: Whole = 0, count: Annotated[int, Int(0, MAX_ITEMS)] = 1) -> list[Anything]:
    """Take some items of a list that follow one another; fewer where the list ends.

    items: the list.
    start: the place of the first, from 0; negative counts from the end.
    count: how many to take.
    """
    first = start[0] if start[0] >= 0 else max(len(items) + start[0], 0)
    return items[first : first + count[0]]


@node("ListLength", category="flow/lists", display_name="List Length", outputs=["count"], input_is_list=True)
def list_length(*, items: Anything) -> Whole:
    """Count the items of a list.

    items: the list; anything that is no list counts as one item.
    """
    return len(items)


@node("BatchToList", category="flow/lists", display_name="Batch To List", outputs=["images"])
def batch_to_list(*, images: Image) -> list[Image]:
    """Take a batch of pictures apart, so that what follows runs once for each of them.

    images: the batch.
    """
    return [images[place : place + 1] for place in range(len(images))]


@node("ListToBatch", category="flow/lists", display_name="List To Batch", outputs=["images"], input_is_list=True)
def list_to_batch(*, images: Image) -> Image:
    """Put the pictures of a list, all of one size, into one batch.

    images: the list; batches in it are joined in order.
    """
    import torch

    sizes = sorted({tuple(one.shape[1:]) for one in images})
    if not sizes:
        raise InputError("the list is empty", input="images", expected="at least one picture", got="none")
    if len(sizes) > 1:
        raise InputError(
            "the pictures are not of one size", input="images", expected="one width, height and number of channels",
            got=", ".join(f"{width}x{height} with {depth}" for height, width, depth in sizes[:4]),
            hint="bring them to one size first (Upscale Image)",
        )  # fmt: skip
    return torch.cat(images)
