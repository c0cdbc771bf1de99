"""The workflows behind this interface: pure functions from what is wanted to an API prompt.

Each picture of a batch has a sampler of its own, because there picture *i* is the one of seed + *i*; prompts, models
and given pictures are shared. Ids are numbers in the order of making.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, Final

from engine.server.sdapi.samplers import Sampling

Link = list[Any]
"""``[node id, output]``."""
LAST_STEP: Final = 10_000
LARGEST_STRENGTH: Final = 0.999


@dataclasses.dataclass(frozen=True, slots=True)
class LoraUse:
    """A LoRA's file and its strengths."""

    file: str
    model_strength: float
    text_strength: float


@dataclasses.dataclass(frozen=True, slots=True)
class Wording:
    """What a pass draws: both prompts in chunks (as the engine reads weights), and the LoRAs they name."""

    prompt: tuple[str, ...]
    negative: tuple[str, ...]
    loras: tuple[LoraUse, ...] = ()


@dataclasses.dataclass(frozen=True, slots=True)
class Recipe:
    """What all pictures of a request share. ``vae`` empty is the checkpoint's own; ``prefix`` and ``folder`` are
    where pictures go."""

    checkpoint: str
    vae: str
    clip_skip: int
    wording: Wording
    sampling: Sampling
    steps: int
    cfg: float
    folder: str
    prefix: str


@dataclasses.dataclass(frozen=True, slots=True)
class Larger:
    """The second pass: enlarge to ``size``, cut out ``cut`` (x, y, width, height), sample again.

    ``latent_method`` names a way to enlarge latents; else the picture is enlarged, by the model of the file
    ``upscaler`` if there is one, and brought to size by ``picture_method``.
    """

    size: tuple[int, int]
    cut: tuple[int, int, int, int]
    latent_method: str
    upscaler: str
    picture_method: str
    wording: Wording
    sampling: Sampling
    steps: int
    denoise: float


@dataclasses.dataclass(frozen=True, slots=True)
class Paste:
    """Where the result goes: on the picture ``background``, in the box (x, y, width, height), through ``mask``."""

    background: str
    mask: str
    box: tuple[int, int, int, int]


@dataclasses.dataclass(frozen=True, slots=True)
class Canvas:
    """A picture to change, prepared to the size of the result; ``mask`` empty changes all of it.

    ``fill`` says what takes the place of what is masked before noise is added: "noise" of the picture's seed, or
    "zeros". ``stretched`` is the size that latents are brought to, where the picture is not of that size.
    """

    picture: str
    mask: str = ""
    fill: str = ""
    paste: Paste | None = None
    stretched: tuple[int, int] | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class Shot:
    """One picture: its seed, the text it carries, and, if it varies, the other seed and how far to go to it."""

    seed: int
    parameters: str
    variation: tuple[int, float] | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class Workflow:
    """An API prompt, the nodes that save its pictures in their order, and the steps that its samplers take."""

    prompt: Mapping[str, Any]
    saves: tuple[str, ...]
    sampler_steps: Mapping[str, int]


class Board:
    """A prompt that is being put together. Equal nodes are made once."""

    def __init__(self) -> None:
        self.prompt: dict[str, Any] = {}
        self.saves: list[str] = []
        self.sampler_steps: dict[str, int] = {}
        self._known: dict[str, str] = {}

    def add(self, kind: str, *, once: bool = True, **inputs: Any) -> str:
        """Add a node and return its id; with ``once`` the id of an equal one that is there."""
        written = repr((kind, sorted(inputs.items())))
        if once and written in self._known:
            return self._known[written]
        id = str(len(self.prompt) + 1)
        self.prompt[id] = {"class_type": kind, "inputs": inputs}
        self._known[written] = id
        return id

    def link(self, kind: str, output: int = 0, **inputs: Any) -> Link:
        """Add a node and return a link to one of its outputs."""
        return [self.add(kind, **inputs), output]

    def done(self) -> Workflow:
        """Return what was made."""
        return Workflow(self.prompt, tuple(self.saves), dict(self.sampler_steps))


@dataclasses.dataclass(frozen=True, slots=True)
class _Loaded:
    """Links to what a pass needs."""

    model: Link
    positive: Link
    negative: Link
    vae: Link


@dataclasses.dataclass(frozen=True, slots=True)
class _Pass:
    """How to sample: all steps of a schedule that spans ``denoise`` of the way, or those from ``first_step`` on."""

    sampling: Sampling
    steps: int
    cfg: float
    denoise: float = 1.0
    first_step: int | None = None


