"""Classes with ``define_schema``, as node types."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping
from typing import Any

from engine.compat.bridging import from_pack, may_bridge, to_pack
from engine.compat.calling import Call, Owner, Stepped, calling
from engine.compat.class_nodes import ContractError, saved_link
from engine.compat.declared_inputs import parameter, socket_type
from engine.compat.hooks import change_question, input_check, lazy_question
from engine.compat.returns import Shape, result_of
from engine.compat.schema import HiddenHolder, Schema, frozen_clone, hidden_of, overrides
from engine.compat.schema_dynamic import DynamicInput, Flat, flattened, is_dynamic, nested
from engine.graph.model import Link
from engine.graph.node_types import NodeResult, NodeType, Output, Parameter


def schema_node_type(kind: Any, owner: Owner, id: str | None = None, title: str | None = None) -> NodeType:
    """Describe a class of the schema style as a node type. Calls its ``define_schema``.

    ``id`` and ``title`` are those of a mapping that names the class, else the schema's own count. Raises
    `ContractError` when it has no ``execute``, and whatever ``define_schema`` raises.
    """
    schema = kind.define_schema()
    if not isinstance(getattr(schema, "node_id", None), str):
        raise ContractError(f"define_schema returned a {type(schema).__name__}, not a Schema")
    if not overrides(kind, "execute"):
        raise ContractError("the class has no execute")
    shape = Shape(id or schema.node_id, "execute", _outputs(schema), owner)
    adapter = _Adapter(kind, schema, shape)
    asks = frozen_clone(kind, HiddenHolder())
    names = frozenset(one.name for one in adapter.parameters) | {one.id for one in schema.inputs or ()}
    as_lists = bool(schema.is_input_list)
    changed = overrides(kind, "fingerprint_inputs")
    lazy = any(one.lazy for one in adapter.parameters) or overrides(kind, "check_lazy_status")
    hidden = {str(getattr(one, "value", one)) for one in schema.hidden}
    return NodeType(
        id=shape.id,
        display_name=str(title or schema.display_name or shape.id),
        category=str(schema.category or ""),
        inputs=adapter.parameters,
        outputs=shape.outputs,
        run=adapter.run_async if inspect.iscoroutinefunction(kind.execute) else adapter.run,
        version=owner.version,
        description=str(schema.description or ""),
        wants_context=True,
        output_node=bool(schema.is_output_node),
        deprecated=bool(schema.is_deprecated),
        experimental=bool(schema.is_experimental),
        input_is_list=as_lists,
        open_inputs=bool(schema.accept_all_inputs),
        drops_unknown=True,
        lasting=False,
        per_node=bool(schema.not_idempotent) or "UNIQUE_ID" in hidden,
        needs=adapter.needs if lazy else None,
        changed=change_question(asks.fingerprint_inputs, names, (), as_lists, adapter.arranged) if changed else None,
        check=input_check(asks.validate_inputs, names, as_lists, adapter.arranged)
        if overrides(kind, "validate_inputs")
        else None,
        inputs_for=adapter.inputs_for if is_dynamic(schema.inputs or ()) else None,
        module=owner.module,
    )


def _outputs(schema: Schema) -> tuple[Output, ...]:
    return tuple(
        Output(
            name=str(one.display_name or one.id or socket_type(one.get_io_type())),
            type=socket_type(one.get_io_type()),
            is_list=bool(one.is_output_list),
            help=str(one.tooltip or ""),
        )
        for one in schema.outputs or ()
    )


def _parameter(flat: Flat) -> Parameter:
    return parameter(flat.id, (flat.input.get_io_type(), flat.input.options()), flat.required)


class _Adapter:
    """What a node type of the schema style calls."""

    def __init__(self, kind: Any, schema: Schema, shape: Shape) -> None:
        self._kind = kind
        self._schema = schema
        self._shape = shape
        self._bridges = any(may_bridge(one.type) for one in shape.outputs)
        self._inputs = tuple(schema.inputs or ())
        self._is_nested = any(isinstance(one, DynamicInput) for one in self._inputs)
        self.parameters = tuple(_parameter(one) for one in flattened(self._inputs, {}))
        self._types = {one.name: one.type for one in self.parameters}
        self._lazy = frozenset(one.name for one in self.parameters if one.lazy)
        self._unchanging = None if schema.hidden else frozen_clone(kind, HiddenHolder())

    def run(self, context: Any, /, **inputs: Any) -> Any:
        """Call ``execute``; returns a `NodeResult`, or an awaitable of one where it is a coroutine."""
        given = self.arranged(self._given(inputs))
        call = Call(self._shape.owner, context, context.place)
        with calling(call):
            made = self._clone(context).execute(**given)
            if not inspect.isawaitable(made):
                return self._result(made, context)
        return Stepped(call, made, lambda result: self._result(result, context))

    async def run_async(self, context: Any, /, **inputs: Any) -> Any:
        """Call an ``execute`` that is a coroutine: declared as one, so that it is started before the others."""
        made = self.run(context, **inputs)
        return await made if inspect.isawaitable(made) else made

    def needs(self, context: Any, inputs: Mapping[str, Any]) -> Iterable[str]:
        """Return the lazy inputs that the node wants computed."""
        as_lists = bool(self._schema.is_input_list)
        with calling(Call(self._shape.owner, context)):
            ask = self._clone(context).check_lazy_status
            return lazy_question(ask, self._given(inputs), self._lazy, as_lists, self.arranged)

    def inputs_for(self, values: Mapping[str, Any]) -> tuple[Parameter, ...]:
        """Return the inputs of a node whose constants are ``values``."""
        return tuple(_parameter(one) for one in flattened(self._inputs, values))

    def arranged(self, inputs: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the inputs as the class takes them."""
        return nested(self._inputs, inputs) if self._is_nested else inputs

    def _clone(self, context: Any) -> Any:
        if self._unchanging is not None:
            return self._unchanging
        return frozen_clone(self._kind, hidden_of(self._schema, context))

    def _given(self, inputs: Mapping[str, Any]) -> dict[str, Any]:
        as_lists = bool(self._schema.is_input_list)
        return {
            name: saved_link(value)
            if isinstance(value, Link) or (as_lists and value and isinstance(value[0], Link))
            else to_pack(self._types.get(name, "*"), value, as_lists)
            for name, value in inputs.items()
        }

    def _result(self, made: Any, context: Any) -> NodeResult:
        result = result_of(made, self._shape, context)
        return from_pack(result, self._shape.outputs) if self._bridges else result
