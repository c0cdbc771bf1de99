"""Nodes of packs between the built-in ones in a whole run: latents, conditionings, pictures and models pass through."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from pack_bench import Bench, node
from tiny_checkpoint import make_base_directory, text_to_image

from engine.session import Session

PACK = """
import nodes

class Same:
    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"latent": ("LATENT",), "text": ("CONDITIONING",)}}
    RETURN_TYPES = ("LATENT", "CONDITIONING")
    FUNCTION = "go"
    CATEGORY = "test"
    def go(self, latent, text):
        return ({**latent, "samples": latent["samples"] * 1}, [[one * 1, dict(facts)] for one, facts in text])

class Sample:
    @classmethod
    def INPUT_TYPES(cls):
        text = "CONDITIONING"
        types = {"model": "MODEL", "positive": text, "negative": text, "latent": "LATENT", "vae": "VAE"}
        return {"required": {name: (kind,) for name, kind in types.items()}}
    RETURN_TYPES = ("IMAGE",)
    FUNCTION = "go"
    CATEGORY = "test"
    def go(self, model, positive, negative, latent, vae):
        (made,) = nodes.common_ksampler(model, 3, 2, 4.0, "euler", "normal", positive, negative, latent)
        return nodes.VAEDecode().decode(vae, made)

NODE_CLASS_MAPPINGS = {"Same": Same, "Sample": Sample}
"""


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory, root: Path) -> Path:
    found = make_base_directory(tmp_path_factory.mktemp("base"), root)
    (found / "custom_nodes").mkdir(exist_ok=True)
    (found / "custom_nodes" / "between.py").write_text(PACK)
    return found


def test_a_pack_between_the_built_in_nodes_changes_nothing(base: Path, open_session: Callable[..., Session]) -> None:
    prompt = text_to_image()
    ids = {entry["class_type"]: id for id, entry in prompt.items()}
    sampler, loader = prompt[ids["KSampler"]]["inputs"], ids["CheckpointLoaderSimple"]
    sampler.update(seed=3, steps=2, cfg=4.0, sampler_name="euler", scheduler="normal", denoise=1.0)
    decode = ids["VAEDecode"]
    bench = Bench(open_session(base))
    plain = bench.value(prompt, decode)
    prompt["same"] = node("Same", latent=sampler["latent_image"], text=sampler["positive"])
    sampler |= {"latent_image": ["same", 0], "positive": ["same", 1]}
    assert torch.equal(bench.value(prompt, decode), plain)
    texts = {name: sampler[name] for name in ("positive", "negative")}
    prompt["own"] = node("Sample", model=[loader, 0], vae=[loader, 2], latent=["same", 0], **texts)
    assert torch.equal(bench.value(prompt, "own"), plain)
