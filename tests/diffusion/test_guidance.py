"""Guidance: how often the network is asked, what for, and how its answers are put together."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from engine.diffusion import conditioning as c
from engine.diffusion.guidance import BasicGuider, CFGGuider
from engine.diffusion.model_calls import ControlInput, DiffusionModel, NetworkInputs
from engine.diffusion.prediction import DiscreteSampling
from engine.errors import InputError

SIGMA = 5.0


def latent(batch: int = 1, height: int = 16, width: int = 16) -> torch.Tensor:
    return torch.randn(batch, 4, height, width, generator=torch.Generator().manual_seed(0)) * SIGMA


def ask(guider: CFGGuider | BasicGuider, x: torch.Tensor, sigma: float = SIGMA) -> torch.Tensor:
    return guider.bind(x)(x, torch.full((x.shape[0],), sigma))


def alone(model: DiffusionModel, prompt_: c.Conditioning, x: torch.Tensor) -> torch.Tensor:
    return ask(BasicGuider(model, prompt_), x)


def test_both_sides_share_one_call(model, network, prompt) -> None:
    x = latent(batch=3)
    got = ask(CFGGuider(model, prompt(1.0), prompt(0.2), 7.0), x)
    assert network.batches == [6]
    cond, uncond = alone(model, prompt(1.0), x), alone(model, prompt(0.2), x)
    assert torch.allclose(got, uncond + 7.0 * (cond - uncond), atol=1e-4)


def test_cfg_one_skips_the_negative(model, network, prompt) -> None:
    x = latent()
    got = ask(CFGGuider(model, prompt(1.0), prompt(0.2), 1.0), x)
    assert network.batches == [1]
    assert torch.equal(got, alone(model, prompt(1.0), x))


def test_cfg_pp_gets_the_negative_even_at_cfg_one(model, network, prompt) -> None:
    x = latent()
    denoised, uncond = CFGGuider(model, prompt(1.0), prompt(0.2), 1.0).bind(x).with_uncond(x, torch.full((1,), SIGMA))
    assert network.batches == [2]
    assert torch.allclose(denoised, alone(model, prompt(1.0), x), atol=1e-5)
    assert torch.allclose(uncond, alone(model, prompt(0.2), x), atol=1e-5)


def test_the_network_sees_scaled_latents_and_whole_time_steps(model, network, prompt) -> None:
    x = latent(batch=2)
    alone(model, prompt(1.0), x)
    assert torch.allclose(network.inputs[0], x / (SIGMA**2 + 1) ** 0.5)
    assert torch.equal(network.timesteps[0], DiscreteSampling().timestep(torch.full((2,), SIGMA)))


@pytest.mark.parametrize(("lengths", "calls"), [((77, 77), 1), ((77, 154), 1), ((154, 231), 1), ((77, 385), 2)])
def test_contexts_of_different_length_are_repeated_to_a_common_one(model, network, prompt, lengths, calls) -> None:
    ask(CFGGuider(model, prompt(1.0, lengths[0]), prompt(0.2, lengths[1]), 7.0), latent())
    assert len(network.batches) == calls
    if lengths == (154, 231):
        assert network.contexts[0].shape == (2, 462, 8)


def test_memory_can_forbid_sharing(model, network, prompt) -> None:
    narrow = dataclasses.replace(model, fits=lambda batch, shape: batch <= 2)
    x = latent(batch=2)
    got = ask(CFGGuider(narrow, prompt(1.0), prompt(0.2), 7.0), x)
    assert network.batches == [2, 2]
    assert torch.allclose(got, ask(CFGGuider(model, prompt(1.0), prompt(0.2), 7.0), x), atol=1e-5)


def test_entries_that_overlap_are_averaged_by_strength(model, prompt) -> None:
    x = latent()
    both = c.combine(prompt(1.0), c.set_strength(prompt(0.5), 3.0))
    expected = (alone(model, prompt(1.0), x) + 3 * alone(model, prompt(0.5), x)) / 4
    assert torch.allclose(alone(model, both, x), expected, atol=1e-5)


def test_an_area_changes_only_its_place_and_the_model_sees_only_that(model, network, prompt) -> None:
    x = latent()
    both = c.combine(prompt(1.0), c.set_area(prompt(-1.0), c.Area(8, 8, 8, 8)))
    got = alone(model, both, x)
    base = alone(model, prompt(1.0), x)
    assert {tuple(seen.shape[-2:]) for seen in network.inputs} == {(16, 16), (8, 8)}
    assert torch.allclose(got[..., :8, :], base[..., :8, :], atol=1e-6)
    assert torch.allclose(got[..., :8], base[..., :8], atol=1e-6)
    change = (got - base).abs().amax(dim=(0, 1))[8:, 8:]
    assert change[4, 4] > 0
    # The border inside the latent is soft, two pixels wide on an area of eight; the latent's own edge is not.
    halfway = (base + alone(model, prompt(-1.0), x)) / 2
    assert torch.allclose(got[..., 10:, 10:], halfway[..., 10:, 10:], atol=1e-5)
    assert not torch.allclose(got[..., 8, 10:], halfway[..., 8, 10:], atol=1e-3)


def test_an_area_is_guided_against_the_negative_of_the_same_area(model, network, prompt) -> None:
    both = c.combine(prompt(1.0), c.set_area(prompt(-1.0), c.Area(8, 8, 8, 8)))
    ask(CFGGuider(model, both, prompt(0.2), 7.0), latent())
    seen = sorted((tuple(x.shape[-2:]), x.shape[0]) for x in network.inputs)
    assert seen == [((8, 8), 2), ((16, 16), 2)]


def test_relative_areas_follow_the_latent(model, network, prompt) -> None:
    alone(model, c.set_area(prompt(1.0), c.Area(0.5, 0.25, 0.0, 0.5, relative=True)), latent(1, 16, 32))
    assert network.inputs[0].shape[-2:] == (8, 8)


@pytest.mark.parametrize("area", [c.Area(8, 8, 0, 16), c.Area(8, 8, 20, 0), c.Area(8, 8, -1, 0)])
def test_areas_outside_the_picture_are_explained(model, prompt, area) -> None:
    with pytest.raises(InputError, match="outside"):
        alone(model, c.set_area(prompt(1.0), area), latent())


def test_a_mask_weighs_each_place(model, prompt) -> None:
    x = latent(batch=2)
    left = torch.zeros(128, 128)
    left[:, :64] = 1
    both = c.combine(c.set_mask(prompt(1.0), left), c.set_mask(prompt(0.3), 1 - left))
    got = alone(model, both, x)
    assert torch.allclose(got[..., :7], alone(model, prompt(1.0), x)[..., :7], atol=1e-5)
    assert torch.allclose(got[..., 9:], alone(model, prompt(0.3), x)[..., 9:], atol=1e-5)


def test_a_mask_strength_counts_against_other_entries(model, prompt) -> None:
    x = latent()
    both = c.combine(prompt(1.0), c.set_mask(prompt(0.5), torch.ones(16, 16), 3.0))
    expected = (alone(model, prompt(1.0), x) + 3 * alone(model, prompt(0.5), x)) / 4
    assert torch.allclose(alone(model, both, x), expected, atol=1e-5)


def test_a_mask_can_limit_what_the_model_sees(model, network, prompt) -> None:
    mask = torch.zeros(16, 16)
    mask[2:5, 3:14] = 1
    alone(model, c.set_mask(prompt(1.0), mask, area_to_bounds=True), latent())
    assert network.inputs[0].shape[-2:] == (8, 11)
    alone(model, c.set_mask(prompt(1.0), torch.zeros(16, 16), area_to_bounds=True), latent())
    assert network.inputs[1].shape[-2:] == (8, 8)


def test_time_ranges_switch_prompts(model, prompt) -> None:
    x = latent()
    switched = c.combine(c.set_range(prompt(1.0), 0.0, 0.4), c.set_range(prompt(0.3), 0.4, 1.0))
    sampling = DiscreteSampling()
    early, late = sampling.percent_to_sigma(0.2), sampling.percent_to_sigma(0.7)
    assert torch.equal(ask(BasicGuider(model, switched), x, early), ask(BasicGuider(model, prompt(1.0)), x, early))
    assert torch.equal(ask(BasicGuider(model, switched), x, late), ask(BasicGuider(model, prompt(0.3)), x, late))


def test_where_nothing_acts_the_prediction_is_zero(model, network, prompt) -> None:
    got = ask(BasicGuider(model, c.set_range(prompt(1.0), 0.9, 1.0)), latent(), 14.0)
    assert not got.any()
    assert network.batches == []


class Control:
    """Adds a number to the network's output and remembers what it was asked."""

    def __init__(self) -> None:
        self.requests: list[ControlInput] = []

    def residuals(self, request: ControlInput, /) -> torch.Tensor:
        self.requests.append(request)
        return torch.tensor(0.5)


