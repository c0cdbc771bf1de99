"""Classes with INPUT_TYPES, RETURN_TYPES and FUNCTION, as node types."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping
from typing import Any

from engine.compat.bridging import from_pack, may_bridge, to_pack
from engine.compat.calling import Call, Owner, Stepped, calling, settle
from engine.compat.declared_inputs import Sections, socket_type
from engine.compat.hooks import change_question, input_check, lazy_question, signature_of
from engine.compat.instances import Instances
from engine.compat.live_graph import hidden_values
from engine.compat.returns import Shape, result_of
from engine.graph.model import Link
from engine.graph.node_types import InputCheck, NodeResult, NodeType, Output, Parameter


class ContractError(TypeError):
    """Say that a pack's class does not keep to the contract, so that it cannot be a node."""


def node_type_of(id: str, kind: type, owner: Owner, instances: Instances, display_name: str | None = None) -> NodeType:
    """Describe a class of a pack as a node type. Calls its ``INPUT_TYPES``.

    Raises `ContractError` when something that every node needs is missing, and whatever ``INPUT_TYPES`` raises.
    """
    sections = read_sections(kind)
    names = {one.name for one in sections.parameters}
    function = _function_name(kind)
    shape = Shape(id, function, outputs_of(kind), owner)
    as_lists = bool(getattr(kind, "INPUT_IS_LIST", False))
    adapter = _Adapter(kind, shape, sections, instances, as_lists)
    changed = getattr(kind, "IS_CHANGED", None)
    per_node = bool(getattr(kind, "NOT_IDEMPOTENT", False)) or "UNIQUE_ID" in sections.hidden.values()
    asks_lazily = getattr(kind, "check_lazy_status", None) is not None
    return NodeType(
        id=id,
        display_name=str(display_name or getattr(kind, "DISPLAY_NAME", None) or id),
        category=str(getattr(kind, "CATEGORY", "") or ""),
        inputs=sections.parameters,
        outputs=shape.outputs,
        run=adapter.run_async if inspect.iscoroutinefunction(getattr(kind, function)) else adapter.run,
        version=owner.version,
        description=str(getattr(kind, "DESCRIPTION", "") or ""),
        wants_context=True,
        output_node=bool(getattr(kind, "OUTPUT_NODE", False)),
        deprecated=bool(getattr(kind, "DEPRECATED", False)),
        experimental=bool(getattr(kind, "EXPERIMENTAL", False)),
        input_is_list=as_lists,
        open_inputs=signature_of(getattr(kind, function)).open,
        drops_unknown=True,
        lasting=False,
        per_node=per_node,
        needs=adapter.needs if asks_lazily else None,
        changed=change_question(changed, names, sections.hidden, as_lists) if callable(changed) else None,
        check=_check(kind, names, as_lists),
        inputs_for=adapter.inputs_for if sections.is_open else None,
        module=owner.module,
    )


def read_sections(kind: type) -> Sections:
    """Call ``INPUT_TYPES`` and read what it returns. Raises `ContractError` when there is none to call."""
    declare = getattr(kind, "INPUT_TYPES", None)
    if not callable(declare):
        raise ContractError("the class has no INPUT_TYPES")
    try:
        return Sections(settle(declare()))
    except TypeError as error:
        raise ContractError(f"INPUT_TYPES: {error}") from error


def outputs_of(kind: type) -> tuple[Output, ...]:
    """Read RETURN_TYPES, RETURN_NAMES, OUTPUT_IS_LIST and OUTPUT_TOOLTIPS. Raises `ContractError`."""
    types = getattr(kind, "RETURN_TYPES", None)
    if types is None:
        raise ContractError("the class has no RETURN_TYPES")
    if isinstance(types, str):  # ("IMAGE") where ("IMAGE",) was meant
        types = (types,)
    if not isinstance(types, (tuple, list)):
        raise ContractError(f"RETURN_TYPES is a {type(types).__name__}, not a tuple of types")
    names, tooltips = _parallel(kind, "RETURN_NAMES"), _parallel(kind, "OUTPUT_TOOLTIPS")
    lists = _parallel(kind, "OUTPUT_IS_LIST")
    return tuple(
        Output(
            name=str(names[slot]) if slot < len(names) and names[slot] else socket_type(one),
            type=socket_type(one),
            is_list=slot < len(lists) and bool(lists[slot]),
            help=str(tooltips[slot] or "") if slot < len(tooltips) else "",
        )
        for slot, one in enumerate(types)
    )


