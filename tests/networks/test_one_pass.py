"""What a CPU does in one pass, and packed weights: near float32, and packed to the very bits of plain ones."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from engine.networks import one_pass
from engine.networks.attention import GatedProjection
from engine.networks.packed import PackedConv2d, PackedLinear, can_pack, pack, plain, set_weight
from engine.networks.unet import UNet, UNetConfig

pytestmark = pytest.mark.skipif(not can_pack(), reason="needs a processor with bfloat16 instructions (x86)")

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


def test_packed_weights_give_the_same_bits(network: UNet, inputs: tuple[Tensor, Tensor, Tensor]) -> None:
    ordinary, packed = half(network), pack(half(network))
    kinds = [type(module) for module in packed.modules()]
    assert kinds.count(PackedConv2d) > 10 < kinds.count(PackedLinear)
    assert torch.equal(call(ordinary, inputs), call(packed, inputs))
    odd = (torch.randn(1, 4, 11, 19), inputs[1][:1], inputs[2][:1, :5])  # sizes that divide by nothing
    assert torch.equal(call(ordinary, odd), call(packed, odd))
    before, after = ordinary.state_dict(), packed.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], plain(tensor)) for name, tensor in after.items())


def test_a_new_weight_is_packed(network: UNet, inputs: tuple[Tensor, Tensor, Tensor]) -> None:
    ordinary, packed = half(network), pack(half(network))
    for name in ("input_blocks.1.0.in_layers.2.weight", "middle_block.1.transformer_blocks.0.attn1.to_q.weight"):
        weight = ordinary.get_parameter(name)
        weight.mul_(1.5)
        set_weight(packed, name, weight)
    assert torch.equal(call(ordinary, inputs), call(packed, inputs))


def test_float32_is_left_alone(network: UNet) -> None:
    made = pack(copy.deepcopy(network))
    assert not any(tensor.is_mkldnn for tensor in made.state_dict().values())
