"""Reading what a pack declares about an input, ``(type, {options})``, into a `Parameter`; and types of sockets."""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any

from engine.graph.content import content_key
from engine.graph.node_types import MISSING, Missing, Parameter
from engine.graph.values import DYNAMIC_CHOICE

_NO_SUCH_TYPE = "SAFELIGHT_NO_SUCH_TYPE"


def socket_type(declared: Any) -> str:
    """Return a declared type as plain text; ``*`` for one that claims to be equal to any other.

    Packs make their own wildcards: a subclass of str whose ``!=`` is never true, whatever its text is.
    """
    if isinstance(declared, str):
        if type(declared) is not str:
            differs = declared != _NO_SUCH_TYPE  # what is asked is the class's own operators, both of them
            same = declared == _NO_SUCH_TYPE
            return "*" if same or not differs else str.__str__(declared)
        return declared
    if isinstance(declared, (list, tuple, set, frozenset)) or _is_listing(declared):
        return "COMBO"
    own = getattr(declared, "io_type", None)
    return own if isinstance(own, str) else str(getattr(declared, "value", declared))


def parameter(name: str, declared: Any, required: bool) -> Parameter:
    """Read one input: ``(type, options)``, ``([choices], options)`` or a bare type.

    Every option stays in ``options``. The default of an optional input stays there alone: such an input is not passed
    when it is left out, so that the default of the node's own function applies.
    """
    parts = declared if isinstance(declared, (tuple, list)) and declared else (declared,)
    kind = parts[0]
    options: Mapping[str, Any] = parts[1] if len(parts) > 1 and isinstance(parts[1], Mapping) else {}
    socket = socket_type(kind)
    choices = _choices(kind, options) if socket == "COMBO" or socket.startswith(DYNAMIC_CHOICE) else None
    return Parameter(
        name=name,
        type=socket,
        required=required,
        default=_default(options.get("default", MISSING)) if required else MISSING,
        minimum=_number(options.get("min")),
        maximum=_number(options.get("max")),
        step=_number(options.get("step")),
        round=options.get("round") if isinstance(options.get("round"), (bool, int, float)) else None,
        choices=choices,
        dynamic_prompts=options.get("dynamicPrompts") is True,
        control_after_generate=bool(options.get("control_after_generate")),
        force_input=options.get("forceInput") is True,
        lazy=bool(options.get("lazy")),
        raw_link=bool(options.get("rawLink")),
        help=str(options.get("tooltip") or ""),
        options=MappingProxyType(dict(options)),
        multiline=options.get("multiline") is True,
        image_upload=options.get("image_upload") is True,
    )


def _choices(kind: Any, options: Mapping[str, Any]) -> tuple[Any, ...] | None:
    """Return the choices of a combo; None where they are not known here (they are fetched by the editor)."""
    listed = options.get("options") if isinstance(kind, str) else kind
    if listed is None or isinstance(listed, str) or not isinstance(listed, Iterable):
        return None
    if isinstance(kind, str) and not listed:
        return None if options.get("remote") else ()
    if str(kind).startswith(DYNAMIC_CHOICE):
        return tuple(one["key"] for one in listed)
    return tuple(getattr(one, "value", one) if isinstance(one, str) else one for one in listed)


def _is_listing(declared: Any) -> bool:
    return isinstance(declared, Iterable) and not isinstance(declared, (str, bytes, Mapping))


def _default(value: Any) -> Any | Missing:
    """Return a default as plain data, which a saved graph could hold as well; MISSING for anything else."""
    if value is MISSING:
        return value
    value = value.value if isinstance(value, enum.Enum) else value
    for kind in (bool, int, float, str):  # also what is derived of these, such as numbers of numpy
        if isinstance(value, kind):
            return value if type(value) is kind else kind(value)
    is_data = isinstance(value, (list, dict)) and content_key(value) is not None
    return value if is_data else MISSING


def _number(value: Any) -> float | None:
    return value if isinstance(value, (int, float)) and not isinstance(value, bool) else None


class Sections:
    """What ``INPUT_TYPES()`` returned, read: ``required`` and ``optional`` as parameters, ``hidden`` by kind.

    A section may be a dict of the pack's own that has an answer for every name; `extra` asks it. Raises `TypeError`
    when it is no mapping of mappings.
    """

    def __init__(self, declared: Any) -> None:
        if not isinstance(declared, Mapping):
            raise TypeError(f"INPUT_TYPES returned {type(declared).__name__}, not a dict")
        found: dict[str, Parameter] = {}
        self._open: list[tuple[Mapping[str, Any], bool]] = []
        for section, required in (("required", True), ("optional", False)):
            inputs = declared.get(section)
            inputs = {} if inputs is None else inputs  # one that has any name is empty, but not nothing
            if not isinstance(inputs, Mapping):
                raise TypeError(f"INPUT_TYPES returned {type(inputs).__name__} for {section!r}, not a dict")
            for name, one in inputs.items():  # of two declarations the first counts, the required one
                if str(name) not in found:
                    found[str(name)] = parameter(str(name), one, required)
            if type(inputs).__contains__ is not dict.__contains__:
                self._open.append((inputs, required))
        self.parameters = tuple(found.values())
        hidden = declared.get("hidden") or {}
        self.hidden = {str(name): _hidden_kind(kind) for name, kind in hidden.items()}

    @property
    def is_open(self) -> bool:
        """Say whether a section has an answer for names that it does not list."""
        return bool(self._open)

    def extra(self, name: str) -> Parameter | None:
        """Return the parameter that an open section has for ``name``, or None."""
        for inputs, required in self._open:
            if name in inputs:
                return parameter(name, inputs[name], required)
        return None


def _hidden_kind(kind: Any) -> str:
    kind = kind[0] if isinstance(kind, (tuple, list)) and kind else kind
    return str(getattr(kind, "value", kind))
