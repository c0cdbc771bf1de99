"""The questions that a pack's class may answer beside running: IS_CHANGED, VALIDATE_INPUTS, check_lazy_status.

They all take inputs by keyword; what a signature does not name is not passed, unless it has ``**kwargs``.
"""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

from engine.compat.calling import settle
from engine.graph.node_types import InputCheck

Arrange = Callable[[Mapping[str, Any]], Mapping[str, Any]]
"""Turns inputs by the names that they have in the graph into those that a function takes."""


@dataclasses.dataclass(frozen=True, slots=True)
class Signature:
    """The keywords that a function takes; ``open`` when it takes any."""

    names: frozenset[str]
    needed: frozenset[str]
    open: bool

    def takes(self, name: str) -> bool:
        """Say whether a keyword of this name may be passed."""
        return self.open or name in self.names

    def filtered(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Return the values that may be passed."""
        return {name: value for name, value in values.items() if self.takes(name)}


def signature_of(function: Callable[..., Any]) -> Signature:
    """Read the signature of a bound function; one that cannot be read takes anything."""
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        return Signature(frozenset(), frozenset(), open=True)
    named = [one for one in parameters if one.kind in (one.POSITIONAL_OR_KEYWORD, one.KEYWORD_ONLY)]
    return Signature(
        frozenset(one.name for one in named),
        frozenset(one.name for one in named if one.default is one.empty),
        any(one.kind is one.VAR_KEYWORD for one in parameters),
    )


def as_given(values: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return ``values``: classes without dynamic inputs take them by the names that they have in the graph."""
    return values


def change_question(
    ask: Callable[..., Any],
    inputs: Collection[str],
    hidden: Collection[str],
    as_lists: bool,
    arrange: Arrange = as_given,
) -> Callable[[Mapping[str, Any]], Any]:
    """Return the ``changed`` of a node type: ``ask`` with the constants, and None for what comes by link."""
    signature = signature_of(ask)

    def changed(values: Mapping[str, Any]) -> Any:
        given = {**dict.fromkeys(hidden), **{name: _listed(value, as_lists) for name, value in values.items()}}
        return settle(ask(**signature.filtered(_completed(arrange(given), signature, inputs))))

    return changed


def input_check(
    ask: Callable[..., Any], inputs: Collection[str], as_lists: bool, arrange: Arrange = as_given
) -> InputCheck:
    """Return the check of a node type. What the signature names is not checked by the engine's own rules."""
    signature = signature_of(ask)

    def call(values: Mapping[str, Any], types: Mapping[str, str]) -> bool | str:
        given = {name: _listed(value, as_lists) for name, value in values.items() if name != "input_types"}
        passed = signature.filtered(_completed(arrange(given), signature, inputs))
        if "input_types" in signature.names:
            passed["input_types"] = dict(types)
        answer = settle(ask(**passed))
        return answer if isinstance(answer, str) else answer is True or (answer is not False and bool(answer))

    return InputCheck(
        call,
        names=None if signature.open else signature.names - {"input_types"},
        types="input_types" in signature.names,
    )


def lazy_question(
    ask: Callable[..., Any],
    inputs: Mapping[str, Any],
    lazy: Collection[str],
    as_lists: bool,
    arrange: Arrange = as_given,
) -> Iterable[str]:
    """Return the names that ``ask`` (``check_lazy_status``) wants computed, given the inputs that are there."""
    signature = signature_of(ask)
    given = {
        name: (None,) if as_lists and name in lazy and _is_absent(value) else value for name, value in inputs.items()
    }
    wanted = settle(ask(**signature.filtered(arrange(given))))
    if wanted is None:
        return ()
    return (wanted,) if isinstance(wanted, str) else tuple(wanted)


def _is_absent(value: Any) -> bool:
    return value is None or (isinstance(value, list) and len(value) == 1 and value[0] is None)


def _listed(value: Any, as_lists: bool) -> Any:
    """Return a value as a class that takes lists gets it: ``[value]``, and ``(None,)`` for what comes by link."""
    if not as_lists:
        return value
    return (None,) if value is None else [value]


def _completed(given: Mapping[str, Any], signature: Signature, inputs: Collection[str]) -> Mapping[str, Any]:
    """Add None for declared inputs that the function needs and that were left out."""
    absent = [name for name in signature.needed if name not in given and name in inputs]
    return {**given, **dict.fromkeys(absent)} if absent else given
