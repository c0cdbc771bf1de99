"""``nodes``: the built-in nodes as classes, for packs that call or extend them.

A class is made of a node type when it is first asked for; its function runs the node in the run that calls it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, MutableMapping
from types import MappingProxyType
from typing import Any

from engine.compat.bridging import from_pack, to_pack
from engine.compat.calling import current_call
from engine.compat.host import HOST
from engine.errors import InputError
from engine.graph.node_types import MISSING, FolderChoices, NodeResult, NodeType, Output, Parameter

MAX_RESOLUTION = 16384

_CALLS: Mapping[str, tuple[str, tuple[str, ...]]] = MappingProxyType(
    {
        "KSampler": ("sample", ()),
        "KSamplerAdvanced": ("sample", ()),
        "CLIPTextEncode": ("encode", ("clip", "text")),
        "CLIPSetLastLayer": ("set_last_layer", ()),
        "CheckpointLoaderSimple": ("load_checkpoint", ()),
        "LoraLoader": ("load_lora", ()),
        "VAELoader": ("load_vae", ()),
        "UNETLoader": ("load_unet", ()),
        "ControlNetLoader": ("load_controlnet", ()),
        "VAEDecode": ("decode", ("vae", "samples")),
        "VAEEncode": ("encode", ("vae", "pixels")),
        "VAEEncodeForInpaint": ("encode", ("vae", "pixels", "mask", "grow_mask_by")),
        "EmptyLatentImage": ("generate", ()),
        "LatentUpscale": ("upscale", ()),
        "LatentUpscaleBy": ("upscale", ()),
        "SetLatentNoiseMask": ("set_mask", ()),
        "LoadImage": ("load_image", ()),
        "SaveImage": ("save_images", ()),
        "PreviewImage": ("save_images", ()),
        "ImageScale": ("upscale", ()),
        "ImageScaleBy": ("upscale", ()),
        "ImageInvert": ("invert", ()),
        "ImageBatch": ("batch", ()),
        "ConditioningCombine": ("combine", ()),
        "ConditioningConcat": ("concat", ()),
        "ConditioningZeroOut": ("zero_out", ()),
        "ControlNetApplyAdvanced": ("apply_controlnet", ()),
    }
)
"""How packs call some nodes: the function, and the order of its arguments where that is not the inputs'."""

_HIDDEN = frozenset({"prompt", "extra_pnginfo", "unique_id", "dynprompt"})


class ClassMappings(MutableMapping[str, Any]):
    """Maps node ids to classes: the packs' own, and one made for each built-in node that is asked for.

    Packs may add to it, which changes nothing for the engine: a pack cannot replace a node of another.
    """

    def __init__(self) -> None:
        self._made: dict[str, type] = {}
        self._added: dict[str, Any] = {}

    def __getitem__(self, id: str) -> Any:
        if id in HOST.classes:
            return HOST.classes[id]
        node_type = HOST.registry.get(id)
        if node_type is None:
            return self._added[id]
        if id not in self._made:
            self._made[id] = class_of(node_type)
        return self._made[id]

    def __setitem__(self, id: str, kind: Any) -> None:
        self._added[id] = kind

    def __delitem__(self, id: str) -> None:
        del self._added[id]

    def __iter__(self) -> Iterator[str]:
        return iter(dict.fromkeys([*HOST.registry.types, *HOST.classes, *self._added]))

    def __len__(self) -> int:
        return len(list(iter(self)))


# One for the process, as the module that packs take it from is.
NODE_CLASS_MAPPINGS = ClassMappings()
NODE_DISPLAY_NAME_MAPPINGS: dict[str, str] = {}
EXTENSION_WEB_DIRS: dict[str, str] = {}
LOADED_MODULE_DIRS: dict[str, str] = {}


def __getattr__(name: str) -> Any:
    if not name.startswith("_") and HOST.registry.get(name) is not None:
        return NODE_CLASS_MAPPINGS[name]
    raise AttributeError(f"module 'nodes' has no attribute {name!r}")


def interrupt_processing(value: bool = True) -> None:
    """Ask the run that this is called from to stop."""
    call = current_call()
    if value and call is not None:
        call.context.scope.cancel.cancel()


