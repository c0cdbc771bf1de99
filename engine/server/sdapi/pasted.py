"""The field ``infotext``: a picture's text fills the fields of a request that were left out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from engine.server.sdapi.parameters import as_fields, read_parameters

_FIELDS: Final[Mapping[str, str]] = {
    "Prompt": "prompt",
    "Negative prompt": "negative_prompt",
    "Steps": "steps",
    "Sampler": "sampler_name",
    "Schedule type": "scheduler",
    "CFG scale": "cfg_scale",
    "Seed": "seed",
    "Size-1": "width",
    "Size-2": "height",
    "Variation seed": "subseed",
    "Variation seed strength": "subseed_strength",
    "Denoising strength": "denoising_strength",
}
_SECOND_PASS: Final[Mapping[str, str]] = {
    "Hires upscale": "hr_scale",
    "Hires upscaler": "hr_upscaler",
    "Hires steps": "hr_second_pass_steps",
    "Hires resize-1": "hr_resize_x",
    "Hires resize-2": "hr_resize_y",
    "Hires sampler": "hr_sampler_name",
    "Hires schedule type": "hr_scheduler",
    "Hires prompt": "hr_prompt",
    "Hires negative prompt": "hr_negative_prompt",
}


def fill_from_text(body: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the body with what its ``infotext`` says in the place of fields that were left out or are null.

    Numbers stay texts, which fields of numbers take. A text with a second pass asks for one.
    """
    text = body.get("infotext")
    if not isinstance(text, str) or not text.strip():
        return body
    said = as_fields(read_parameters(text))
    second = "Hires upscale" in said or "Hires resize-1" in said
    names = {**_FIELDS, **(_SECOND_PASS if second else {})}
    found: dict[str, Any] = {name: said[key] for key, name in names.items() if key in said}
    if second:
        found["enable_hr"] = True
    given = {name: value for name, value in body.items() if value is not None}
    return {**found, **given}