def picture_from_text(recipe: Recipe, size: tuple[int, int], larger: Larger | None, shots: Sequence[Shot]) -> Workflow:
    """Return the workflow of txt2img, with a second pass where ``larger`` is given."""
    board = Board()
    first = _load(board, recipe, recipe.wording)
    second = None if larger is None else _load(board, recipe, larger.wording)
    empty = board.link("EmptyLatentImage", width=size[0], height=size[1], batch_size=1)
    for shot in shots:
        latent = _sample(board, first, shot, _Pass(recipe.sampling, recipe.steps, recipe.cfg), empty)
        if larger is not None and second is not None:
            latent = _enlarge(board, larger, latent, first.vae)
            again = _Pass(larger.sampling, larger.steps, recipe.cfg, larger.denoise)
            latent = _sample(board, second, shot, again, latent)
        _save(board, recipe, board.link("VAEDecode", samples=latent, vae=first.vae), shot)
    return board.done()


def picture_from_picture(
    recipe: Recipe, strength: float, canvases: Sequence[Canvas], shots: Sequence[Shot]
) -> Workflow:
    """Return the workflow of img2img; shot *k* changes canvas *k*, over again where there are fewer."""
    board = Board()
    loaded = _load(board, recipe, recipe.wording)
    one = _Pass(recipe.sampling, recipe.steps, recipe.cfg, first_step=first_step(recipe.steps, strength))
    for index, shot in enumerate(shots):
        canvas = canvases[index % len(canvases)]
        latent = _sample(board, loaded, shot, one, _start_of(board, canvas, loaded, shot.seed))
        pixels = board.link("VAEDecode", samples=latent, vae=loaded.vae)
        _save(board, recipe, _put_back(board, canvas.paste, pixels), shot)
    return board.done()


def first_step(steps: int, strength: float) -> int:
    """Return the step of the schedule that img2img begins with: ``int(strength * steps) + 1`` steps are left."""
    return max(steps - int(min(strength, LARGEST_STRENGTH) * steps) - 1, 0)


@dataclasses.dataclass(frozen=True, slots=True)
class Enlarging:
    """What the upscaling routes want of one picture: by ``factor``, or to ``size`` with the overhang cut off by
    ``crop``. ``upscalers`` are files of models or "" for none, each with its method for the rest of the way; a second
    one is mixed in by ``mix``."""

    picture: str
    target: tuple[int, int]
    cut: tuple[int, int, int, int] | None
    upscalers: tuple[tuple[str, str], ...]
    mix: float
    parameters: str


def enlarged_pictures(wanted: Sequence[Enlarging]) -> Workflow:
    """Return the workflow that enlarges pictures."""
    board = Board()
    for one in wanted:
        source = board.link("LoadImage", image=one.picture)
        made = [_to_size(board, source, file, method, one.target) for file, method in one.upscalers]
        pixels = made[0]
        if len(made) > 1:
            pixels = board.link("ImageBlend", image1=made[0], image2=made[1], blend_factor=one.mix, blend_mode="normal")
        if one.cut is not None:
            x, y, width, height = one.cut
            pixels = board.link("ImageCrop", image=pixels, width=width, height=height, x=x, y=y)
        _save_to(board, pixels, one.parameters, "temp", "sdapi/extras")
    return board.done()


def _load(board: Board, recipe: Recipe, wording: Wording) -> _Loaded:
    loader = board.add("CheckpointLoaderSimple", ckpt_name=recipe.checkpoint)
    model: Link = [loader, 0]
    clip: Link = [loader, 1]
    for lora in wording.loras:
        one = board.add(
            "LoraLoader", model=model, clip=clip, lora_name=lora.file,
            strength_model=lora.model_strength, strength_clip=lora.text_strength,
        )  # fmt: skip
        model, clip = [one, 0], [one, 1]
    if recipe.clip_skip > 1:
        clip = board.link("CLIPSetLastLayer", clip=clip, stop_at_clip_layer=-recipe.clip_skip)
    vae = board.link("VAELoader", vae_name=recipe.vae) if recipe.vae else [loader, 2]
    return _Loaded(model, _encode(board, clip, wording.prompt), _encode(board, clip, wording.negative), vae)


def _encode(board: Board, clip: Link, chunks: Sequence[str]) -> Link:
    """Encode the parts of a prompt and join them one after the other."""
    whole = board.link("CLIPTextEncode", text=chunks[0], clip=clip)
    for text in chunks[1:]:
        more = board.link("CLIPTextEncode", text=text, clip=clip)
        whole = board.link("ConditioningConcat", conditioning_to=whole, conditioning_from=more)
    return whole


def _sample(board: Board, loaded: _Loaded, shot: Shot, one: _Pass, latent: Link) -> Link:
    """Sample one picture. What varies is put together from parts, the rest is one node."""
    sides: dict[str, Any] = {
        "model": loaded.model,
        "positive": loaded.positive,
        "negative": loaded.negative,
        "cfg": one.cfg,
    }
    name, schedule = one.sampling.name, one.sampling.schedule
    if shot.variation is not None:
        sampler = _sample_variation(board, sides, shot, one, latent)
    elif one.first_step is None:
        sampler = board.add(
            "KSampler", **sides, seed=shot.seed, steps=one.steps, sampler_name=name, scheduler=schedule,
            latent_image=latent, denoise=one.denoise,
        )  # fmt: skip
    else:
        sampler = board.add(
            "KSamplerAdvanced", **sides, add_noise="enable", noise_seed=shot.seed, steps=one.steps, sampler_name=name,
            scheduler=schedule, latent_image=latent, start_at_step=one.first_step, end_at_step=LAST_STEP,
            return_with_leftover_noise="disable",
        )  # fmt: skip
    board.sampler_steps[sampler] = one.steps - (one.first_step or 0)
    return [sampler, 0]


