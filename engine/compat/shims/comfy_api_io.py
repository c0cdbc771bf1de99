"""``comfy_api.latest.io``: the schema style's names in one place."""

from __future__ import annotations

from typing import Any

from engine.compat.schema import ComfyNode, Hidden, HiddenHolder, NodeOutput, Schema
from engine.compat.schema_dynamic import Autogrow, DynamicCombo, DynamicInput, MatchType
from engine.compat.schema_types import (
    PLAIN_TYPES,
    AnyType,
    Boolean,
    Combo,
    ComfyType,
    ControlAfterGenerate,
    Custom,
    Float,
    FolderType,
    Input,
    Int,
    MultiCombo,
    MultiType,
    NumberDisplay,
    Output,
    RemoteOptions,
    String,
    UploadType,
    WidgetInput,
    make_type,
)

__all__ = [
    "AnyType",
    "Autogrow",
    "Boolean",
    "Combo",
    "ComfyNode",
    "ComfyType",
    "ControlAfterGenerate",
    "Custom",
    "DynamicCombo",
    "DynamicInput",
    "Float",
    "FolderType",
    "Hidden",
    "HiddenHolder",
    "Input",
    "Int",
    "MatchType",
    "MultiCombo",
    "MultiType",
    "NodeOutput",
    "NumberDisplay",
    "Output",
    "RemoteOptions",
    "Schema",
    "String",
    "UploadType",
    "WidgetInput",
]

Upload = UploadType
Remote = RemoteOptions

_made: dict[str, type[ComfyType]] = {}  # each type is one object, however often a pack asks for it


def __getattr__(name: str) -> Any:
    if name not in PLAIN_TYPES:
        raise AttributeError(f"module 'comfy_api.latest.io' has no attribute {name!r}")
    if name not in _made:
        _made[name] = make_type(PLAIN_TYPES[name], name=name)
    return _made[name]


def comfytype(io_type: str, **more: Any) -> Any:
    """Return a decorator that makes a class of a pack a type of sockets."""

    def decorate(kind: type) -> type:
        made = make_type(io_type)
        for attribute in ("io_type", "Type", "Input", "Output"):
            if attribute not in vars(kind):
                setattr(kind, attribute, getattr(made, attribute))
        return kind

    return decorate
