"""Nodes that steer the model with a picture: edges, depth, a pose."""

from __future__ import annotations

from typing import Annotated, Any

from engine.graph.declare import Choice, Conditioning, Float, FolderChoices, Image, Socket, Vae, node

ControlNet = Annotated[Any, Socket("CONTROL_NET")]
Strength = Annotated[float, Float(0.0, 10.0, step=0.01)]
Moment = Annotated[float, Float(0.0, 1.0, step=0.001)]


@node("ControlNetLoader", display_name="Load ControlNet Model", category="loaders")
def load_controlnet(
    context: Any, *, control_net_name: Annotated[str, Choice(FolderChoices("controlnet"))]
) -> ControlNet:
    """Load a ControlNet or a T2I-Adapter, which steers a model of the family it was trained for.

    control_net_name: a file of models/controlnet.
    """
    from engine.families import control
    from engine.weights.recipe import file_ref

    return control.load_controlnet(file_ref(context.folders.resolve("controlnet", control_net_name), control_net_name))


@node("ControlNetApply", display_name="Apply ControlNet (OLD)", category="conditioning/controlnet")
def apply_to_both(
    *, conditioning: Conditioning, control_net: ControlNet, image: Image, strength: Strength = 1.0
) -> Conditioning:
    """Steer with a picture, on the negative side, too. Apply ControlNet can also say when it acts.

    conditioning: the prompt; what steers it already goes on doing so.
    control_net: the ControlNet.
    image: the picture to follow, prepared as the ControlNet wants it (edges, depth, pose).
    strength: how strongly; 0 does nothing.
    """
    from engine.families.control import Control, apply_control

    return apply_control(Control(control_net, image, strength), conditioning, to_uncond=True)[0]


@node(
    "ControlNetApplyAdvanced",
    display_name="Apply ControlNet",
    category="conditioning/controlnet",
    outputs=("positive", "negative"),
)
def apply(
    *,
    positive: Conditioning,
    negative: Conditioning,
    control_net: ControlNet,
    image: Image,
    strength: Strength = 1.0,
    start_percent: Moment = 0.0,
    end_percent: Moment = 1.0,
    vae: Vae | None = None,
) -> tuple[Conditioning, Conditioning]:
    """Steer with a picture during a part of the way from noise to picture. Several in a row add up.

    positive: what the picture should show.
    negative: what it should not show.
    control_net: the ControlNet.
    image: the picture to follow, prepared as the ControlNet wants it (edges, depth, pose); resized and cut to shape.
    strength: how strongly; 0 does nothing.
    start_percent: when it begins; 0 is noise.
    end_percent: when it ends; 1 is the finished picture.
    vae: only for ControlNets that read latents; those for Stable Diffusion 1, 2 and XL read the picture itself.
    """
    from engine.families.control import Control, apply_control

    control = Control(control_net, image, strength, start_percent, end_percent)
    steered = apply_control(control, positive, negative)
    return steered[0], steered[1]
