"""What can be asked: the bodies of txt2img and img2img, read into frozen values with the interface's own defaults.

A field that this server cannot act on is refused (422) unless its value changes nothing. Names that nobody knows are
passed over, as they are there.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, Final

from engine.server.sdapi.field_reading import Fields
from engine.server.sdapi.pasted import fill_from_text
from engine.server.sdapi.prompt_text import take_networks
from engine.server.sdapi.refusals import Refused

MAX_SEED: Final = 2**64 - 1
MAX_PICTURES: Final = 256
SMALLEST: Final = 16
LARGEST: Final = 16384
LATENT_UPSCALERS: Final[Mapping[str, str]] = {
    "Latent": "bilinear",
    "Latent (bicubic)": "bicubic",
    "Latent (nearest-exact)": "nearest-exact",
}
"""Upscalers of the second pass that work on latents, and what the engine calls their method."""

_NEUTRAL: Final[Mapping[str, tuple[Any, ...]]] = {
    "restore_faces": (False,),
    "tiling": (False,),
    "s_min_uncond": (0,),
    "s_churn": (0,),
    "s_noise": (1,),
    "seed_resize_from_h": (-1, 0),
    "seed_resize_from_w": (-1, 0),
    "refiner_checkpoint": ("", "None"),
    "firstpass_image": ("",),
    "firstphase_width": (0,),
    "firstphase_height": (0,),
    "script_name": ("", "None"),
    "alwayson_scripts": ({},),
    "disable_extra_networks": (False,),
    "hr_checkpoint_name": ("", "Use same checkpoint"),
}
_NEUTRAL_PICTURE: Final[Mapping[str, tuple[Any, ...]]] = {
    "image_cfg_scale": (0, 1.5),
    "initial_noise_multiplier": (1,),
    "latent_mask": ("",),
}


@dataclasses.dataclass(frozen=True, slots=True)
class SecondPass:
    """The second, larger pass ("hires fix"). ``upscaler``, ``sampler`` and ``scheduler`` may be empty: the usual."""

    scale: float
    width: int
    height: int
    upscaler: str
    steps: int
    sampler: str
    scheduler: str
    prompt: str
    negative_prompt: str


@dataclasses.dataclass(frozen=True, slots=True)
class Painting:
    """What img2img adds: pictures and mask as they came, and what to do with them."""

    pictures: tuple[str, ...]
    mask: str
    resize_mode: int
    mask_blur: tuple[int, int]
    mask_round: bool
    fill: int
    full_resolution: bool
    padding: int
    invert: bool
    include_pictures: bool


@dataclasses.dataclass(frozen=True, slots=True)
class Order:
    """One request for pictures. ``seed`` and ``subseed`` -1 are any; ``eta`` None is the sampler's own; ``echo`` is
    what the answer repeats."""

    prompt: str
    negative_prompt: str
    styles: tuple[str, ...]
    seed: int
    subseed: int
    subseed_strength: float
    sampler: str
    scheduler: str | None
    eta: float | None
    batch_size: int
    iterations: int
    steps: int
    cfg: float
    width: int
    height: int
    denoise: float
    overrides: Mapping[str, Any]
    keep_overrides: bool
    send_pictures: bool
    save_pictures: bool
    echo: Mapping[str, Any]
    second: SecondPass | None = None
    painting: Painting | None = None


def read_order(body: Mapping[str, Any], *, picture: bool) -> Order:
    """Read a request for txt2img, or for img2img with ``picture``. Raises `FieldErrors`, and `Refused` (404) where
    there is no picture to change."""
    echo = {key: value for key, value in body.items() if key not in ("init_images", "mask")}
    fields = Fields(fill_from_text(body))
    for name, neutral in {**_NEUTRAL, **(_NEUTRAL_PICTURE if picture else {})}.items():
        fields.only(name, neutral)
    fields.only("script_args", ([], {}))
    fields.text("infotext")
    batch, iterations = fields.whole("batch_size", 1, 1, MAX_PICTURES), fields.whole("n_iter", 1, 1, MAX_PICTURES)
    if batch * iterations > MAX_PICTURES:
        fields.wrong("n_iter", f"at most {MAX_PICTURES} pictures can be asked for at once")
    second = None
    if fields.truth("enable_hr", False):
        if picture:
            fields.wrong("enable_hr", "pictures that are given have no second pass")
        else:
            second = _second_pass(fields)
    denoise = fields.real("denoising_strength", 0.75, 0.0, 1.0)
    if second is not None and denoise == 0:
        fields.wrong("denoising_strength", "the second pass needs more than 0")
    order = Order(
        prompt=fields.text("prompt"),
        negative_prompt=fields.text("negative_prompt"),
        styles=fields.texts("styles"),
        seed=fields.whole("seed", -1, -1, MAX_SEED),
        subseed=fields.whole("subseed", -1, -1, MAX_SEED),
        subseed_strength=fields.real("subseed_strength", 0.0, 0.0, 1.0),
        sampler=fields.text("sampler_name") or fields.text("sampler_index") or "Euler",
        scheduler=fields.text("scheduler") or None,
        eta=None if fields.given("eta") is None else fields.real("eta", 0.0, 0.0, 1.0),
        batch_size=batch,
        iterations=iterations,
        steps=fields.whole("steps", 50, 1, 10_000),
        cfg=fields.real("cfg_scale", 7.0, 0.0, 100.0),
        width=fields.whole("width", 512, SMALLEST, LARGEST, multiple=8),
        height=fields.whole("height", 512, SMALLEST, LARGEST, multiple=8),
        denoise=denoise,
        overrides=fields.mapping("override_settings"),
        keep_overrides=not fields.truth("override_settings_restore_afterwards", True),
        send_pictures=fields.truth("send_images", True),
        save_pictures=fields.truth("save_images", False),
        echo=echo,
        second=second,
        painting=_painting(fields) if picture else None,
    )
    fields.done()
    for name, text in (("prompt", order.prompt), ("negative_prompt", order.negative_prompt)):
        take_networks(text, name)
    if order.painting is not None and not order.painting.pictures:
        raise Refused(404, "Init image not found")
    return order


def _second_pass(fields: Fields) -> SecondPass:
    sampler, scheduler = fields.text("hr_sampler_name"), fields.text("hr_scheduler")
    return SecondPass(
        scale=fields.real("hr_scale", 2.0, 0.1, 8.0),
        width=fields.whole("hr_resize_x", 0, 0, LARGEST),
        height=fields.whole("hr_resize_y", 0, 0, LARGEST),
        upscaler=fields.text("hr_upscaler") or "Latent",
        steps=fields.whole("hr_second_pass_steps", 0, 0, 10_000),
        sampler="" if sampler == "Use same sampler" else sampler,
        scheduler="" if scheduler == "Use same scheduler" else scheduler,
        prompt=fields.text("hr_prompt"),
        negative_prompt=fields.text("hr_negative_prompt"),
    )


def _painting(fields: Fields) -> Painting:
    if fields.given("resize_mode") == 3 and fields.given("mask"):
        fields.wrong("resize_mode", "3 (latent) is not supported with a mask; 0, 1 and 2 are")
    blur = fields.whole("mask_blur", 4, 0, 64)
    return Painting(
        pictures=fields.texts("init_images"),
        mask=fields.text("mask"),
        resize_mode=fields.whole("resize_mode", 0, 0, 3),
        mask_blur=(fields.whole("mask_blur_x", blur, 0, 64), fields.whole("mask_blur_y", blur, 0, 64)),
        mask_round=fields.truth("mask_round", True),
        fill=fields.whole("inpainting_fill", 0, 0, 3),
        full_resolution=fields.truth("inpaint_full_res", True),
        padding=fields.whole("inpaint_full_res_padding", 0, 0, 4096),
        invert=bool(fields.whole("inpainting_mask_invert", 0, 0, 1)),
        include_pictures=fields.truth("include_init_images", False),
    )
