"""Textual inversions: every kind of file, and prompts that name them, equal to transformers' with a longer table."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from engine.errors import PathError, WeightError
from engine.families.prompt_embeddings import read_embeddings
from engine.families.text import encode_clip, encode_clip_l_and_g
from engine.families.tokenizer import clip_tokenizer, tokenize_prompt
from engine.graph.mentions import named_files
from engine.networks.clip_text import ClipText, ClipTextConfig, ProjectedClipText, TextEncoders
from engine.paths import make_folders
from engine.weights.embeddings import read_embedding
from engine.weights.files import save_safetensors

transformers = pytest.importorskip("transformers")
END, VOCABULARY = 49407, 49408
SMALL, LARGE = 64, 128


def reference(width: int, activation: str) -> nn.Module:
    torch.manual_seed(width)
    config = transformers.CLIPTextConfig(
        hidden_size=width,
        intermediate_size=2 * width,
        num_hidden_layers=3,
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


def ours(theirs: nn.Module, width: int, activation: Any) -> ProjectedClipText:
    config = ClipTextConfig(width=width, layers=3, heads=width // 64, hidden=2 * width, activation=activation)
    network = ProjectedClipText(config, width).eval()
    tensors = theirs.state_dict()
    if not any(name.startswith("text_model.") for name in tensors):  # the name of the inside differs between versions
        tensors = {n if n.startswith("text_projection") else f"text_model.{n}": t for n, t in tensors.items()}
    network.load_state_dict({name: t for name, t in tensors.items() if "position_ids" not in name})
    return network


def extended(network: nn.Module, rows: Tensor, ids: list[int]) -> tuple[tuple[Tensor, ...], Tensor]:
    """Return transformers' hidden states and projected pooled state with ``rows`` added to the table of tokens."""
    old = network.get_input_embeddings()
    longer = nn.Embedding(VOCABULARY + len(rows), rows.shape[1])
    longer.weight.data = torch.cat([old.weight.data, rows])
    network.set_input_embeddings(longer)
    with torch.no_grad():
        out = network(torch.tensor([ids]), output_hidden_states=True)
    network.set_input_embeddings(old)
    return out.hidden_states, out.text_embeds


def ids_of(*parts: str | range, padding: int = END) -> list[int]:
    """Return the chunk of texts and of ids beyond the vocabulary."""
    inside = [one for part in parts for one in (clip_tokenizer().encode(part) if isinstance(part, str) else part)]
    whole = [clip_tokenizer().start, *inside, END]
    return whole + [padding] * (77 - len(whole))


@pytest.fixture(scope="module")
def pair() -> tuple[nn.Module, nn.Module, TextEncoders]:
    small, large = reference(SMALL, "quick_gelu"), reference(LARGE, "gelu")
    return small, large, TextEncoders(ours(small, SMALL, "quick_gelu"), ours(large, LARGE, "gelu"))


@pytest.mark.parametrize(
    ("prompt", "names"),
    [
        ("a photo of embedding:cat, sitting", ["cat"]),
        ("(embedding:sub/cat.pt:1.2) and embedding:dog.", ["sub/cat.pt", "dog"]),
        ("embedding:bad_v1.3 (embedding:bad_v1.3)", ["bad_v1.3"]),
        (r"embedding:cat\(v2\) (deep (embedding:x):1.1)", ["cat(v2)", "x"]),
        ("embedding: cat, myembedding:cat, (embedding:1.2), Embedding:cat", []),
        ('say "embedding:cat"!', ["cat"]),
    ],
)
def test_names_in_prompts(prompt: str, names: list[str]) -> None:
    assert list(named_files(prompt)) == names


class Inversion:
    """The files of one embedding with three vectors, in every kind."""

    vectors = torch.randn(3, SMALL, generator=torch.Generator().manual_seed(1))
    large = torch.randn(2, LARGE, generator=torch.Generator().manual_seed(2))

    @classmethod
    def write(cls, path: Path, kind: str) -> None:
        old = nn.ParameterDict({"*": nn.Parameter(cls.vectors)})
        a1111 = {"string_to_token": {"*": 265}, "string_to_param": {"*": cls.vectors}, "name": "cat", "step": 10}
        contents: dict[str, Any] = {
            "a1111": a1111,
            "a1111 original": a1111 | {"string_to_param": old},
            "diffusers": {"<cat>": cls.vectors},
            "emb_params": {"emb_params": cls.vectors},
            "both": {"clip_l": cls.vectors, "clip_g": cls.large},
        }
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix == ".safetensors":
            save_safetensors(path, contents[kind])
        else:
            torch.save(contents[kind], path)


@pytest.mark.parametrize(
    ("kind", "suffix"),
    [
        ("a1111", ".pt"),
        ("a1111 original", ".pt"),
        ("diffusers", ".bin"),
        ("diffusers", ".safetensors"),
        ("emb_params", ".safetensors"),
        ("emb_params", ".pt"),
        ("both", ".safetensors"),
        ("both", ".pt"),
    ],
)
def test_every_kind_of_file_gives_its_vectors(kind: str, suffix: str, tmp_path: Path) -> None:
    Inversion.write(tmp_path / f"cat{suffix}", kind)
    found = read_embedding(tmp_path / f"cat{suffix}", "cat")
    assert torch.equal(found[SMALL], Inversion.vectors)
    assert list(found) == ([SMALL, LARGE] if kind == "both" else [SMALL])


def test_one_vector_may_come_without_its_first_dimension(tmp_path: Path) -> None:
    torch.save({"<cat>": Inversion.vectors[0]}, tmp_path / "cat.bin")
    assert torch.equal(read_embedding(tmp_path / "cat.bin", "cat")[SMALL], Inversion.vectors[:1])


