"""Take apart the names in adapter files: which part of a model, which module, and what the tensor is to it.

Layouts: kohya (``lora_unet_…``, ``lora_te_…``, everything else flattened with underscores), PEFT and diffusers
(``unet.….lora_A.weight``, older ``….processor.to_q_lora.down.weight``), and the generic one
(``diffusion_model.…``, ``text_encoders.clip_l.…``). Module names are compared flattened, so one spelling is enough.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Literal

from engine.weights.recipe import Part

__all__ = ["Address", "Role", "read_key", "unsupported_kind"]

Role = Literal["up", "down", "mid", "alpha", "magnitude", "diff", "diff_b", "w_norm", "b_norm"]


@dataclass(frozen=True, slots=True)
class Address:
    """Say what a tensor belongs to. `encoder` counts text encoders from 1 (0 in the diffusion model)."""

    part: Part
    encoder: int
    module: str
    role: Role


_SUFFIXES: Final[tuple[tuple[str, Role], ...]] = (  # the first that fits is taken
    (r"[._]lora\.up\.weight", "up"),
    (r"[._]lora\.down\.weight", "down"),
    (r"\.lora_linear_layer\.up\.weight", "up"),
    (r"\.lora_linear_layer\.down\.weight", "down"),
    (r"\.lora_(?:up|B)\.weight", "up"),
    (r"\.lora_(?:down|A)\.weight", "down"),
    (r"\.lora_mid\.weight", "mid"),
    (r"\.alpha", "alpha"),
    (r"\.(?:dora_scale|lora_magnitude_vector(?:\.weight)?)", "magnitude"),
    (r"\.diff", "diff"),
    (r"\.diff_b", "diff_b"),
    (r"\.w_norm", "w_norm"),
    (r"\.b_norm", "b_norm"),
)
_ROLES: Final = tuple((re.compile(rf"(.+?){suffix}"), role) for suffix, role in _SUFFIXES)

_PREFIXES: Final[tuple[tuple[str, Part, int], ...]] = (  # longer before shorter
    ("lora_unet_", "diffusion", 0),
    ("lycoris_", "diffusion", 0),
    ("lora_te1_", "text", 1),
    ("lora_te2_", "text", 2),
    ("lora_te3_", "text", 3),
    ("lora_te_", "text", 1),
    ("text_encoder_2.", "text", 2),
    ("text_encoder_3.", "text", 3),
    ("text_encoder.", "text", 1),
    ("text_encoders.clip_l.transformer.", "text", 1),
    ("text_encoders.clip_l.", "text", 1),
    ("text_encoders.clip_h.transformer.", "text", 1),
    ("text_encoders.clip_h.", "text", 1),
    ("text_encoders.clip_g.transformer.", "text", 2),
    ("text_encoders.clip_g.", "text", 2),
    ("base_model.model.", "diffusion", 0),
    ("model.diffusion_model.", "diffusion", 0),
    ("diffusion_model.", "diffusion", 0),
    ("unet.", "diffusion", 0),
    ("", "diffusion", 0),
)

_OTHER_KINDS: Final = (
    (re.compile(r"\.hada_[wt]\d"), "LoHa"),
    (re.compile(r"\.lokr_[wt]\d"), "LoKr"),
    (re.compile(r"\.(oft_blocks|oft_diag|oft_R)\b"), "OFT"),
    (re.compile(r"\.on_input$"), "IA3"),
    (re.compile(r"\.[ab][12]\.weight$"), "GLoRA"),
)


def read_key(key: str) -> Address | None:
    """Take a tensor's name apart; None where it is no part of an adapter that is supported."""
    plain = key.replace(".default.", ".", 1) if ".default." in key else key.removesuffix(".default")
    for pattern, role in _ROLES:
        found = pattern.fullmatch(plain)
        if found is not None:
            prefix, part, encoder = next(entry for entry in _PREFIXES if found[1].startswith(entry[0]))
            return Address(part, encoder, _module(found[1][len(prefix) :], part), role)
    return None


def unsupported_kind(key: str) -> str | None:
    """Name the kind of adapter that a tensor of an unsupported one belongs to."""
    return next((kind for pattern, kind in _OTHER_KINDS if pattern.search(key)), None)


def _module(path: str, part: Part) -> str:
    """Flatten a module's path, with today's names for its attention projections."""
    flat = path.replace(".processor", "").replace(".", "_")
    if part == "diffusion":
        return re.sub(r"_to_out$", "_to_out_0", flat)
    flat = re.sub(r"_to_([qkv])$", r"_\1_proj", flat.removeprefix("text_model_"))
    return re.sub(r"_to_out(_0)?$", "_out_proj", flat)
