"""What a CPU does in one pass: as near to float32 as in several."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from engine.networks import one_pass
from engine.networks.attention import GatedProjection
from engine.networks.unet import UNet, UNetConfig

pytestmark = pytest.mark.skipif(not one_pass.is_there(), reason="needs a processor with bfloat16 instructions (x86)")

SIZES = UNetConfig(model_channels=32, channel_mult=(1, 2), num_res_blocks=(1, 1), transformer_depth=(1, 1), num_heads=1)


@pytest.fixture(scope="module")
def network() -> UNet:
    torch.manual_seed(3)
    made = UNet(SIZES).eval().requires_grad_(False)
    for parameter in made.parameters():
        if not parameter.any():
            parameter.copy_(torch.randn(parameter.shape) * 0.05)
    return made


@pytest.fixture(scope="module")
def inputs() -> tuple[Tensor, Tensor, Tensor]:
    torch.manual_seed(4)
    return torch.randn(2, 4, 32, 32), torch.tensor([500.0, 20.0]), torch.randn(2, 77, 768)


def half(network: UNet) -> UNet:
    return copy.deepcopy(network).bfloat16().to(memory_format=torch.channels_last)


def call(network: nn.Module, inputs: tuple[Tensor, Tensor, Tensor]) -> Tensor:
    weight = next(network.parameters())
    x, time, context = inputs
    with torch.inference_mode():
        made: Tensor = network(x.to(weight.dtype), time, context.to(weight.dtype))
    return made


def relative(got: Tensor, expected: Tensor) -> float:
    return float((got.float() - expected).square().mean().sqrt() / expected.square().mean().sqrt())


def test_a_network_in_one_pass_is_as_near_to_float32_as_in_several(
    network: UNet, inputs: tuple[Tensor, Tensor, Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    exact = call(network, inputs)
    fused = call(half(network), inputs)
    monkeypatch.setattr(one_pass, "is_there", lambda: False)
    several = call(half(network), inputs)
    assert not torch.equal(fused, several)  # it was really taken
    assert relative(fused, exact) < 0.02
    assert relative(fused, exact) < 1.2 * relative(several, exact)


def test_a_gate_in_one_pass() -> None:
    torch.manual_seed(0)
    layer = GatedProjection(64, 128).requires_grad_(False)
    x = torch.randn(3, 50, 64)
    expected = layer(x)
    layer.bfloat16()
    with torch.inference_mode():
        got = layer(x.bfloat16())
    assert got.shape == expected.shape
    assert relative(got, expected) < 0.01


def test_a_layer_with_hooks_is_called_as_a_module() -> None:
    """As adapters in training are attached."""
    layer = GatedProjection(32, 32).bfloat16().requires_grad_(False)
    x = torch.randn(4, 32).bfloat16()
    assert not one_pass.is_for(x, layer.proj)  # gradients are recorded
    with torch.inference_mode():
        assert one_pass.is_for(x, layer.proj)
        handle = layer.proj.register_forward_hook(lambda *_: torch.zeros(4, 64, dtype=torch.bfloat16))
        assert not layer(x).any()
        handle.remove()
        assert layer(x).any()
        assert not one_pass.is_for(x.float(), layer.proj)
        assert not one_pass.is_for(x, layer.proj.float())


@pytest.mark.parametrize("tokens", [77, 154, 16])
def test_attention_to_prompts_of_any_length(tokens: int) -> None:
    torch.manual_seed(0)
    query = torch.randn(2, 2, 1024, 40).bfloat16()
    key, value = (torch.randn(2, 2, tokens, 40).bfloat16() for _ in range(2))
    expected = functional.scaled_dot_product_attention(query.float(), key.float(), value.float())
    with torch.inference_mode():
        got = one_pass.attend_to_few(query, key, value)
    assert (got is None) == (tokens % 16 == 0)
    assert got is None or relative(got, expected) < 0.01
