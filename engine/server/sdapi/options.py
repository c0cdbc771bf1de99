"""The settings of this interface that there are here: which model, which VAE, which layer of the text encoder.

They are kept in the user folder. What cannot be chosen is shown with the value that it has.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from engine.errors import DocumentError
from engine.graph.strict_json import parse_text
from engine.paths import replace_file
from engine.server.sdapi.refusals import FieldErrors, refuse_field
from engine.server.sdapi.shelf import Shelf

FILE: Final = "sdapi_options.json"
FIXED: Final[Mapping[str, Any]] = {
    "samples_format": "png",
    "randn_source": "CPU",
    "eta_noise_seed_delta": 0,
    "sgm_noise_multiplier": True,
    "enable_pnginfo": True,
    "img2img_fix_steps": False,
    "return_grid": False,
    "do_not_show_images": False,
    "upscaler_for_img2img": None,
    "img2img_background_color": "#ffffff",
    "initial_noise_multiplier": 1.0,
    "inpainting_mask_weight": 1.0,
    "eta_ancestral": 1.0,
    "eta_ddim": 0.0,
    "filter_nsfw": False,
}
"""What is so and cannot be changed."""
WITHOUT_EFFECT: Final = frozenset(
    {
        "samples_save",
        "grid_save",
        "save_txt",
        "live_previews_enable",
        "show_progress_every_n_steps",
        "sd_checkpoints_limit",
        "add_model_hash_to_info",
        "add_model_name_to_info",
        "add_version_to_infotext",
    }
)
"""What clients set and what changes no picture: taken, and not kept."""


@dataclasses.dataclass(frozen=True, slots=True)
class Options:
    """What is chosen: ``checkpoint`` empty is the first file, ``vae`` "Automatic" the checkpoint's own."""

    checkpoint: str = ""
    vae: str = "Automatic"
    clip_skip: int = 1


def read_options(user: Path) -> Options:
    """Read what is kept; the usual where nothing is, or where it cannot be read."""
    try:
        kept = parse_text((user / FILE).read_bytes(), FILE)
        return Options(str(kept["checkpoint"]), str(kept["vae"]), int(kept["clip_skip"]))
    except (OSError, DocumentError, KeyError, TypeError, ValueError):
        return Options()


def keep_options(user: Path, options: Options) -> None:
    """Keep what is chosen."""
    replace_file(user / FILE, json.dumps(dataclasses.asdict(options), indent=4).encode())


def shown_options(options: Options, shelf: Shelf) -> dict[str, Any]:
    """Return all settings by their names."""
    names = shelf.files("checkpoints")
    chosen = options.checkpoint if options.checkpoint in names else (names[0] if names else "")
    return {
        "sd_model_checkpoint": shelf.title(chosen) if chosen else None,
        "sd_checkpoint_hash": next((one["sha256"] for one in shelf.checkpoints() if one["filename"] == chosen), None),
        "sd_vae": options.vae,
        "CLIP_stop_at_last_layers": options.clip_skip,
        **FIXED,
    }


def changed_options(options: Options, changes: Mapping[str, Any], shelf: Shelf, where: str = "") -> Options:
    """Return the options with changes to them. Raises `FieldErrors` for names that there are not here, files that are
    not there, and what cannot be changed. ``where`` goes before the names in errors."""
    errors: list[tuple[str, str]] = []
    for name, value in changes.items():
        try:
            options = _changed(options, name, value, shelf, where + name)
        except FieldErrors as error:
            errors += error.errors
    if errors:
        raise FieldErrors(errors)
    return options


def _changed(options: Options, name: str, value: Any, shelf: Shelf, field: str) -> Options:
    if name == "sd_model_checkpoint":
        return dataclasses.replace(options, checkpoint=shelf.find_checkpoint(_text(value, field), field))
    if name == "sd_vae":
        wanted = _text(value, field) or "Automatic"
        return dataclasses.replace(options, vae=shelf.find_vae(wanted, field) or wanted)
    if name == "CLIP_stop_at_last_layers":
        if (
            isinstance(value, bool)
            or not isinstance(value, (int, float))
            or value != int(value)
            or not 1 <= value <= 12
        ):
            raise refuse_field(field, "a whole number from 1 to 12 is expected")
        return dataclasses.replace(options, clip_skip=int(value))
    if name == "sd_checkpoint_hash" or name in WITHOUT_EFFECT or value in (None, "", []):
        return options  # the hash is shown beside the checkpoint's name, which is what counts
    if name not in FIXED:
        raise refuse_field(field, "there is no such option here")
    if value != FIXED[name]:
        raise refuse_field(field, f"this cannot be changed; it is {json.dumps(FIXED[name])}")
    return options


def _text(value: Any, field: str) -> str:
    if value is not None and not isinstance(value, str):
        raise refuse_field(field, "a text is expected")
    return value or ""
