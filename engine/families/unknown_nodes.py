"""Nodes of packs: nobody knows what they compute with, so it is assumed what can be, and measured what cannot.

Such a node may use all the models that it is given, whole; what it holds beside them is what it held when it last ran.
A node that has never run leaves nothing else on the device. Where it calls its models through the engine, as most do,
a rehearsal notes the calls, and they are believed.
"""

from __future__ import annotations

import dataclasses
import inspect
import sys
from collections.abc import Awaitable, Callable, Generator, Iterator, Mapping
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from engine.errors import InputError
from engine.graph.node_types import NodeType
from engine.graph.registry import Registry
from engine.memory.measured import Measured, MeasuredStore
from engine.weights.recipe import ModelRecipe

if TYPE_CHECKING:
    from engine.families.rehearsal import Rehearsal
    from engine.memory.activations import ActivationMeter

__all__ = ["NotRehearsed", "measuring_unknown", "node_facts", "noting_unknown"]

DEPTH: Final = 3
"""How far into a value (a guider, a ControlNet, a list) recipes are looked for."""


def node_facts(node_type: NodeType) -> dict[str, Any]:
    """Return under which facts it is kept what a node was measured to take."""
    return {"node": node_type.id, "version": node_type.version}


class NotRehearsed(InputError):
    """Say that a node of a pack is not run to see what it would take: nobody knows what else it does."""


def noting_unknown(
    registry: Registry, rehearsal: Rehearsal, measured: MeasuredStore, *, packs: bool = True
) -> Registry:
    """Return a registry for a rehearsal, whose nodes of packs note the models that they are given.

    Without `packs` they raise `NotRehearsed`: what is paid, written or counted happens when somebody asks for it.
    """
    from engine.families.rehearsal import UnknownWork

    def note(node_type: NodeType) -> Callable[..., Any]:
        run = _function_of(node_type)

        def noted(*context: Any, **inputs: Any) -> Any:
            if not packs:
                raise NotRehearsed("a node of a pack is run by runs alone, not to plan them", got=node_type.id)
            found = measured.get(node_facts(node_type))
            recipes = tuple({recipe.weights_key: recipe for recipe in _recipes(inputs)}.values())
            if recipes or found is not None:
                peak = None if found is None else found.peak_bytes
                rehearsal.calls.append(UnknownWork(rehearsal.where(), recipes, peak))
            return run(*context, **inputs)

        return noted

    return _with_runs(registry, note)


def measuring_unknown(registry: Registry, measured: MeasuredStore) -> Registry:
    """Return a registry for a run, whose nodes of packs are measured: the most that their tensors hold at a time."""

    def measure(node_type: NodeType) -> Callable[..., Any]:
        run = _function_of(node_type)

        def keep(meter: ActivationMeter) -> None:
            if meter.peak:
                measured.put(node_facts(node_type), Measured(meter.peak))

        def metered(*context: Any, **inputs: Any) -> Any:
            if "torch" not in sys.modules:  # what a node loads itself is measured from its second run on
                return run(*context, **inputs)
            from engine.memory.activations import ActivationMeter

            with ActivationMeter() as meter:
                made = run(*context, **inputs)
            if inspect.isawaitable(made):
                return _Metered(made, meter, keep)
            keep(meter)
            return made

        return metered

    return _with_runs(registry, measure)


def _with_runs(registry: Registry, change: Callable[[NodeType], Callable[..., Any]]) -> Registry:
    """Return `registry` with other functions for its nodes of packs."""
    changed = {
        name: dataclasses.replace(one, run=_awaited(change(one)) if one.awaits else change(one))
        for name, one in registry.types.items()
        if not one.lasting and one.run is not None
    }
    return Registry(MappingProxyType({**registry.types, **changed})) if changed else registry


def _awaited(run: Callable[..., Any]) -> Callable[..., Any]:
    """Return `run`, which gives what is to be awaited, as a coroutine: such nodes are begun before others."""

    async def awaited(*context: Any, **inputs: Any) -> Any:
        return await run(*context, **inputs)

    return awaited


class _Metered:
    """Await something and measure the tensors of its own steps: between them other work has the thread."""

    def __init__(
        self, awaitable: Awaitable[Any], meter: ActivationMeter, keep: Callable[[ActivationMeter], None]
    ) -> None:
        self._awaitable, self._meter, self._keep = awaitable, meter, keep

    def __await__(self) -> Generator[Any, Any, Any]:
        steps = self._awaitable.__await__()
        step: Callable[[], Any] = partial(next, steps)
        while True:
            try:
                with self._meter:
                    waited_for = step()
            except StopIteration as done:
                self._keep(self._meter)
                return done.value
            try:
                yield waited_for
                step = partial(next, steps)
            except BaseException as error:  # noqa: BLE001 (the node's own to handle)
                step = partial(steps.throw, error)


def _function_of(node_type: NodeType) -> Callable[..., Any]:
    assert node_type.run is not None
    return node_type.run


def _recipes(value: Any, depth: int = DEPTH) -> Iterator[ModelRecipe]:
    """Yield the models inside a value."""
    if isinstance(value, ModelRecipe):
        yield value
    elif depth and isinstance(value, Mapping):
        for one in value.values():
            yield from _recipes(one, depth - 1)
    elif depth and isinstance(value, (list, tuple)):
        for one in value:
            yield from _recipes(one, depth - 1)
    elif depth and dataclasses.is_dataclass(value) and not isinstance(value, type):
        for field in dataclasses.fields(value):
            yield from _recipes(getattr(value, field.name, None), depth - 1)