def test_other_files_are_refused_by_name(tmp_path: Path) -> None:
    save_safetensors(tmp_path / "lora.safetensors", {"a.down": torch.ones(4, 8), "b.down": torch.ones(4, 8)})
    with pytest.raises(WeightError, match="lora is not a textual inversion"):
        read_embedding(tmp_path / "lora.safetensors", "lora")
    torch.save({"string_to_param": {"*": print}}, tmp_path / "code.pt")
    with pytest.raises(WeightError, match=r"code\.pt is refused"):
        read_embedding(tmp_path / "code.pt", "code")


def test_a_prompt_equals_transformers_with_a_longer_table(pair: Any, tmp_path: Path) -> None:
    small, _, network = pair
    Inversion.write(tmp_path / "models/embeddings/sub/cat.pt", "a1111")
    folders = make_folders(tmp_path)
    prompt = "a photo of embedding:sub/cat, on a table"
    embeddings = read_embeddings(lambda name: folders.resolve("embeddings", name), prompt)
    ids = ids_of("a photo of", range(VOCABULARY, VOCABULARY + 3), ", on a table")
    hidden, _ = extended(small, Inversion.vectors, ids)
    clip = network.clip_l.text_model
    assert isinstance(clip, ClipText)
    with torch.no_grad():
        wanted = clip.final_layer_norm(hidden[-1])
    got = encode_clip(clip, prompt, 0, embeddings)
    torch.testing.assert_close(got.embedding, wanted, rtol=1e-5, atol=1e-5)
    end = ids.index(END)
    assert got.pooled is not None
    torch.testing.assert_close(got.pooled, wanted[:, end], rtol=1e-5, atol=1e-5)


def test_both_encoders_of_xl_read_their_own_vectors(pair: Any, tmp_path: Path) -> None:
    small, large, network = pair
    Inversion.write(tmp_path / "cat.safetensors", "both")
    embeddings = read_embeddings(lambda name: tmp_path / f"{name}.safetensors", "embedding:cat")
    got = encode_clip_l_and_g(network, ("red embedding:cat", "embedding:cat blue"), 0, embeddings)
    hidden_l, _ = extended(small, Inversion.vectors, ids_of("red", range(VOCABULARY, VOCABULARY + 3)))
    ids_g = ids_of(range(VOCABULARY, VOCABULARY + 2), "blue", padding=0)
    hidden_g, pooled = extended(large, Inversion.large, ids_g)
    wanted = torch.cat([hidden_l[-2], hidden_g[-2]], dim=-1)
    torch.testing.assert_close(got.embedding, wanted, rtol=1e-5, atol=1e-5)
    assert got.pooled is not None
    torch.testing.assert_close(got.pooled, pooled, rtol=1e-5, atol=1e-5)


def test_a_file_for_one_encoder_of_xl_is_left_out_of_the_other(pair: Any, caplog: pytest.LogCaptureFixture) -> None:
    network = pair[2]
    embeddings = {"cat": {SMALL: Inversion.vectors}}
    got = encode_clip_l_and_g(network, ("embedding:cat", "red embedding:cat"), 0, embeddings)
    plain = encode_clip_l_and_g(network, ("", "red"))
    assert torch.equal(got.embedding[..., SMALL:], plain.embedding[..., SMALL:])
    assert not torch.equal(got.embedding[..., :SMALL], plain.embedding[..., :SMALL])
    assert "cat has no vectors for the text encoder 128 wide" in caplog.text


def test_the_wrong_width_is_refused_with_both(pair: Any) -> None:
    with pytest.raises(WeightError, match="embedding cat was made for another kind of model") as caught:
        encode_clip(pair[2].clip_l.text_model, "embedding:cat", 0, {"cat": {1024: torch.ones(1, 1024)}})
    problem = caught.value.problem
    assert "(Stable Diffusion 2)" in problem.message
    assert problem.expected is not None and "64 wide" in problem.expected and problem.got == "1024 wide"


def test_weights_and_chunks() -> None:
    def cut(prompt: str, rows: int) -> list[list[tuple[int, float]]]:
        chunks = tokenize_prompt(clip_tokenizer(), prompt, inserted={"cat": range(VOCABULARY, VOCABULARY + rows)})
        return [[(token.id, token.weight) for token in chunk if token.id not in (END, END - 1)] for chunk in chunks]

    red, comma = clip_tokenizer().encode("red,")
    assert cut("(embedding:cat:1.2), red", 2) == [
        [(VOCABULARY, 1.2), (VOCABULARY + 1, 1.2), (comma, 1.0), (red, 1.0)],
    ]
    short = cut("red " * 72 + "embedding:cat", 5)  # does not fit, and is short enough to start the next chunk whole
    assert [len(chunk) for chunk in short] == [72, 5]
    long = cut("red " * 72 + "embedding:cat", 80)
    assert [len(chunk) for chunk in long] == [75, 75, 2]
    assert cut("embedding:dog", 1) == [[]]


def test_names_are_resolved_with_and_without_ending(tmp_path: Path) -> None:
    for name in ("cat.pt", "sub/dog.safetensors", "bad_v1.3.bin"):
        Inversion.write(tmp_path / "models/embeddings" / name, "diffusers")
    (tmp_path / "models/embeddings/folder").mkdir()
    folders = make_folders(tmp_path)
    for name, file in (
        ("cat", "cat.pt"),
        ("cat.pt", "cat.pt"),
        ("sub/dog", "dog.safetensors"),
        ("sub\\dog", "dog.safetensors"),
        ("bad_v1.3", "bad_v1.3.bin"),
    ):
        assert folders.resolve("embeddings", name).name == file
    for name in ("Cat", "folder", "../embeddings/cat"):
        with pytest.raises(PathError):
            folders.resolve("embeddings", name)
