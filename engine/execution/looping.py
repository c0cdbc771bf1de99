"""Running a loop: round after round over the same nodes, with other values.

The graph is not copied and results of a round are let go at its end, so ten thousand rounds take the memory of one,
plus what the loop collects.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Generator, Mapping
from typing import Any

from engine.execution.cache import Result, Shown
from engine.execution.events import NodeProgress, tell
from engine.execution.loops import Loop
from engine.execution.run_state import RunState, once
from engine.graph.content import content_key
from engine.graph.fingerprint import digest
from engine.graph.model import Link
from engine.graph.node_types import Blocked, LoopEnd, LoopStart, Many


@dataclasses.dataclass(slots=True)
class Rounds:
    """A loop that runs: its generator, what it needs in each round, and what it has gathered."""

    loop: Loop
    role: LoopEnd
    origin: str
    generator: Generator[tuple[Any, ...], Mapping[str, Any], Mapping[str, Any]]
    total: int | None
    targets: tuple[str, ...]
    collected: dict[str, list[Any]]
    carried: dict[str, Any] = dataclasses.field(default_factory=dict)
    shown: list[Shown] = dataclasses.field(default_factory=list)
    done: int = 0
    again: bool = True
    started: float = dataclasses.field(default_factory=time.perf_counter)


def loop_origin(state: RunState, loop: Loop) -> str:
    """Return the key of a whole loop, made from what came in from outside."""
    keys: dict[str, str | None] = {source: state.results[state.original(source)].origin for source in loop.outside}
    state.fingerprints.derivation_keys(state.graph, loop.members, keys)
    return state.loop_key(keys, loop) or once()


def enter(state: RunState, loop: Loop, origin: str) -> Rounds:
    """Begin a loop whose outside is there. Raises what the start's code raises."""
    start, kind = state.nodes[loop.start], state.node_type(loop.start)
    role = state.node_type(loop.end).loop
    assert isinstance(kind.loop, LoopStart) and isinstance(role, LoopEnd)
    inputs = state.gather(start, kind)
    links = [value for value in state.nodes[loop.end].inputs.values() if type(value) is Link]
    feeding = [link.node for link in links if state.loops.inside.get(link.node) == loop.end and link.node != loop.start]
    targets = tuple(dict.fromkeys([*feeding, *loop.sinks]))
    total = kind.loop.count(**inputs) if kind.loop.count is not None else None
    collected: dict[str, list[Any]] = {name: [] for name in role.collect}
    assert kind.run is not None
    return Rounds(loop, role, origin, kind.run(**inputs), total, targets, collected)


def begin_round(state: RunState, rounds: Rounds) -> bool:
    """Begin the next round and let the loop's end wait for it. Returns False when there is none."""
    end, start = rounds.loop.end, rounds.loop.start
    try:
        values = next(rounds.generator) if rounds.done == 0 else rounds.generator.send(dict(rounds.carried))
    except StopIteration as over:
        rounds.carried = dict(over.value or rounds.carried)
        return False
    tokens = [content_key(value) for value in values]
    known = [token for token in tokens if token is not None]
    origin = digest("".join(known)) if len(known) == len(tokens) else once()
    state.results[start] = Result(tuple(values), origin)
    state.hold(end, [start])
    state.request(end, rounds.targets)
    return True


def end_round(state: RunState, rounds: Rounds) -> None:
    """Take from a finished round what the loop gathers, and let go of the rest."""
    node, role = state.nodes[rounds.loop.end], rounds.role
    for name, value in node.inputs.items():
        if type(value) is not Link or name == role.start:
            continue
        got = state.source(value).values[value.slot]
        if name in role.collect:
            _collect(rounds.collected[name], got)
        elif name in role.carry:
            rounds.carried[name] = got
        elif name == role.again:
            rounds.again = _says_yes(got)
    for target in rounds.targets:
        result = state.results.get(target)
        if result is not None and target in rounds.loop.sinks:
            rounds.shown += state.report.shown_by(target, result)
    state.let_go(rounds.loop.end, [*rounds.targets, rounds.loop.start])
    rounds.done += 1
    total = rounds.total if rounds.total is not None else rounds.done
    tell(state.scope.listener, NodeProgress(node.id, rounds.done, max(total, rounds.done)))


def gathered(state: RunState, rounds: Rounds) -> dict[str, Any]:
    """Return the inputs of the loop's end after the last round."""
    node, kind = state.nodes[rounds.loop.end], state.node_type(rounds.loop.end)
    inputs: dict[str, Any] = {name: None for name, value in node.inputs.items() if type(value) is Link}
    inputs |= {name: value for name, value in node.inputs.items() if type(value) is not Link}
    inputs |= {name: Many(values) for name, values in rounds.collected.items()}
    inputs |= {name: value for name, value in rounds.carried.items() if name in kind.by_name}
    return inputs


def _collect(values: list[Any], got: Any) -> None:
    """Add what a round gave: each item of a list, nothing when it is blocked."""
    if type(got) is Many:
        values.extend(item for item in got if type(item) is not Blocked)
    elif type(got) is not Blocked:
        values.append(got)


def _says_yes(value: Any) -> bool:
    if type(value) is Many:
        value = value[-1] if value else False
    return type(value) is not Blocked and bool(value)
