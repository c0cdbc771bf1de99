"""The text encoder: equal to transformers' from the same weights, and the weights of prompts."""

from __future__ import annotations

import pytest
import torch

from engine.families.text import CutPrompt, encode_chunks, encode_clip
from engine.families.tokenizer import Token, clip_tokenizer, tokenize_prompt
from engine.networks.clip_text import ClipText, ClipTextConfig

CONFIG = ClipTextConfig(vocabulary=49408, width=64, layers=3, heads=2, hidden=128)


@pytest.fixture(scope="module")
def network() -> ClipText:
    torch.manual_seed(0)
    return ClipText(CONFIG).eval()


@pytest.mark.parametrize("activation", ["quick_gelu", "gelu"])
def test_equal_to_transformers(activation: str) -> None:
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(1)
    theirs = transformers.CLIPTextModel(
        transformers.CLIPTextConfig(
            hidden_size=64,
            intermediate_size=128,
            num_hidden_layers=3,
            num_attention_heads=2,
            hidden_act=activation,
            eos_token_id=49407,
        )
    ).eval()
    ours = ClipText(
        ClipTextConfig(width=64, layers=3, heads=2, hidden=128, activation=activation)  # type: ignore[arg-type]
    ).eval()
    weights = {name.removeprefix("text_model."): value for name, value in theirs.state_dict().items()}
    ours.load_state_dict({name: value for name, value in weights.items() if not name.endswith("position_ids")})
    tokens = torch.tensor([[token.id for token in tokenize_prompt(clip_tokenizer(), "a red cat")[0]]])
    with torch.no_grad():
        expected = theirs(tokens, output_hidden_states=True)
        hidden, pooled = ours(tokens)
        torch.testing.assert_close(hidden, expected.last_hidden_state, rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(pooled, expected.pooler_output, rtol=1e-5, atol=1e-5)
        for skip in (-2, -3):  # hidden_states starts with the embeddings
            skipped = ours.final_layer_norm(expected.hidden_states[skip])
            torch.testing.assert_close(ours(tokens, skip)[0], skipped, rtol=1e-5, atol=1e-5)


def test_skipping_more_layers_than_there_are_means_the_last(network: ClipText) -> None:
    tokens = torch.tensor([[49406, 320, 49407]])
    with torch.no_grad():
        last = network(tokens, -1)[0]
        assert torch.equal(network(tokens, -24)[0], last)
        assert not torch.equal(network(tokens, -3)[0], last)
        assert torch.equal(network(tokens, -3)[1], network(tokens, -1)[1])  # pooled stays that of the last layer


def test_weights_interpolate_from_the_empty_prompt(network: ClipText) -> None:
    plain = encode_clip(network, "a red cat").embedding
    empty = encode_clip(network, "").embedding
    weighted = encode_clip(network, "a (red:1.5) cat").embedding
    place = 2  # start, a, red
    torch.testing.assert_close(weighted[0, place], empty[0, place] + 1.5 * (plain[0, place] - empty[0, place]))
    others = [index for index in range(77) if index != place]
    assert torch.equal(weighted[0, others], plain[0, others])
    nothing = encode_clip(network, "a (red:0.0) cat").embedding
    torch.testing.assert_close(nothing[0, place], empty[0, place])


def test_long_prompts_are_chunks_side_by_side(network: ClipText) -> None:
    encoding = encode_clip(network, "cat " * 100)
    assert encoding.embedding.shape == (1, 154, 64)
    assert encoding.pooled is not None and encoding.pooled.shape == (1, 64)
    torch.testing.assert_close(encoding.embedding[:, :77], encode_clip(network, "cat " * 75).embedding)
    torch.testing.assert_close(encoding.embedding[:, 77:], encode_clip(network, "cat " * 25).embedding)
    torch.testing.assert_close(encoding.pooled, encode_clip(network, "cat " * 75).pooled)


def test_result_is_a_plain_tensor(network: ClipText) -> None:
    encoding = encode_chunks(network, CutPrompt([[Token(49406), Token(49407)]], [Token(49406), Token(49407)]))
    assert not encoding.embedding.is_inference() and not encoding.embedding.requires_grad
    assert encoding.embedding.dtype == torch.float32
