"""The algebra of adapters against explicit formulas, and against the networks that peft makes of the same factors."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from engine.weights.adapters.applying import effective_weight, merge_sets, patched_copy, patched_weight
from engine.weights.adapters.difference import Difference
from engine.weights.adapters.low_rank import LowRank, low_rank_shape

EXACT = {"rtol": 1e-6, "atol": 1e-6}


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def linear(alpha: float | None = 3.0, magnitude: Tensor | None = None) -> tuple[Tensor, LowRank]:
    return torch.randn(6, 5), LowRank(torch.randn(6, 2), torch.randn(2, 5), alpha, magnitude=magnitude)


@pytest.mark.parametrize(("alpha", "scale"), [(None, 1.0), (2.0, 1.0), (3.0, 1.5), (0.5, 0.25)])
@pytest.mark.parametrize("strength", [1.0, 0.7, -2.0])
def test_linear(alpha: float | None, scale: float, strength: float) -> None:
    weight, adapter = linear(alpha)
    before = weight.clone()
    got = effective_weight(weight, adapter, strength)
    torch.testing.assert_close(got, weight + strength * scale * (adapter.up @ adapter.down), **EXACT)
    assert torch.equal(weight, before)


@pytest.mark.parametrize("kernel", [1, 3])
def test_convolution_is_down_then_up(kernel: int) -> None:
    """The change of a weight does to a picture what the two convolutions do one after the other."""
    weight = torch.zeros(6, 5, kernel, kernel)
    adapter = LowRank(torch.randn(6, 2, 1, 1), torch.randn(2, 5, kernel, kernel), 2.0)
    x = torch.randn(1, 5, 8, 8)
    expected = functional.conv2d(functional.conv2d(x, adapter.down), adapter.up)
    got = functional.conv2d(x, effective_weight(weight, adapter, 1.0))
    torch.testing.assert_close(got, expected, rtol=1e-5, atol=1e-5)


def test_tucker_is_down_then_mid_then_up() -> None:
    down, mid, up = torch.randn(2, 5, 1, 1), torch.randn(3, 2, 3, 3), torch.randn(6, 3, 1, 1)
    x = torch.randn(1, 5, 8, 8)
    expected = functional.conv2d(functional.conv2d(functional.conv2d(x, down), mid), up)
    weight = effective_weight(torch.zeros(6, 5, 3, 3), LowRank(up, down, 1.0, mid), 1.0)
    torch.testing.assert_close(functional.conv2d(x, weight), expected * (1.0 / 2.0), rtol=1e-5, atol=1e-5)


def test_linear_factors_on_a_pointwise_convolution() -> None:
    weight, adapter = linear()
    got = effective_weight(weight[..., None, None], adapter, 0.7)
    torch.testing.assert_close(got[..., 0, 0], effective_weight(weight, adapter, 0.7), rtol=0, atol=0)


@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("strength", [1.0, 0.4])
def test_dora_scales_rows_or_columns(axis: int, strength: float) -> None:
    magnitude = torch.rand(6, 1) if axis == 0 else torch.rand(1, 5)
    weight, adapter = linear(magnitude=magnitude)
    changed = weight + 1.5 * (adapter.up @ adapter.down)
    full = changed * magnitude / changed.norm(dim=1 - axis, keepdim=True)
    got = effective_weight(weight, adapter, strength)
    torch.testing.assert_close(got, weight + strength * (full - weight), **EXACT)


def test_differences_of_weights_and_biases() -> None:
    for shape in ((6, 5, 3, 3), (6,)):
        weight, values = torch.randn(shape), torch.randn(shape)
        torch.testing.assert_close(effective_weight(weight, Difference(values), -0.5), weight - 0.5 * values, **EXACT)


def test_sums_are_made_in_float32_and_rounded_once() -> None:
    weight = torch.ones(1, 1, dtype=torch.float16)
    small = Difference(torch.full((1, 1), 2.0**-12))  # a third of what float16 can add to 1
    assert patched_weight(weight, [(small, 1.0)]).item() == 1.0
    assert patched_weight(weight, [(small, 1.0)] * 4).item() == 1.0 + 2.0**-10
    assert patched_weight(weight, [(small, 1.0)]).dtype == torch.float16


def test_two_adapters_in_either_order() -> None:
    weight, first = linear()
    second = linear(magnitude=torch.rand(6))[1]
    there = patched_weight(weight, [(first, 0.3), (second, 0.8)])
    back = patched_weight(weight, [(second, 0.8), (first, 0.3)])
    torch.testing.assert_close(there, back, **EXACT)
    alone = effective_weight(weight, first, 0.3) + effective_weight(weight, second, 0.8) - weight
    torch.testing.assert_close(there, alone, **EXACT)


def test_a_patched_copy_shares_what_is_not_patched() -> None:
    network = nn.Sequential(nn.Linear(5, 6), nn.LayerNorm(6)).requires_grad_(False)
    kept = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    adapter = LowRank(torch.randn(6, 2), torch.randn(2, 5))
    twin = patched_copy(network, merge_sets([({"0.weight": [adapter]}, 1.0)]), torch.float32)
    theirs, ours = network.state_dict(), twin.state_dict()
    assert all(torch.equal(theirs[name], tensor) for name, tensor in kept.items())
    assert [name for name in ours if ours[name].data_ptr() != theirs[name].data_ptr()] == ["0.weight"]
    assert torch.equal(ours["0.weight"], effective_weight(kept["0.weight"], adapter, 1.0))
    assert not twin.training and not any(parameter.requires_grad for parameter in twin.parameters())


@pytest.mark.parametrize(
    ("up", "down", "mid", "expected"),
    [
        ((6, 2), (2, 5), None, (6, 5)),
        ((6, 2, 1, 1), (2, 5, 3, 3), None, (6, 45)),
        ((6, 3, 1, 1), (2, 5, 1, 1), (3, 2, 3, 3), (6, 45)),
        ((6, 3), (2, 5), None, None),
        ((6, 2, 3, 3), (2, 5, 3, 3), None, None),
        ((6, 2), (2, 5), (2, 3, 3, 3), None),
        ((6, 0), (0, 5), None, None),
        ((6,), (2, 5), None, None),
    ],
)
def test_shapes_that_belong_together(
    up: tuple[int, ...], down: tuple[int, ...], mid: tuple[int, ...] | None, expected: tuple[int, ...] | None
) -> None:
    assert low_rank_shape(up, down, mid) == expected


class _Both(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(5, 6)
        self.conv = nn.Conv2d(3, 4, 3)


@pytest.mark.parametrize("is_dora", [False, True])
def test_peft_merges_to_the_same_weights(is_dora: bool) -> None:
    peft = pytest.importorskip("peft")
    theirs = _Both()
    before = {name: tensor.clone() for name, tensor in theirs.state_dict().items()}
    settings = peft.LoraConfig(r=2, lora_alpha=3, target_modules=["linear", "conv"], use_dora=is_dora)
    model = peft.get_peft_model(theirs, settings)
    with torch.no_grad():
        for parameter in (p for p in model.parameters() if p.requires_grad):
            parameter.copy_(torch.rand_like(parameter) + 0.1)
    found = peft.get_peft_model_state_dict(model)
    merged = model.merge_and_unload().state_dict()
    for name in ("linear", "conv"):
        stem = f"base_model.model.{name}."
        magnitude = found[f"{stem}lora_magnitude_vector"].reshape(-1) if is_dora else None
        adapter = LowRank(found[f"{stem}lora_B.weight"], found[f"{stem}lora_A.weight"], 3.0, magnitude=magnitude)
        got = effective_weight(before[f"{name}.weight"], adapter, 1.0)
        torch.testing.assert_close(got, merged[f"{name}.weight"], **EXACT)
        assert (got - before[f"{name}.weight"]).abs().max() > 0.01


@pytest.mark.parametrize("kind", ["low rank", "tucker", "dora", "difference"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_order_of_a_weight_in_memory_makes_no_difference(kind: str, dtype: torch.dtype) -> None:
    torch.manual_seed(5)
    weight = torch.randn(40, 24, 3, 3).to(dtype)
    adapter = {
        "low rank": LowRank(torch.randn(40, 4, 1, 1), torch.randn(4, 24, 3, 3), alpha=2.0),
        "tucker": LowRank(torch.randn(40, 4, 1, 1), torch.randn(4, 24, 1, 1), mid=torch.randn(4, 4, 3, 3)),
        "dora": LowRank(torch.randn(40, 4, 1, 1), torch.randn(4, 24, 3, 3), magnitude=torch.rand(40, 1, 1, 1) + 0.5),
        "difference": Difference(torch.randn(40, 24, 3, 3)),
    }[kind]
    last = weight.contiguous(memory_format=torch.channels_last)
    made = patched_weight(last, [(adapter, 0.7), (adapter, -0.2)])
    assert made.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(made, patched_weight(weight, [(adapter, 0.7), (adapter, -0.2)]))