def _parallel(kind: type, attribute: str) -> tuple[Any, ...]:
    value = getattr(kind, attribute, None)
    if isinstance(value, (str, bool)):
        return (value,)
    return tuple(value) if isinstance(value, (tuple, list)) else ()


def _function_name(kind: type) -> str:
    name = getattr(kind, "FUNCTION", None)
    if not isinstance(name, str) or not callable(getattr(kind, name, None)):
        raise ContractError("the class has no FUNCTION that names one of its methods")
    return name


def _check(kind: type, names: Iterable[str], as_lists: bool) -> InputCheck | None:
    ask = getattr(kind, "VALIDATE_INPUTS", None)
    return input_check(ask, set(names), as_lists) if callable(ask) else None


def saved_link(value: Any) -> Any:
    """Return a link as packs know it, ``["id", slot]``; also inside a list of one."""
    if isinstance(value, list):
        return [saved_link(one) for one in value]
    return [value.node, value.slot] if isinstance(value, Link) else value


class _Adapter:
    """What a node type of a class calls: its function, its lazy question, its inputs where they are open."""

    def __init__(self, kind: type, shape: Shape, sections: Sections, instances: Instances, as_lists: bool) -> None:
        self._kind = kind
        self._shape = shape
        self._bridges = any(may_bridge(one.type) for one in shape.outputs)
        self._sections = sections
        self._instances = instances
        self._as_lists = as_lists
        self._plain = frozenset(one.name for one in sections.parameters if not may_bridge(one.type))
        self._lazy = frozenset(one.name for one in sections.parameters if one.lazy)
        self._raw = frozenset(one.name for one in sections.parameters if one.raw_link)

    def run(self, context: Any, /, **inputs: Any) -> Any:
        """Call the node's function; returns a `NodeResult`, or an awaitable of one where it is a coroutine."""
        given = self._given(context, inputs)
        call = Call(self._shape.owner, context, context.place)
        with calling(call):
            made = getattr(self._instance(context), self._shape.function)(**given)
            if not inspect.isawaitable(made):
                return self._result(made, context)
        return Stepped(call, made, lambda result: self._result(result, context))

    async def run_async(self, context: Any, /, **inputs: Any) -> Any:
        """Call a function that is a coroutine: declared as one, so that it is started before the others."""
        made = self.run(context, **inputs)
        return await made if inspect.isawaitable(made) else made

    def needs(self, context: Any, inputs: Mapping[str, Any]) -> Iterable[str]:
        """Return the lazy inputs that the node wants computed."""
        given = self._given(context, inputs)
        with calling(Call(self._shape.owner, context)):
            ask = self._instance(context).check_lazy_status
            return lazy_question(ask, given, self._lazy, self._as_lists)

    def inputs_for(self, values: Mapping[str, Any]) -> tuple[Parameter, ...]:
        """Return the declared inputs, and those that an open section of INPUT_TYPES has for the others."""
        declared = self._sections.parameters
        known = {one.name for one in declared}
        extra = (self._sections.extra(name) for name in values if name not in known)
        return (*declared, *(one for one in extra if one is not None))

    def _instance(self, context: Any) -> Any:
        return self._instances.get(str(context.node_id), self._kind)

    def _given(self, context: Any, inputs: Mapping[str, Any]) -> dict[str, Any]:
        plain, as_lists = self._plain, self._as_lists
        given = {name: value if name in plain else to_pack("*", value, as_lists) for name, value in inputs.items()}
        for name in self._raw & given.keys():
            given[name] = saved_link(given[name])
        hidden = hidden_values(self._sections.hidden, context)
        given.update({name: [value] for name, value in hidden.items()} if as_lists else hidden)
        return given

    def _result(self, made: Any, context: Any) -> NodeResult:
        result = result_of(made, self._shape, context)
        return from_pack(result, self._shape.outputs) if self._bridges else result