def _sample_variation(board: Board, sides: Mapping[str, Any], shot: Shot, one: _Pass, latent: Link) -> str:
    assert shot.variation is not None
    seed, strength = shot.variation
    noise = board.link("VariationNoise", noise_seed=shot.seed, variation_seed=seed, variation_strength=strength)
    sigmas = board.link(
        "BasicScheduler", model=sides["model"], scheduler=one.sampling.schedule, steps=one.steps, denoise=one.denoise
    )
    if one.first_step is not None:
        sigmas = board.link("SplitSigmas", 1, sigmas=sigmas, step=one.first_step)
    return board.add(
        "SamplerCustomAdvanced", noise=noise, guider=board.link("CFGGuider", **sides),
        sampler=board.link("KSamplerSelect", sampler_name=one.sampling.name), sigmas=sigmas, latent_image=latent,
    )  # fmt: skip


def _enlarge(board: Board, larger: Larger, latent: Link, vae: Link) -> Link:
    width, height = larger.size
    x, y, cut_width, cut_height = larger.cut
    trims = (cut_width, cut_height) != larger.size
    if larger.latent_method:
        latent = board.link(
            "LatentUpscale", samples=latent, upscale_method=larger.latent_method, width=width, height=height,
            crop="disabled",
        )  # fmt: skip
        trim = {"width": cut_width, "height": cut_height, "x": x, "y": y}
        return board.link("LatentCrop", samples=latent, **trim) if trims else latent
    pixels = board.link("VAEDecode", samples=latent, vae=vae)
    pixels = _to_size(board, pixels, larger.upscaler, larger.picture_method, larger.size)
    if trims:
        pixels = board.link("ImageCrop", image=pixels, width=cut_width, height=cut_height, x=x, y=y)
    return board.link("VAEEncode", pixels=pixels, vae=vae)


def _to_size(board: Board, pixels: Link, file: str, method: str, size: tuple[int, int]) -> Link:
    """Enlarge by a model, if a file is given, then go the rest of the way."""
    if file:
        model = board.link("UpscaleModelLoader", model_name=file)
        pixels = board.link("ImageUpscaleWithModel", upscale_model=model, image=pixels)
    width, height = size
    return board.link("ImageScale", image=pixels, upscale_method=method, width=width, height=height, crop="disabled")


def _start_of(board: Board, canvas: Canvas, loaded: _Loaded, seed: int) -> Link:
    latent = board.link("VAEEncode", pixels=board.link("LoadImage", image=canvas.picture), vae=loaded.vae)
    if canvas.stretched is not None:
        width, height = canvas.stretched
        latent = board.link(
            "LatentUpscale", samples=latent, upscale_method="bilinear", width=width, height=height, crop="disabled"
        )
    if not canvas.mask:
        return latent
    mask = board.link("LoadImageMask", image=canvas.mask, channel="red")
    if canvas.fill:
        filling = board.link("LatentMultiply", samples=latent, multiplier=0.0)
        if canvas.fill == "noise":
            filling = board.link(
                "AddNoise", model=loaded.model, noise=board.link("RandomNoise", noise_seed=seed),
                sigmas=board.link("KarrasScheduler", steps=1, sigma_max=1.0, sigma_min=1.0, rho=7.0),
                latent_image=filling,
            )  # fmt: skip
        latent = board.link(
            "LatentCompositeMasked", destination=latent, source=filling, x=0, y=0, resize_source=False, mask=mask
        )
    return board.link("SetLatentNoiseMask", samples=latent, mask=mask)


def _put_back(board: Board, paste: Paste | None, pixels: Link) -> Link:
    if paste is None:
        return pixels
    x, y, width, height = paste.box
    pixels = board.link("ImageScale", image=pixels, upscale_method="lanczos", width=width, height=height, crop="center")
    return board.link(
        "ImageCompositeMasked", destination=board.link("LoadImage", image=paste.background), source=pixels, x=x, y=y,
        resize_source=False, mask=board.link("LoadImageMask", image=paste.mask, channel="red"),
    )  # fmt: skip


def _save(board: Board, recipe: Recipe, pixels: Link, shot: Shot) -> None:
    _save_to(board, pixels, shot.parameters, recipe.folder, recipe.prefix)


def _save_to(board: Board, pixels: Link, parameters: str, folder: str, prefix: str) -> None:
    save = board.add(
        "SaveImageWithParameters", once=False, images=pixels, parameters=parameters, filename_prefix=prefix,
        folder=folder,
    )  # fmt: skip
    board.saves.append(save)
