"""What a CPU does in one pass: as near to float32 as in several."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from engine.networks import one_pass
from engine.networks.attention import Attention, GatedProjection
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


def heads(tokens: int, width: int, sharpness: float = 1.0) -> tuple[Tensor, Tensor, Tensor]:
    """Return what the layers of a network hand on: query, already scaled, key and value, [2, 3, N, d]."""
    torch.manual_seed(0)
    asked = torch.randn(2, 1024, 3 * width) * sharpness * width**-0.5
    told = (torch.randn(2, tokens, 3 * width) for _ in range(2))
    query, key, value = (one.bfloat16().unflatten(-1, (3, width)).transpose(1, 2) for one in (asked, *told))
    return query, key, value


def plain(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    return functional.scaled_dot_product_attention(query.double(), key.double(), value.double(), scale=1.0)


@pytest.mark.parametrize("width", [40, 64, 80, 160])
@pytest.mark.parametrize("tokens", [16, 77, 1024, 5000])
def test_attention_of_any_size(tokens: int, width: int) -> None:
    taken = heads(tokens, width)
    with torch.inference_mode():
        got = one_pass.attend(*taken)
    assert got is not None
    assert relative(got, plain(*taken)) < 0.004
    assert got.transpose(1, 2).is_contiguous()  # heads lie side by side again without a copy


@pytest.mark.parametrize("sharpness", [0.0, 0.1, 3.0, 8.0, 15.0, 60.0, 1000.0])
def test_attention_of_any_sharpness(sharpness: float) -> None:
    """From 8 on some rows, in the end all, need more range than the numbers have."""
    taken = heads(2048, 40, sharpness)
    with torch.inference_mode():
        got = one_pass.attend(*taken)
        fused = functional.scaled_dot_product_attention(*taken, scale=1.0)
    assert got is not None
    assert relative(got, plain(*taken)) < max(0.004, 1.5 * relative(fused, plain(*taken)))


def test_what_all_keys_have_in_common_costs_no_range(monkeypatch: pytest.MonkeyPatch) -> None:
    query, key, value = heads(512, 64, 3.0)
    key = key + 40 * torch.randn(64).bfloat16()
    monkeypatch.setattr(one_pass, "scaled_dot_product_attention", lambda *_, **__: pytest.fail("rows were lost"))
    with torch.inference_mode():
        got = one_pass.attend(query, key, value)
    assert got is not None
    assert relative(got, plain(query, key, value)) < 0.004


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_a_row_that_is_no_number_stays_so_alone(number: float) -> None:
    query, key, value = heads(77, 64)
    query[1, 2, 3, 4] = number
    with torch.inference_mode():
        got = one_pass.attend(query, key, value)
    assert got is not None
    assert got[1, 2, 3].isnan().all()
    assert got.isfinite().all(-1).sum() == 2 * 3 * 1024 - 1


def test_a_layer_whose_peaks_are_too_sharp_computes_all_the_same() -> None:
    torch.manual_seed(0)
    layer = Attention(128, 128, 2).requires_grad_(False)
    layer.to_q.weight *= 100
    x = torch.randn(1, 512, 128)
    expected = layer(x)
    layer.bfloat16()
    with torch.inference_mode():
        assert relative(layer(x.bfloat16()), expected) < 0.1  # scores of a thousand, in bfloat16


def test_a_projection_is_rounded_once() -> None:
    torch.manual_seed(0)
    layer = nn.Linear(320, 80, bias=False).bfloat16().requires_grad_(False)
    x = torch.randn(2, 300, 320).bfloat16()
    exact = functional.linear(x.double(), layer.weight.double()) * 40**-0.5
    with torch.inference_mode():
        got = one_pass.scaled_projection(x, layer, 40**-0.5)
    assert relative(got, exact) < 1.02 * relative(exact.bfloat16(), exact)