def test_a_control_acts_on_its_entry_alone(model, network, prompt) -> None:
    control = Control()
    x = latent(batch=2)
    controlled = tuple(dataclasses.replace(entry, control=control) for entry in prompt(1.0))
    ask(CFGGuider(model, controlled, prompt(0.2), 7.0), x)
    assert network.batches == [2, 2]
    (request,) = control.requests
    assert request.x.shape == (2, 4, 16, 16)
    assert torch.allclose(request.scaled, x / (SIGMA**2 + 1) ** 0.5)
    assert request.repeats == 1
    assert [seen is None for seen in network.controls].count(True) == 1


def test_a_control_for_both_sides_is_asked_once(model, network, prompt) -> None:
    control = Control()
    controlled = tuple(
        dataclasses.replace(entry, control=control, control_apply_to_uncond=True) for entry in prompt(1.0)
    )
    ask(CFGGuider(model, controlled, prompt(0.2), 7.0), latent())
    assert network.batches == [2]
    assert [request.repeats for request in control.requests] == [2]


def test_families_decide_what_the_network_is_fed(network, prompt) -> None:
    seen: list[tuple[torch.Tensor, str]] = []

    def inputs(entry, like, role) -> NetworkInputs:
        seen.append((like, role))
        concat = torch.ones(1, 5, *like.shape[-2:])
        return NetworkInputs(entry.embedding, y=entry.pooled, concat=concat, extra={"guidance": torch.ones(1)})

    def predict(x, timestep, context, *, y, control, guidance):
        assert y.shape == (4, 3)
        assert guidance.shape == (4,)
        return network(x, timestep, context, y=y, control=control)

    model = DiffusionModel(predict, DiscreteSampling(), inputs)
    pooled = torch.ones(1, 3)
    ask(CFGGuider(model, prompt(1.0, pooled=pooled), prompt(0.2, pooled=pooled), 7.0), latent(batch=2))
    assert network.inputs[0].shape == (4, 9, 16, 16)
    assert [role for _, role in seen] == ["positive", "negative"]


def test_another_formula_can_combine_the_sides(model, prompt) -> None:
    x = latent()
    guider = CFGGuider(model, prompt(1.0), prompt(0.2), 1.0, combine=lambda terms: terms.uncond)
    assert torch.allclose(ask(guider, x), alone(model, prompt(0.2), x), atol=1e-5)


def test_contexts_of_a_whole_batch_and_of_one_share_a_call(model, network, prompt) -> None:
    x = latent(batch=2)
    two = (dataclasses.replace(prompt(1.0)[0], embedding=torch.stack([torch.ones(77, 8), torch.full((77, 8), 0.5)])),)
    got = ask(CFGGuider(model, two, prompt(0.2), 7.0), x)
    assert network.batches == [4]
    second = ask(CFGGuider(model, prompt(0.5), prompt(0.2), 7.0), x)[1]
    assert torch.allclose(got[1], second, atol=1e-5)
