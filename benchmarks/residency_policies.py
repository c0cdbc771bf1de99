"""Ways of keeping weights that `residency.py` sets beside ours: whole models without overlap, recency, loose greed."""

from __future__ import annotations

import heapq
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence

from engine.memory.phases import Link, Phase, Timeline


def without_overlap(
    phases: Sequence[Phase],
    capacity: int,
    choose: Callable[[dict[str, int], int], Iterable[str]],
    *,
    partly: bool = False,
    freed: float = 1.0,
    writes_back: bool = False,
) -> tuple[int, int]:
    """Return the bytes (loaded, written back) of whole-model ways. `choose` orders what may go, the first first."""
    here: dict[str, int] = {}
    loaded = back = 0
    for number, phase in enumerate(phases):
        sizes: dict[str, int] = {}
        for block in dict.fromkeys(access.block for access in phase.accesses):
            sizes[block.model] = sizes.get(block.model, 0) + block.nbytes
        most = capacity - phase.activation_bytes
        missing = sum(size - here.get(model, 0) for model, size in sizes.items())
        others = {model: size for model, size in here.items() if model not in sizes}
        mine = sum(here.get(model, 0) for model in sizes)
        for model in choose(others, number):
            excess = mine + sum(others.values()) + int(missing * freed) - most
            if excess <= 0:
                break
            gone = min(others[model], excess) if partly else others[model]
            others[model] -= gone
            back += gone if writes_back else 0
        room = most - sum(others.values())
        kept = {model: size for model, size in others.items() if size}
        streamed = 0
        for model, size in sizes.items():
            stays = max(0, min(size, room))
            room -= stays
            loaded += max(0, stays - here.get(model, 0))
            streamed += size - stays
            kept[model] = stays
        loaded += streamed * phase.repeats
        order = [model for model in here if model in kept and model not in sizes]
        here = {model: kept[model] for model in [*order, *sizes]}
    return loaded, back


def by_next_use(phases: Sequence[Phase]) -> Callable[[dict[str, int], int], Iterable[str]]:
    used = [{access.block.model for access in phase.accesses} for phase in phases]

    def choose(others: dict[str, int], number: int) -> list[str]:
        def following(model: str) -> int:
            return next((at for at in range(number, len(used)) if model in used[at]), len(used))

        return sorted(others, key=following, reverse=True)

    return choose


def block_lru(timeline: Timeline, depth: int) -> bytearray:
    """Return what block-wise least recently used keeps."""
    sizes, kept = timeline.sizes, bytearray(len(timeline))
    here: OrderedDict[int, int] = OrderedDict()
    held, room = 0, depth * max(sizes)
    for at, block in enumerate(timeline.order):
        wanted = 0 if block in here else sizes[block]
        here.pop(block, None)
        while here and held + wanted > timeline.limits[at] - room:
            gone, last = here.popitem(last=False)
            kept[last] = 0
            held -= sizes[gone]
        held += wanted
        here[block] = at
        kept[at] = timeline.following[at] < len(timeline)
    return kept


def greedy(timeline: Timeline, link: Link) -> tuple[int, float]:
    """Return (bytes, waiting) of row H: whenever the link is idle, the next block that is missing is loaded.

    Blocks whose next use is later than its use make room for it.
    """
    order, sizes, limits, following = timeline.order, timeline.sizes, timeline.limits, timeline.following
    count = len(order)
    ready: dict[int, float] = {}
    next_use: dict[int, int] = {}
    furthest: list[tuple[int, int]] = []
    now = copied = stall = 0.0
    ahead = held = loaded = 0
    for at, block in enumerate(order):
        while held > limits[at]:  # a phase with larger activations has begun
            use, gone = heapq.heappop(furthest)
            if next_use.get(gone) == -use and gone != block:
                held -= sizes[gone]
                del ready[gone], next_use[gone]
                ahead = min(ahead, -use)
        ahead = max(ahead, at)
        while ahead < count and (ahead == at or copied <= now):
            wanted = order[ahead]
            if wanted not in ready:
                most = min(limits[at], limits[ahead])
                while furthest and held + sizes[wanted] > most:
                    use, gone = furthest[0]
                    if next_use.get(gone) != -use:
                        heapq.heappop(furthest)
                    elif -use > ahead and gone != block:
                        heapq.heappop(furthest)
                        held -= sizes[gone]
                        del ready[gone], next_use[gone]
                    else:
                        break
                if held + sizes[wanted] > most and ahead != at:
                    break
                copied = max(copied, now) + link.seconds(sizes[wanted])
                ready[wanted], next_use[wanted] = copied, ahead
                heapq.heappush(furthest, (-ahead, wanted))
                held += sizes[wanted]
                loaded += sizes[wanted]
            ahead += 1
        stall += max(0.0, ready[block] - now)
        now = max(now, ready[block]) + timeline.seconds[at]
        if following[at] < count:
            next_use[block] = following[at]
            heapq.heappush(furthest, (-following[at], block))
        else:
            held -= sizes[block]
            del ready[block], next_use[block]
    return loaded, stall
