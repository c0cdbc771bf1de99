"""The text encoders of Stable Diffusion 2 and XL: from OpenCLIP's names, equal to transformers' of the same weights."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from engine.families.registry import family_of
from engine.families.sizes import NetworkHints
from engine.families.text import encode_clip_g, encode_clip_h, encode_clip_l_and_g
from engine.families.tokenizer import clip_tokenizer, tokenize_prompt
from engine.networks.clip_text import ClipText, ProjectedClipText, TextEncoders
from engine.weights.adapters.applying import patched_copy
from engine.weights.adapters.difference import Difference
from engine.weights.files import open_weights, save_safetensors
from engine.weights.layouts import original_names
from engine.weights.loading import Target, empty_construction, fill

transformers = pytest.importorskip("transformers")
PROMPT = "a red cat on a table"
LAYERS = 3
END = 49407


def reference_encoder(width: int, activation: str, seed: int = 0) -> nn.Module:
    """Return transformers' encoder, with biases and norms that matter."""
    torch.manual_seed(seed)
    config = transformers.CLIPTextConfig(
        hidden_size=width,
        intermediate_size=2 * width,
        num_hidden_layers=LAYERS,
        num_attention_heads=width // 64,
        hidden_act=activation,
        projection_dim=width,
        eos_token_id=END,
    )
    network = transformers.CLIPTextModelWithProjection(config).eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.05)
    return network