def before_node_execution() -> None:
    """Raise `Cancelled` when the run was asked to stop."""
    call = current_call()
    if call is not None:
        call.context.check_cancelled()


def common_ksampler(
    model: Any,
    seed: int,
    steps: int,
    cfg: float,
    sampler_name: str,
    scheduler: str,
    positive: Any,
    negative: Any,
    latent: Any,
    denoise: float = 1.0,
    **advanced: Any,
) -> tuple[Any]:
    """Sample as the node ``KSampler`` does. Raises `InputError` for the options of the advanced one."""
    if any(advanced.values()):
        names = ", ".join(name for name, value in advanced.items() if value)
        raise InputError(f"common_ksampler does not take {names} here", hint="call the node KSamplerAdvanced")
    sampler = NODE_CLASS_MAPPINGS["KSampler"]()
    made: tuple[Any] = sampler.sample(
        model, seed, steps, cfg, sampler_name, scheduler, positive, negative, latent, denoise
    )
    return made


def class_of(node_type: NodeType) -> type:
    """Make a class, as packs write them, that runs ``node_type``."""
    function, order = _CALLS.get(node_type.id, ("run", ()))
    names = order or tuple(one.name for one in node_type.inputs)

    def call(self: Any, *values: Any, **named: Any) -> Any:
        return _run(node_type, {**dict(zip(names, values, strict=False)), **named})

    declared: Callable[..., Any] = classmethod(lambda cls: _input_types(node_type))  # type: ignore[assignment]
    return type(
        node_type.id,
        (),
        {
            "__doc__": node_type.description,
            "INPUT_TYPES": declared,
            "RETURN_TYPES": tuple(one.type for one in node_type.outputs),
            "RETURN_NAMES": tuple(one.name for one in node_type.outputs),
            "FUNCTION": function,
            "CATEGORY": node_type.category,
            "DESCRIPTION": node_type.description,
            "OUTPUT_NODE": node_type.output_node,
            function: call,
        },
    )


def _run(node_type: NodeType, given: Mapping[str, Any]) -> Any:
    inputs = {one.name: one.default for one in node_type.inputs if one.default is not MISSING}
    unknown = given.keys() - node_type.by_name.keys() - _HIDDEN
    if unknown:
        raise TypeError(f"{node_type.id} has no input {', '.join(sorted(unknown))}")
    for name, value in given.items():
        parameter = node_type.by_name.get(name)
        if parameter is not None and (value is not None or parameter.required):
            slot = (Output(name, parameter.type),)
            inputs[name] = from_pack(NodeResult((value,)), slot).values[0]
    assert node_type.run is not None
    made = node_type.run(_context(), **inputs) if node_type.wants_context else node_type.run(**inputs)
    return _returned(made, node_type)


def _context() -> Any:
    call = current_call()
    if call is not None:
        return call.context
    from engine.execution.context import lone_context

    return lone_context(HOST.engine.services())


def _returned(made: Any, node_type: NodeType) -> Any:
    outputs = node_type.outputs
    if isinstance(made, NodeResult):
        values = tuple(to_pack(slot.type, one) for slot, one in zip(outputs, made.values, strict=False))
        return {"ui": dict(made.ui), "result": values} if made.ui else values
    made = (made,) if len(outputs) == 1 else made or ()
    return tuple(to_pack(slot.type, one) for slot, one in zip(outputs, made, strict=False))


def _input_types(node_type: NodeType) -> dict[str, dict[str, Any]]:
    sections: dict[str, dict[str, Any]] = {"required": {}, "optional": {}}
    for one in node_type.inputs:
        sections["required" if one.required else "optional"][one.name] = _declaration(one)
    return sections


def _declaration(parameter: Parameter) -> tuple[Any, dict[str, Any]]:
    facts = {"default": parameter.default, "min": parameter.minimum, "max": parameter.maximum, "step": parameter.step}
    options = {name: value for name, value in facts.items() if value is not None and value is not MISSING}
    for name in ("multiline", "control_after_generate", "image_upload"):
        if getattr(parameter, name):
            options[name] = True
    if parameter.help:
        options["tooltip"] = parameter.help
    choices = parameter.choices
    if isinstance(choices, FolderChoices):
        choices = choices.offered_in(HOST.folders.list_files)
    return (list(choices) if choices is not None else parameter.type, options)
