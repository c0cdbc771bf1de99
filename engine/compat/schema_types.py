"""The types of inputs and outputs of the schema style: ``io.Int.Input(…)``, ``io.Image.Output()``, ``io.Custom("X")``.

Every input says its type (``io_type``) and its options under the names that saved files and editors know, so that one
reader (`engine.compat.declared_inputs`) serves both styles.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping, Sequence
from typing import Any


class FolderType(enum.StrEnum):
    """The folder that a shown file lies in."""

    input = "input"
    output = "output"
    temp = "temp"


class UploadType(enum.StrEnum):
    """What a choice of files may be extended by."""

    image = "image_upload"
    audio = "audio_upload"
    video = "video_upload"
    model = "file_upload"


class NumberDisplay(enum.StrEnum):
    """How a number is shown."""

    number = "number"
    slider = "slider"
    gradient_slider = "gradientslider"


class ControlAfterGenerate(enum.StrEnum):
    """How a seed changes after a run."""

    fixed = "fixed"
    increment = "increment"
    decrement = "decrement"
    randomize = "randomize"


class RemoteOptions:
    """Where an editor fetches choices from."""

    def __init__(self, route: str, refresh_button: bool = True, **facts: Any) -> None:
        self.facts = {"route": route, "refresh_button": refresh_button, **facts}

    def as_dict(self) -> dict[str, Any]:
        """Return the options as saved files have them."""
        return {name: value for name, value in self.facts.items() if value is not None}


_SAVED_NAMES = {
    "force_input": "forceInput",
    "raw_link": "rawLink",
    "dynamic_prompts": "dynamicPrompts",
    "widget_type": "widgetType",
    "display_mode": "display",
}


class Input:
    """One input. ``options`` are those of all types; a type adds its own."""

    io_type = "*"

    def __init__(
        self,
        id: str,
        display_name: str | None = None,
        optional: bool = False,
        tooltip: str | None = None,
        lazy: bool | None = None,
        extra_dict: Mapping[str, Any] | None = None,
        raw_link: bool | None = None,
        advanced: bool | None = None,
        **more: Any,
    ) -> None:
        self.id = id
        self.display_name = display_name
        self.optional = optional
        self.tooltip = tooltip
        self.lazy = lazy
        facts = {"display_name": display_name, "tooltip": tooltip, "lazy": lazy, "rawLink": raw_link}
        facts |= {"advanced": advanced, **{_SAVED_NAMES.get(name, name): value for name, value in more.items()}}
        self.facts = {name: value for name, value in facts.items() if value is not None} | dict(extra_dict or {})

    def get_io_type(self) -> str:
        """Return the type of the socket."""
        return self.io_type

    def options(self) -> dict[str, Any]:
        """Return the options as ``INPUT_TYPES`` would have them."""
        return {name: _plain(value) for name, value in self.facts.items()}

    def as_dict(self) -> dict[str, Any]:
        """Return the options, as `options` does."""
        return self.options()


def _plain(value: Any) -> Any:
    if isinstance(value, enum.Enum):
        return value.value
    as_dict = getattr(value, "as_dict", None)
    return as_dict() if callable(as_dict) else value


class WidgetInput(Input):
    """An input whose value can be typed in."""

    def __init__(
        self,
        id: str,
        display_name: str | None = None,
        optional: bool = False,
        tooltip: str | None = None,
        lazy: bool | None = None,
        default: Any = None,
        **more: Any,
    ) -> None:
        super().__init__(id, display_name, optional, tooltip, lazy, default=default, **more)
        self.default = default


class _NumberInput(WidgetInput):
    def __init__(
        self,
        id: str,
        display_name: str | None = None,
        optional: bool = False,
        tooltip: str | None = None,
        lazy: bool | None = None,
        default: Any = None,
        min: Any = None,
        max: Any = None,
        step: Any = None,
        **more: Any,
    ) -> None:
        super().__init__(id, display_name, optional, tooltip, lazy, default, min=min, max=max, step=step, **more)


class _StringInput(WidgetInput):
    def __init__(
        self,
        id: str,
        display_name: str | None = None,
        optional: bool = False,
        tooltip: str | None = None,
        lazy: bool | None = None,
        multiline: bool = False,
        placeholder: str | None = None,
        default: str | None = None,
        **more: Any,
    ) -> None:
        more |= {"multiline": multiline, "placeholder": placeholder}
        super().__init__(id, display_name, optional, tooltip, lazy, default, **more)


class _ComboInput(WidgetInput):
    def __init__(
        self,
        id: str,
        options: Iterable[Any] | None = None,
        display_name: str | None = None,
        optional: bool = False,
        tooltip: str | None = None,
        lazy: bool | None = None,
        default: Any = None,
        upload: UploadType | None = None,
        **more: Any,
    ) -> None:
        listed = None if options is None else [_plain(one) for one in options]
        more |= {"options": listed, "multiselect": more.get("multiselect", False)}
        if upload is not None:
            more[str(_plain(upload))] = True
        super().__init__(id, display_name, optional, tooltip, lazy, _plain(default), **more)


class _MultiComboInput(_ComboInput):
    def __init__(self, id: str, options: Iterable[Any], display_name: str | None = None, **more: Any) -> None:
        shown = {"placeholder": more.pop("placeholder", None), "chip": more.pop("chip", None)}
        more["multi_select"] = {name: value for name, value in shown.items() if value is not None} or True
        super().__init__(id, options, display_name, multiselect=True, **more)


class Output:
    """One output slot."""

    io_type = "*"

    def __init__(
        self,
        id: str | None = None,
        display_name: str | None = None,
        tooltip: str | None = None,
        is_output_list: bool = False,
        **more: Any,
    ) -> None:
        self.id = id
        self.display_name = display_name
        self.tooltip = tooltip
        self.is_output_list = is_output_list

    def get_io_type(self) -> str:
        """Return the type of the slot."""
        return self.io_type


class ComfyType:
    """A type of sockets, with its classes of inputs and outputs. ``Type`` is for annotations alone."""

    io_type = "*"
    Type: Any = Any
    Input: type = Input
    Output: type = Output


def make_type(io_type: str, input_class: type[Input] = Input, name: str | None = None) -> type[ComfyType]:
    """Return the type called ``io_type``."""
    inputs = type("Input", (input_class,), {"io_type": io_type})
    outputs = type("Output", (Output,), {"io_type": io_type})
    return type(name or io_type, (ComfyType,), {"io_type": io_type, "Input": inputs, "Output": outputs})


def Custom(io_type: str) -> type[ComfyType]:
    """Return a type of the pack's own."""
    return make_type(io_type)


