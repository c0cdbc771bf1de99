"""From an order to its workflows: finds the files, reads the prompts, prepares pictures, and writes the texts.

Everything here blocks (files are hashed and written), and nothing here knows a server.
"""

from __future__ import annotations

import dataclasses
import secrets
from collections.abc import Mapping, Sequence
from typing import Any, Final

from engine.server.sdapi.infotext import Facts, settings_text
from engine.server.sdapi.mask_work import STRETCH, MaskChoices, Prepared, prepare, resize, soft_mask
from engine.server.sdapi.options import Options, changed_options
from engine.server.sdapi.parameters import write_parameters
from engine.server.sdapi.pictures import open_picture, store_picture
from engine.server.sdapi.prompt_text import Network, apply_styles, chunks_of, name_embeddings, take_networks
from engine.server.sdapi.refusals import refuse_field
from engine.server.sdapi.requests import LATENT_UPSCALERS, Order, Painting, SecondPass
from engine.server.sdapi.samplers import Sampling, choose_sampling
from engine.server.sdapi.shelf import Shelf, stem_of
from engine.server.sdapi.templates import (
    Canvas,
    Larger,
    LoraUse,
    Paste,
    Recipe,
    Shot,
    Wording,
    Workflow,
    picture_from_picture,
    picture_from_text,
)

ANY_SEED: Final = 4294967294
"""Seeds that are drawn are below this."""
PLAIN_UPSCALERS: Final[Mapping[str, str]] = {"None": "lanczos", "Lanczos": "lanczos", "Nearest": "nearest-exact"}
SIDE: Final = 8
WHOLE_ONLY: Final = ("dpm_2", "dpm_2_ancestral", "uni_pc", "uni_pc_bh2")
"""Samplers whose schedule only the whole sampler node makes."""
LATENT_FILLS: Final[Mapping[int, str]] = {2: "noise", 3: "zeros"}
LATENT_STRETCH: Final = 3


@dataclasses.dataclass(frozen=True, slots=True)
class Prepare:
    """What came of an order: one workflow for each iteration, the text of each picture, and what ``info`` says."""

    workflows: tuple[Workflow, ...]
    texts: tuple[str, ...]
    info: Mapping[str, Any]
    options: Options


def prepare_order(order: Order, shelf: Shelf, options: Options) -> Prepare:
    """Return the workflows of an order. Raises `FieldErrors` and `Refused`."""
    options = changed_options(options, order.overrides, shelf, "override_settings.")
    checkpoint = shelf.find_checkpoint(options.checkpoint, "override_settings.sd_model_checkpoint")
    vae = shelf.find_vae(options.vae, "override_settings.sd_vae")
    sampling = choose_sampling(order.sampler, order.scheduler)
    _check_eta(order.eta, sampling)
    prompt, negative = _styled(order, shelf)
    wording, hashes = _wording(prompt, negative, shelf)
    larger, second_hashes = _larger(order, sampling, prompt, negative, shelf)
    masked = order.painting is not None and bool(order.painting.mask)
    facts = Facts(
        stem_of(checkpoint), shelf.digest("checkpoints", checkpoint)[:10], vae, options.clip_skip,
        {**hashes, **second_hashes}, None if larger is None else larger.cut[2:], masked,
    )  # fmt: skip
    seeds = seeds_of(order)
    texts = [write_parameters(prompt, negative, settings_text(order, sampling, facts, *one)) for one in seeds]
    kind = "txt2img" if order.painting is None else "img2img"
    recipe = Recipe(
        checkpoint, vae, options.clip_skip, wording, sampling, order.steps, order.cfg,
        folder="output" if order.save_pictures else "temp",
        prefix=f"{kind}/{kind}" if order.save_pictures else f"sdapi/{kind}",
    )  # fmt: skip
    varies = order.subseed_strength > 0
    if varies and not {sampling.name, sampling.name if larger is None else larger.sampling.name}.isdisjoint(WHOLE_ONLY):
        raise refuse_field("subseed_strength", f"variations are not supported with {', '.join(WHOLE_ONLY)}")
    shots = [
        Shot(one, text, (other, order.subseed_strength) if varies else None)
        for (one, other), text in zip(seeds, texts, strict=True)
    ]
    groups = [shots[at : at + order.batch_size] for at in range(0, len(shots), order.batch_size)]
    if order.painting is None:
        size = (order.width, order.height)
        workflows = [picture_from_text(recipe, size, larger, group) for group in groups]
    else:
        canvases = _canvases(order, order.painting, shelf)
        workflows = [picture_from_picture(recipe, order.denoise, canvases, group) for group in groups]
    info = _info(order, facts, sampling, (prompt, negative), seeds, texts)
    return Prepare(tuple(workflows), tuple(texts), info, options)


