"""Inputs that stand for several: lists that grow, choices that bring inputs of their own, inputs of one shared type.

In a graph each of their parts is an input of its own, with an id like ``images.image0``; the node gets a dict.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from engine.compat.schema_types import AnyType, ComfyType, Input, types_of
from engine.compat.schema_types import Input as PlainInput  # the classes below have inner ones of these names
from engine.compat.schema_types import Output as PlainOutput
from engine.graph.node_checks import TEMPLATE

MAX_GROWN = 100


@dataclasses.dataclass(frozen=True, slots=True)
class Flat:
    """One input as it stands in a graph."""

    id: str
    input: Input
    required: bool


class DynamicInput(Input):
    """An input that stands for several."""

    def flat(self, path: str, values: Mapping[str, Any], required: bool) -> Iterator[Flat]:
        """Yield the inputs that it stands for below ``path``, when the node's constants are ``values``."""
        raise NotImplementedError

    def nested(self, path: str, inputs: Mapping[str, Any]) -> Any:
        """Return what the node gets, from its inputs by their ids in the graph; None for nothing."""
        raise NotImplementedError


def flattened(inputs: Sequence[Input], values: Mapping[str, Any], path: str = "", required: bool = True) -> list[Flat]:
    """Return all inputs as they stand in a graph."""
    found: list[Flat] = []
    for one in inputs:
        needed = required and not one.optional
        if isinstance(one, DynamicInput):
            found += one.flat(path + one.id, values, needed)
        else:
            found.append(Flat(path + one.id, one, needed))
    return found


def nested(inputs: Sequence[Input], given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the inputs as a node gets them: those of dynamic inputs put together into dicts."""
    dynamic = [one for one in inputs if isinstance(one, DynamicInput)]
    made = {
        name: value
        for name, value in given.items()
        if not any(name == one.id or name.startswith(f"{one.id}.") for one in dynamic)
    }
    for one in dynamic:
        value = one.nested(one.id, given)
        if value is not None:
            made[one.id] = value
    return made


def _nested_part(one: Input, path: str, given: Mapping[str, Any], made: dict[str, Any]) -> None:
    if isinstance(one, DynamicInput):
        value = one.nested(path, given)
        if value is not None:
            made[one.id] = value
    elif path in given:
        made[one.id] = given[path]


class TemplatePrefix:
    """Names ``prefix0``, ``prefix1`` …, at least ``min`` and at most ``max`` of them."""

    def __init__(self, input: Input, prefix: str, min: int = 1, max: int = 10) -> None:
        self.input = input
        self.min = min
        self.names = [f"{prefix}{index}" for index in range(_bounded(min, max))]


class TemplateNames:
    """Given names, of which the first ``min`` are needed."""

    def __init__(self, input: Input, names: Sequence[str], min: int = 1) -> None:
        self.input = input
        self.min = min
        self.names = list(names)[:MAX_GROWN]


def _bounded(least: int, most: int) -> int:
    if not 0 <= least <= most <= MAX_GROWN:
        raise ValueError(f"min and max of a growing input have to be 0 <= min <= max <= {MAX_GROWN}")
    return most


class Autogrow(ComfyType):
    """Inputs that grow: one more socket each time the last is connected."""

    io_type = "COMFY_AUTOGROW_V3"
    TemplatePrefix = TemplatePrefix
    TemplateNames = TemplateNames

    class Input(DynamicInput):
        """A growing list of inputs."""

        io_type = "COMFY_AUTOGROW_V3"

        def __init__(self, id: str, template: TemplatePrefix | TemplateNames, **more: Any) -> None:
            super().__init__(id, **more)
            self.template = template

        def flat(self, path: str, values: Mapping[str, Any], required: bool) -> Iterator[Flat]:
            """Yield every socket that there can be; the first ``min`` are needed."""
            one = self.template.input
            for index, name in enumerate(self.template.names):
                needed = required and index < self.template.min and not one.optional
                yield Flat(f"{path}.{name}", one, needed)

        def nested(self, path: str, inputs: Mapping[str, Any]) -> dict[str, Any]:
            """Return the connected sockets by name, in their order."""
            paths = {name: f"{path}.{name}" for name in self.template.names}
            return {name: inputs[one] for name, one in paths.items() if one in inputs}


class Option:
    """One choice, with the inputs that it brings."""

    def __init__(self, key: str, inputs: Sequence[Input] = ()) -> None:
        self.key = key
        self.inputs = list(inputs)

    def sections(self) -> dict[str, dict[str, Any]]:
        """Return the inputs as ``INPUT_TYPES`` would have them."""
        made: dict[str, dict[str, Any]] = {"required": {}, "optional": {}}
        for one in self.inputs:
            made["optional" if one.optional else "required"][one.id] = [one.get_io_type(), one.options()]
        return made


class DynamicCombo(ComfyType):
    """A choice that decides which further inputs there are."""

    io_type = "COMFY_DYNAMICCOMBO_V3"
    Option = Option

    class Input(DynamicInput):
        """A choice between `Option`s."""

        io_type = "COMFY_DYNAMICCOMBO_V3"

        def __init__(self, id: str, options: Sequence[Option], **more: Any) -> None:
            super().__init__(id, **more)
            self.choices = list(options)

        def options(self) -> dict[str, Any]:
            """Return the options; each choice with the inputs that it brings, as editors know them."""
            return {
                **super().options(),
                "options": [{"key": one.key, "inputs": one.sections()} for one in self.choices],
            }

        def flat(self, path: str, values: Mapping[str, Any], required: bool) -> Iterator[Flat]:
            """Yield the choice itself, then the inputs of the chosen option."""
            yield Flat(path, self, required)
            option = self._option(values.get(path))
            if option is not None:
                yield from flattened(option.inputs, values, f"{path}.", required)

        def nested(self, path: str, inputs: Mapping[str, Any]) -> dict[str, Any] | None:
            """Return the chosen key under the input's own name, and the inputs that it brought."""
            if path not in inputs:
                return None
            chosen = inputs[path]
            made: dict[str, Any] = {self.id: chosen}
            option = self._option(chosen[0] if isinstance(chosen, list) and chosen else chosen)
            for one in option.inputs if option is not None else ():
                _nested_part(one, f"{path}.{one.id}", inputs, made)
            return made

        def _option(self, key: Any) -> Option | None:
            return next((one for one in self.choices if isinstance(key, str) and one.key == key), None)


class Template:
    """Binds inputs and outputs to one type, whichever is connected first."""

    def __init__(self, template_id: str, allowed_types: Any = AnyType) -> None:
        self.template_id = template_id
        self.socket = types_of(allowed_types)


class MatchType(ComfyType):
    """Inputs and outputs that have to be of one type."""

    io_type = "COMFY_MATCHTYPE_V3"
    Template = Template

    class Input(PlainInput):
        """An input of the template's type."""

        def __init__(self, id: str, template: Template, **more: Any) -> None:
            super().__init__(id, **more)
            self.io_type = template.socket
            self.facts[TEMPLATE] = template.template_id

    class Output(PlainOutput):
        """An output of the template's type."""

        def __init__(self, template: Template, id: str | None = None, **more: Any) -> None:
            super().__init__(id, **more)
            self.io_type = template.socket
            self.template = template


def is_dynamic(inputs: Sequence[Input]) -> bool:
    """Say whether which inputs there are depends on values."""
    return any(isinstance(one, DynamicCombo.Input) or _grows_dynamic(one) for one in inputs)


def _grows_dynamic(one: Input) -> bool:
    return isinstance(one, Autogrow.Input) and isinstance(one.template.input, DynamicInput)
