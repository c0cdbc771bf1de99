"""Every built-in node has the interface that saved workflows expect, field by field."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from engine.graph.node_types import MISSING, FolderChoices, NodeType, Parameter
from engine.graph.registry import Registry, load_package

WANTED = frozenset(
    {
        "BasicGuider",
        "BasicScheduler",
        "CFGGuider",
        "CLIPSetLastLayer",
        "CLIPTextEncode",
        "CLIPTextEncodeSDXL",
        "CLIPTextEncodeSDXLRefiner",
        "CheckpointLoaderSimple",
        "DisableNoise",
        "EmptyLatentImage",
        "ImageScale",
        "ImageScaleBy",
        "ImageUpscaleWithModel",
        "InpaintModelConditioning",
        "KSampler",
        "KSamplerAdvanced",
        "KSamplerSelect",
        "KarrasScheduler",
        "LatentUpscale",
        "LatentUpscaleBy",
        "LoadImage",
        "LoadImageMask",
        "LoadLatent",
        "LoraLoader",
        "LoraLoaderModelOnly",
        "PreviewImage",
        "PrimitiveBoolean",
        "PrimitiveFloat",
        "PrimitiveInt",
        "PrimitiveString",
        "PrimitiveStringMultiline",
        "RandomNoise",
        "SamplerCustomAdvanced",
        "SaveImage",
        "SaveLatent",
        "SetLatentNoiseMask",
        "SplitSigmas",
        "UpscaleModelLoader",
        "VAEDecode",
        "VAEEncode",
        "VAEEncodeForInpaint",
        "VAELoader",
    }
)


@pytest.fixture(scope="module")
def registry() -> Registry:
    return load_package("nodes")


@pytest.fixture(scope="module")
def interfaces(reference: Path) -> dict[str, dict[str, Any]]:
    lines = (reference / "node_interfaces.jsonl").read_text(encoding="utf-8").splitlines()
    return {entry["id"]: entry for entry in map(json.loads, lines)}


def test_no_node_is_missing(registry: Registry) -> None:
    assert not WANTED - set(registry.types)


def test_every_node_equals_the_reference(registry: Registry, interfaces: dict[str, dict[str, Any]]) -> None:
    differences = []
    for node_type in registry:
        if node_type.id in interfaces:
            mine, theirs = _mine(node_type), _theirs(interfaces[node_type.id], node_type)
            differences += [
                f"{node_type.id}.{key}: {mine.get(key)!r} != {theirs.get(key)!r}"
                for key in sorted(mine.keys() | theirs.keys())
                if mine.get(key) != theirs.get(key)
            ]
    assert not differences, "\n".join(differences)


def test_every_node_and_every_widget_has_help(registry: Registry) -> None:
    assert [one.id for one in registry if not one.description] == []
    silent = [f"{one.id}.{p.name}" for one in registry for p in one.inputs if not p.help and p.name != "value"]
    assert silent == []


def _mine(node_type: NodeType) -> dict[str, Any]:
    found: dict[str, Any] = {
        "display_name": node_type.display_name,
        "category": node_type.category,
        "output": [output.type for output in node_type.outputs],
        "output_name": [output.name for output in node_type.outputs],
        "output_is_list": [output.is_list for output in node_type.outputs],
        "output_node": node_type.output_node,
        "order": [parameter.name for parameter in node_type.inputs],
        "required": [parameter.name for parameter in node_type.inputs if parameter.required],
    }
    for parameter in node_type.inputs:
        found |= {f"{parameter.name}.{key}": value for key, value in _facts(parameter).items()}
    return found


def _facts(parameter: Parameter) -> dict[str, Any]:
    choices: Any = parameter.choices
    if isinstance(choices, FolderChoices):
        choices = "files"
    elif choices is not None:
        choices = list(choices)
    return {
        "type": parameter.type,
        "choices": choices,
        "default": None if parameter.default is MISSING else parameter.default,
        "min": parameter.minimum,
        "max": parameter.maximum,
        "step": parameter.step,
        "round": parameter.round,
        "multiline": parameter.multiline,
        "dynamicPrompts": parameter.dynamic_prompts,
        "control_after_generate": parameter.control_after_generate,
        "image_upload": parameter.image_upload,
    }


def _theirs(entry: dict[str, Any], node_type: NodeType) -> dict[str, Any]:
    required, optional = (entry["input"].get(section, {}) for section in ("required", "optional"))
    found: dict[str, Any] = {
        key: entry[key] for key in ("category", "output", "output_name", "output_is_list", "output_node")
    }
    found["display_name"] = entry["display_name"] or entry["id"]  # editors show the id where there is no name
    found["order"] = [*required, *optional]
    found["required"] = list(required)
    for name, declared in {**required, **optional}.items():
        found |= {f"{name}.{key}": value for key, value in _their_facts(declared, node_type.by_name.get(name)).items()}
    return found


def _their_facts(declared: list[Any], mine: Parameter | None) -> dict[str, Any]:
    kind, options = declared[0], declared[1] if len(declared) > 1 else {}
    choices: Any = None
    if isinstance(kind, list):
        kind, choices = "COMBO", kind
    elif kind == "COMBO{files}" or (kind == "COMBO" and not options.get("options")):
        kind, choices = "COMBO", "files"
    elif kind == "COMBO":
        choices = options["options"]
    if mine is not None and isinstance(mine.choices, FolderChoices) and isinstance(choices, list):
        choices = "files"  # the reference was taken where that folder was empty
    known = ("default", "min", "max", "step", "round")
    flags = ("multiline", "dynamicPrompts", "control_after_generate", "image_upload")
    return {
        "type": kind,
        "choices": choices,
        **{key: options.get(key) for key in known},
        **{key: bool(options.get(key, False)) for key in flags},
    }
