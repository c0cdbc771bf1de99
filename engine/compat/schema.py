"""What a class of the schema style is made of: `Schema`, `ComfyNode`, `NodeOutput`, and its hidden values."""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Mapping, Sequence
from typing import Any

from engine.compat.live_graph import hidden_value
from engine.compat.schema_types import Input, Output


class Hidden(enum.StrEnum):
    """What a node may ask for beside its inputs."""

    unique_id = "UNIQUE_ID"
    prompt = "PROMPT"
    extra_pnginfo = "EXTRA_PNGINFO"
    dynprompt = "DYNPROMPT"
    auth_token_comfy_org = "AUTH_TOKEN_COMFY_ORG"
    api_key_comfy_org = "API_KEY_COMFY_ORG"
    comfy_usage_source = "COMFY_USAGE_SOURCE"
    execution_list = "EXECUTION_LIST"


@dataclasses.dataclass(frozen=True, slots=True)
class HiddenHolder:
    """The hidden values of one call; what was not asked for is None."""

    unique_id: Any = None
    prompt: Any = None
    extra_pnginfo: Any = None
    dynprompt: Any = None
    auth_token_comfy_org: Any = None
    api_key_comfy_org: Any = None
    comfy_usage_source: Any = None
    execution_list: Any = None


def hidden_of(schema: Schema, context: Any) -> HiddenHolder:
    """Return the hidden values that a schema asks for."""
    kinds = [Hidden(one) if not isinstance(one, Hidden) else one for one in schema.hidden]
    return HiddenHolder(**{one.name: hidden_value(one.value, context) for one in kinds})


@dataclasses.dataclass(slots=True)
class Schema:
    """Describe a node of the schema style. Raises `ValueError` for ids that are not unique."""

    node_id: str
    display_name: str | None = None
    category: str = "sd"
    inputs: Sequence[Input] | None = None
    outputs: Sequence[Output] | None = None
    hidden: Sequence[Any] = ()
    description: str = ""
    is_input_list: bool = False
    is_output_node: bool = False
    is_deprecated: bool = False
    is_experimental: bool = False
    is_api_node: bool = False
    not_idempotent: bool = False
    enable_expand: bool = False
    search_aliases: Sequence[str] = ()
    is_dev_only: bool = False
    accept_all_inputs: bool = False
    has_intermediate_output: bool = False
    loop_boundary: Any = None
    price_badge: Any = None
    essentials_category: str | None = None

    def __post_init__(self) -> None:
        self.inputs = list(self.inputs or ())
        self.outputs = list(self.outputs or ())
        self.hidden = list(self.hidden or ())
        ids = [one.id for one in self.inputs] + [one.id for one in self.outputs if one.id is not None]
        for group in ([one.id for one in self.inputs], [one.id for one in self.outputs if one.id is not None]):
            doubles = sorted({id for id in group if group.count(id) > 1})
            if doubles:
                raise ValueError(f"ids of {self.node_id} are not unique: {', '.join(doubles)}")
        if any(not isinstance(id, str) or not id for id in ids):
            raise ValueError(f"an id of {self.node_id} is empty")

    def validate(self) -> None:
        """Do nothing: what can be wrong was said when the schema was made."""

    def finalize(self) -> None:
        """Do nothing: a schema is complete."""


class NodeOutput:
    """What ``execute`` returns: values, what to show, nodes to run instead, or why nothing below may run."""

    def __init__(
        self,
        *args: Any,
        ui: Any = None,
        expand: Mapping[str, Any] | None = None,
        block_execution: str | None = None,
    ) -> None:
        self.args = args
        self.ui = ui
        self.expand = expand
        self.block_execution = block_execution

    @property
    def result(self) -> tuple[Any, ...] | None:
        """The values, or None where there are none."""
        return self.args if self.args else None

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> NodeOutput:
        """Read the form that the older classes return."""
        result = data.get("result") or ()
        block = getattr(result, "message", None)
        if block is not None or not isinstance(result, (tuple, list)):
            return cls(ui=data.get("ui"), expand=data.get("expand"), block_execution=block or "")
        return cls(*result, ui=data.get("ui"), expand=data.get("expand"))

    def __getitem__(self, index: int) -> Any:
        return self.args[index]


class ComfyNode:
    """The base of nodes of the schema style. Nothing of the class can be changed while a node runs."""

    hidden: HiddenHolder = HiddenHolder()
    RELATIVE_PYTHON_MODULE: str | None = None

    @classmethod
    def define_schema(cls) -> Schema:
        """Return the schema."""
        raise NotImplementedError(f"{cls.__name__} has no define_schema")

    @classmethod
    def execute(cls, **kwargs: Any) -> Any:
        """Compute the node."""
        raise NotImplementedError(f"{cls.__name__} has no execute")

    @classmethod
    def validate_inputs(cls, **kwargs: Any) -> bool | str:
        """Check the inputs before anything runs."""
        return True

    @classmethod
    def fingerprint_inputs(cls, **kwargs: Any) -> Any:
        """Return a value that changes when the node has to run again."""
        raise NotImplementedError

    @classmethod
    def check_lazy_status(cls, **kwargs: Any) -> list[str]:
        """Return the lazy inputs that are needed."""
        return [name for name, value in kwargs.items() if value is None]

    @classmethod
    def GET_SCHEMA(cls) -> Schema:
        """Return the schema."""
        return cls.define_schema()


def overrides(kind: Any, name: str) -> bool:
    """Say whether a class has its own method ``name``."""
    own = getattr(kind, name, None)
    base = getattr(ComfyNode, name)
    return callable(own) and getattr(own, "__func__", own) is not getattr(base, "__func__", base)


def frozen_clone(kind: Any, hidden: HiddenHolder) -> Any:
    """Return a subclass of ``kind`` for one call, with its hidden values, whose attributes cannot be set."""

    def refuse(cls: type, name: str, value: Any) -> None:
        raise AttributeError(f"{kind.__name__} cannot keep {name!r}: nodes of this style have no state")

    meta = type("FrozenNode", (type(kind),), {"__setattr__": refuse})
    return meta(kind.__name__, (kind,), {"hidden": hidden, "__module__": kind.__module__})