def _check_eta(eta: float | None, sampling: Sampling) -> None:
    """Refuse another share of noise than the sampler's own, where the sampler has any. Raises `FieldErrors`."""
    own = 0.0 if sampling.name == "ddim" else 1.0
    has_one = sampling.name == "ddim" or any(part in sampling.name for part in ("ancestral", "sde"))
    if eta is not None and has_one and eta != own:
        raise refuse_field("eta", f"with {sampling.label} it is {own:g}; the sampler nodes take others")


def seeds_of(order: Order) -> list[tuple[int, int]]:
    """Return seed and variation seed of each picture: of the two the one counts up that makes the difference."""
    seed, other = (secrets.randbelow(ANY_SEED) if one == -1 else one for one in (order.seed, order.subseed))
    count = order.batch_size * order.iterations
    if order.subseed_strength > 0:
        return [(seed, (other + index) % 2**64) for index in range(count)]
    return [((seed + index) % 2**64, (other + index) % 2**64) for index in range(count)]


def _styled(order: Order, shelf: Shelf) -> tuple[str, str]:
    if not order.styles:
        return order.prompt, order.negative_prompt
    known = {style.name: style for style in shelf.styles()}
    for name in order.styles:
        if name not in known:
            raise refuse_field("styles", f"there is no style {name[:80]!r}; styles stand in user/styles.csv")
    chosen = [known[name] for name in order.styles]
    prompt = apply_styles(order.prompt, tuple(style.prompt for style in chosen))
    return prompt, apply_styles(order.negative_prompt, tuple(style.negative_prompt for style in chosen))


def _wording(prompt: str, negative: str, shelf: Shelf, field: str = "") -> tuple[Wording, dict[str, str]]:
    """Read both prompts; return what they mean, and the short hashes of the LoRAs by the names they were given."""
    plain, networks = take_networks(prompt, f"{field}prompt")
    plain_negative, more = take_networks(negative, f"{field}negative_prompt")
    uses, hashes = _loras([*networks, *more], shelf, f"{field}prompt")
    names = [stem_of(name) for name in shelf.files("embeddings")]
    positive_chunks = chunks_of(name_embeddings(plain, names), f"{field}prompt")
    negative_chunks = chunks_of(name_embeddings(plain_negative, names), f"{field}negative_prompt")
    return Wording(positive_chunks, negative_chunks, uses), hashes


def _loras(networks: Sequence[Network], shelf: Shelf, field: str) -> tuple[tuple[LoraUse, ...], dict[str, str]]:
    files = [shelf.find_lora(one.name, field) for one in networks]
    uses = tuple(
        LoraUse(file, one.model_strength, one.text_strength) for file, one in zip(files, networks, strict=True)
    )
    hashes = {
        one.name: shelf.digest("loras", file, tensors_only=True)[:12] for file, one in zip(files, networks, strict=True)
    }
    return uses, hashes


def _larger(
    order: Order, sampling: Sampling, prompt: str, negative: str, shelf: Shelf
) -> tuple[Larger | None, dict[str, str]]:
    """Return the second pass, and the hashes of what its own prompts name."""
    second = order.second
    if second is None:
        return None, {}
    size, cut = second_size((order.width, order.height), second)
    method = LATENT_UPSCALERS.get(second.upscaler, "")
    file = ""
    if not method and second.upscaler not in PLAIN_UPSCALERS:
        if second.upscaler.startswith("Latent"):
            raise refuse_field("hr_upscaler", f"of the latent ones there are {', '.join(LATENT_UPSCALERS)}")
        file = shelf.find_upscaler(second.upscaler, "hr_upscaler")
    own = sampling
    if second.sampler or second.scheduler:
        own = choose_sampling(second.sampler or order.sampler, second.scheduler or order.scheduler)
    wording, hashes = _wording(second.prompt or prompt, second.negative_prompt or negative, shelf, "hr_")
    larger = Larger(
        size, cut, method, file, PLAIN_UPSCALERS.get(second.upscaler, "lanczos"), wording, own,
        second.steps or order.steps, order.denoise,
    )  # fmt: skip
    return larger, hashes