def open_clip_names(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Store Hugging Face's tensors as OpenCLIP does: query, key and value in one, the projection on the right."""
    inside = {name.removeprefix("text_model."): tensor for name, tensor in tensors.items()}
    made = {
        "token_embedding.weight": inside["embeddings.token_embedding.weight"],
        "positional_embedding": inside["embeddings.position_embedding.weight"],
        "text_projection": inside["text_projection.weight"].T,
        "logit_scale": torch.tensor(4.6),
    }
    names = {
        "ln_1": "layer_norm1",
        "ln_2": "layer_norm2",
        "attn.out_proj": "self_attn.out_proj",
        "mlp.c_fc": "mlp.fc1",
        "mlp.c_proj": "mlp.fc2",
    }
    for kind in ("weight", "bias"):
        made[f"ln_final.{kind}"] = inside[f"final_layer_norm.{kind}"]
        for index in range(LAYERS):
            theirs, ours = f"encoder.layers.{index}.", f"transformer.resblocks.{index}."
            fused = [inside[f"{theirs}self_attn.{letter}_proj.{kind}"] for letter in "qkv"]
            made[f"{ours}attn.in_proj_{kind}"] = torch.cat(fused)
            made |= {f"{ours}{new}.{kind}": inside[f"{theirs}{old}.{kind}"] for new, old in names.items()}
    return made


def load_text(path: Path, tensors: Mapping[str, Tensor], family: str, dtype: torch.dtype = torch.float32) -> nn.Module:
    """Save a checkpoint's text part and build our network of it."""
    stored = {name: tensor.contiguous() for name, tensor in tensors.items()}
    if path.suffix == ".ckpt":
        torch.save({"state_dict": stored}, path)
    else:
        save_safetensors(path, stored)
    with open_weights(path) as file:
        spec = family_of(family).parts["text"]
        sources = original_names(file.shapes).part(spec.prefix)
        with torch.device("meta"), empty_construction():
            empty = spec.build({name: source.shape for name, source in sources.items()}, NetworkHints())
        return fill(empty, file, sources, Target(torch.device("cpu"), dtype, keep_narrow=True))


def prefixed(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {prefix + name: tensor for name, tensor in tensors.items()}


def states(network: nn.Module, padding: int) -> tuple[tuple[Tensor, ...], Tensor]:
    """Return transformers' hidden states of the prompt (embeddings first) and its projected pooled state."""
    tokens = tokenize_prompt(clip_tokenizer(), PROMPT, 77, padding)[0]
    with torch.no_grad():
        out = network(torch.tensor([[token.id for token in tokens]]), output_hidden_states=True)
    return out.hidden_states, out.text_embeds


def assert_close(got: Tensor | None, wanted: Tensor | None) -> None:
    torch.testing.assert_close(got, wanted, rtol=1e-4, atol=1e-4)


XL = tuple[TextEncoders, nn.Module, nn.Module]


@pytest.fixture(scope="module")
def xl(tmp_path_factory: pytest.TempPathFactory) -> XL:
    """Our encoders from a file, and transformers' that the file was made from."""
    small, large = reference_encoder(64, "quick_gelu"), reference_encoder(128, "gelu", 1)
    tensors = prefixed("conditioner.embedders.0.transformer.", small.state_dict())
    tensors |= prefixed("conditioner.embedders.1.model.", open_clip_names(large.state_dict()))
    network = load_text(tmp_path_factory.mktemp("xl") / "text.safetensors", tensors, "sdxl")
    assert isinstance(network, TextEncoders)
    return network, small, large


def test_sd2_reads_the_normalised_layer_before_the_last(tmp_path: Path) -> None:
    theirs = reference_encoder(128, "gelu")
    tensors = prefixed("cond_stage_model.model.", open_clip_names(theirs.state_dict()))
    ours = load_text(tmp_path / "text.safetensors", tensors, "sd2")
    assert isinstance(ours, ClipText)
    hidden, _ = states(theirs, padding=0)
    for last_layer, taken in ((0, -2), (-1, -1), (-2, -2), (-3, -3)):
        with torch.no_grad():
            wanted = ours.final_layer_norm(hidden[taken])
        assert_close(encode_clip_h(ours, PROMPT, last_layer).embedding, wanted)


def test_xl_reads_both_without_the_final_normalisation(xl: XL) -> None:
    ours, small, large = xl
    (hidden_l, _), (hidden_g, pooled) = states(small, padding=END), states(large, padding=0)
    for last_layer, taken in ((0, -2), (-1, -1), (-3, -3)):
        encoding = encode_clip_l_and_g(ours, (PROMPT, PROMPT), last_layer)
        assert_close(encoding.embedding, torch.cat([hidden_l[taken], hidden_g[taken]], dim=-1))
        assert_close(encoding.pooled, pooled)


def test_xl_takes_a_text_for_each_encoder(xl: XL) -> None:
    ours = xl[0]
    long = "cat " * 100
    both = encode_clip_l_and_g(ours, (PROMPT, long))
    assert both.embedding.shape == (1, 154, 192)
    assert_close(both.embedding[:, :77, :64], encode_clip_l_and_g(ours, (PROMPT, "")).embedding[..., :64])
    assert_close(both.embedding[:, 77:, :64], encode_clip_l_and_g(ours, ("", "")).embedding[..., :64])
    alone = encode_clip_g(ours.clip_g, long)
    assert_close(both.embedding[..., 64:], alone.embedding)
    assert_close(both.pooled, alone.pooled)


def test_weights_interpolate_from_the_empty_prompt_in_both(xl: XL) -> None:
    def encode(prompt: str) -> Tensor:
        return encode_clip_l_and_g(xl[0], (prompt, prompt)).embedding

    plain, empty, weighted = encode("a red cat"), encode(""), encode("a (red:1.5) cat")
    place = 2  # start, a, red
    assert_close(weighted[0, place], empty[0, place] + 1.5 * (plain[0, place] - empty[0, place]))
    others = [index for index in range(77) if index != place]
    assert_close(weighted[0, others], plain[0, others])


def test_the_refiner_reads_the_larger_one_alone(xl: XL, tmp_path: Path) -> None:
    ours, _, large = xl
    tensors = prefixed("conditioner.embedders.0.model.", open_clip_names(large.state_dict()))
    alone = load_text(tmp_path / "text.safetensors", tensors, "sdxl_refiner")
    assert isinstance(alone, ProjectedClipText)
    got, wanted = encode_clip_g(alone, PROMPT), encode_clip_l_and_g(ours, (PROMPT, PROMPT))
    assert_close(got.embedding, wanted.embedding[..., 64:])
    assert_close(got.pooled, wanted.pooled)


@pytest.mark.parametrize("suffix", [".ckpt", ".safetensors"])
def test_fused_weights_are_not_given_back_too_early(
    suffix: str, xl: XL, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engine.weights.loading.GROUP_BYTES", 1)
    tensors = prefixed("conditioner.embedders.0.model.", open_clip_names(xl[2].state_dict()))
    half = load_text(tmp_path / f"text{suffix}", tensors, "sdxl_refiner", torch.bfloat16)
    exact = xl[0].clip_g.state_dict()
    assert half.state_dict().keys() == exact.keys()
    assert all(torch.equal(tensor, exact[name].bfloat16()) for name, tensor in half.state_dict().items())


def test_matrices_stay_as_narrow_as_the_file_has_them_and_compute_as_if_widened(xl: XL, tmp_path: Path) -> None:
    tensors = prefixed("conditioner.embedders.0.model.", open_clip_names(xl[2].state_dict()))
    halves = {name: tensor.half() for name, tensor in tensors.items()}
    narrow = load_text(tmp_path / "half.safetensors", halves, "sdxl_refiner")
    widened = {name: tensor.float() for name, tensor in halves.items()}
    wide = load_text(tmp_path / "full.safetensors", widened, "sdxl_refiner")
    for name, tensor in narrow.state_dict().items():
        assert tensor.dtype == (torch.float16 if tensor.ndim > 1 else torch.float32), name
    got, wanted = encode_clip_g(narrow, PROMPT), encode_clip_g(wide, PROMPT)
    assert torch.equal(got.embedding, wanted.embedding)
    assert torch.equal(got.pooled, wanted.pooled)


def test_patched_matrices_are_summed_in_full_precision(xl: XL, tmp_path: Path) -> None:
    name = "text_model.encoder.layers.0.mlp.fc1.weight"
    tensors = prefixed("conditioner.embedders.0.model.", open_clip_names(xl[2].state_dict()))
    narrow = load_text(
        tmp_path / "half.safetensors", {key: tensor.half() for key, tensor in tensors.items()}, "sdxl_refiner"
    )
    change = torch.full_like(narrow.state_dict()[name], 1e-7, dtype=torch.float32)
    twin = patched_copy(narrow, {name: [(Difference(change), 1.0)]}, torch.float32)
    assert torch.equal(twin.state_dict()[name], narrow.state_dict()[name].float() + change)
    assert encode_clip_g(twin, PROMPT).embedding.isfinite().all()