Boolean = make_type("BOOLEAN", WidgetInput)
Int = make_type("INT", _NumberInput)
Float = make_type("FLOAT", _NumberInput)
String = make_type("STRING", _StringInput)
Combo = make_type("COMBO", _ComboInput)
MultiCombo = make_type("COMBO", _MultiComboInput)
AnyType = make_type("*")

PLAIN_TYPES: Mapping[str, str] = {
    "Image": "IMAGE",
    "Mask": "MASK",
    "Latent": "LATENT",
    "Conditioning": "CONDITIONING",
    "Sampler": "SAMPLER",
    "Sigmas": "SIGMAS",
    "Noise": "NOISE",
    "Guider": "GUIDER",
    "Clip": "CLIP",
    "ControlNet": "CONTROL_NET",
    "Vae": "VAE",
    "Model": "MODEL",
    "ClipVision": "CLIP_VISION",
    "ClipVisionOutput": "CLIP_VISION_OUTPUT",
    "AudioEncoder": "AUDIO_ENCODER",
    "AudioEncoderOutput": "AUDIO_ENCODER_OUTPUT",
    "StyleModel": "STYLE_MODEL",
    "Gligen": "GLIGEN",
    "UpscaleModel": "UPSCALE_MODEL",
    "LatentUpscaleModel": "LATENT_UPSCALE_MODEL",
    "ModelPatch": "MODEL_PATCH",
    "Audio": "AUDIO",
    "Video": "VIDEO",
    "SVG": "SVG",
    "LoraModel": "LORA_MODEL",
    "LossMap": "LOSS_MAP",
    "Voxel": "VOXEL",
    "Mesh": "MESH",
    "Hooks": "HOOKS",
    "HookKeyframes": "HOOK_KEYFRAMES",
    "TimestepsRange": "TIMESTEPS_RANGE",
    "LatentOperation": "LATENT_OPERATION",
    "FlowControl": "FLOW_CONTROL",
    "Accumulation": "ACCUMULATION",
    "Load3D": "LOAD_3D",
    "Load3DAnimation": "LOAD_3D_ANIMATION",
    "Load3DCamera": "LOAD3D_CAMERA",
    "Photomaker": "PHOTOMAKER",
    "Point": "POINT",
    "FaceAnalysis": "FACE_ANALYSIS",
    "BBOX": "BBOX",
    "SEGS": "SEGS",
    "Webcam": "WEBCAM",
    "WanCameraEmbedding": "WAN_CAMERA_EMBEDDING",
    "Tracks": "TRACKS",
}
"""Types without widgets, by the names that packs use."""


def types_of(types: Any) -> str:
    """Return the union of types, as one socket type; ``*`` when one of them is every type."""
    many: Sequence[Any] = types if isinstance(types, (list, tuple)) else [types]
    names = list(dict.fromkeys(str(getattr(one, "io_type", one)) for one in many))
    return "*" if "*" in names else ",".join(names)


class MultiType(ComfyType):
    """Inputs that take any of several types."""

    class Input(Input):
        """An input of several types; the first argument may be an input whose widget it then has."""

        def __init__(self, id: str | Input, types: Sequence[Any], display_name: str | None = None, **more: Any) -> None:
            self.widget = id if isinstance(id, Input) else None
            name = id.id if isinstance(id, Input) else id
            if isinstance(id, Input):
                display_name = display_name if display_name is not None else id.display_name
                more = {"optional": id.optional, "tooltip": id.tooltip, "lazy": id.lazy} | more
                types = [type(id), *types]
            super().__init__(name, display_name, **more)
            self.io_type = types_of(types)

        def options(self) -> dict[str, Any]:
            """Return the options, with those of the widget."""
            mine = super().options()
            return mine if self.widget is None else {**self.widget.options(), **mine, "widgetType": self.widget.io_type}