def second_size(first: tuple[int, int], second: SecondPass) -> tuple[tuple[int, int], tuple[int, int, int, int]]:
    """Return what the second pass enlarges to, and the box (x, y, width, height) of it that is kept.

    By a scale, or to a width and height: with one of them 0 the shape stays, with both the box is covered and what
    hangs over is cut evenly. In whole latent pixels. Raises `FieldErrors` where the result is larger than allowed.
    """
    width, height = first
    if not second.width and not second.height:
        wanted = (int(width * second.scale), int(height * second.scale))
        kept = wanted
    else:
        by_width = second.width, second.width * height // width
        by_height = second.height * width // height, second.height
        if not second.height or (second.width and second.width * height >= second.height * width):
            wanted = by_width
        else:
            wanted = by_height
        kept = (second.width or wanted[0], second.height or wanted[1])
    whole = _down(wanted)
    inner = (min(_down(kept)[0], whole[0]), min(_down(kept)[1], whole[1]))
    if max(whole) > 16384 or min(inner) < SIDE:
        raise refuse_field("hr_scale", f"the second pass would be {whole[0]}x{whole[1]}")
    x, y = ((whole[at] - inner[at]) // (2 * SIDE) * SIDE for at in (0, 1))
    return whole, (x, y, *inner)


def _down(size: tuple[int, int]) -> tuple[int, int]:
    return size[0] // SIDE * SIDE, size[1] // SIDE * SIDE


def _canvases(order: Order, painting: Painting, shelf: Shelf) -> list[Canvas]:
    size = (order.width, order.height)
    mask = None
    if painting.mask:
        mask = soft_mask(
            open_picture(painting.mask, "mask"), rounded=painting.mask_round, invert=painting.invert,
            blur=painting.mask_blur,
        )  # fmt: skip
    choices = MaskChoices(painting.full_resolution, painting.padding, smear=painting.fill == 0)
    canvases = []
    if len(painting.pictures) > order.batch_size:
        raise refuse_field("init_images", f"there are more pictures than batch_size ({order.batch_size})")
    for text in painting.pictures:
        picture = open_picture(text, "init_images")
        if mask is not None and painting.full_resolution and mask.size != picture.size:
            raise refuse_field("mask", f"it is {mask.size[0]}x{mask.size[1]}, the picture is not: scale one of them")
        if painting.resize_mode == LATENT_STRETCH:
            whole = resize(_opaque(picture), _up(picture.size), STRETCH)
            canvases.append(Canvas(store_picture(shelf.folders, whole), stretched=size))
            continue
        made = prepare(_opaque(picture), mask, size, painting.resize_mode, choices)
        canvases.append(_stored(made, shelf, LATENT_FILLS.get(painting.fill, "")))
    return canvases


def _up(size: tuple[int, int]) -> tuple[int, int]:
    return -(-size[0] // SIDE) * SIDE, -(-size[1] // SIDE) * SIDE


def _opaque(picture: Any) -> Any:
    """Lay a picture with transparency on white."""
    from PIL import Image

    if picture.mode != "RGBA":
        return picture
    below = Image.new("RGBA", picture.size, (255, 255, 255, 255))
    below.alpha_composite(picture)
    return below.convert("RGB")


def _stored(made: Prepared, shelf: Shelf, fill: str) -> Canvas:
    picture = store_picture(shelf.folders, made.picture)
    if made.mask is None or made.background is None or made.overlay is None or made.box is None:
        return Canvas(picture)
    background, overlay = (store_picture(shelf.folders, one) for one in (made.background, made.overlay))
    paste = Paste(background, overlay, made.box)
    return Canvas(picture, store_picture(shelf.folders, made.mask), fill, paste)


def _info(
    order: Order,
    facts: Facts,
    sampling: Sampling,
    prompts: tuple[str, str],
    seeds: Sequence[tuple[int, int]],
    texts: Sequence[str],
) -> dict[str, Any]:
    count = len(seeds)
    return {
        "prompt": prompts[0],
        "all_prompts": [prompts[0]] * count,
        "negative_prompt": prompts[1],
        "all_negative_prompts": [prompts[1]] * count,
        "seed": seeds[0][0],
        "all_seeds": [seed for seed, _ in seeds],
        "subseed": seeds[0][1],
        "all_subseeds": [other for _, other in seeds],
        "subseed_strength": order.subseed_strength,
        "width": order.width,
        "height": order.height,
        "sampler_name": sampling.label,
        "cfg_scale": order.cfg,
        "steps": order.steps,
        "batch_size": order.batch_size,
        "restore_faces": False,
        "face_restoration_model": None,
        "sd_model_name": facts.model,
        "sd_model_hash": facts.model_hash,
        "sd_vae_name": facts.vae or None,
        "sd_vae_hash": None,
        "seed_resize_from_w": -1,
        "seed_resize_from_h": -1,
        "denoising_strength": order.denoise if order.second or order.painting else None,
        "extra_generation_params": {},
        "index_of_first_image": 0,
        "infotexts": list(texts),
        "styles": list(order.styles),
        "clip_skip": facts.clip_skip,
        "is_using_inpainting_conditioning": False,
    }
