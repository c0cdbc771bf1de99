"""Rules of guidance against diffusers where it has them, else against their formulas in another form."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from torch import Tensor

from engine.diffusion import conditioning as c
from engine.diffusion.guidance import CFGGuider, GuidanceTerms, ThreeSidedGuider, classifier_free
from engine.diffusion.guidance_rules import (
    GuidanceChain,
    NormLimit,
    OperatedGuidance,
    RescaledGuidance,
    damp_tangent,
    nested_guidances,
    perpendicular_negative,
    towards_positive,
    two_guidances,
)
from engine.diffusion.latent_operations import TonemapReinhard
from engine.diffusion.prediction import DiscreteSampling

SHAPE = (2, 4, 6, 5)


@pytest.fixture
def terms() -> GuidanceTerms:
    draw = torch.Generator().manual_seed(3)
    cond, uncond, x = (torch.randn(SHAPE, generator=draw) for _ in range(3))
    return GuidanceTerms(cond, uncond, 6.0, x * 3, torch.tensor([2.5, 0.7]))


@pytest.mark.parametrize("multiplier", [0.0, 0.7, 1.0])
def test_rescaling_equals_diffusers_on_a_velocity_model(multiplier: float) -> None:
    module = pytest.importorskip("diffusers.pipelines.stable_diffusion.pipeline_stable_diffusion")
    draw = torch.Generator().manual_seed(4)
    cond, uncond, x = (torch.randn(SHAPE, generator=draw) for _ in range(3))
    sigma, sampling = torch.tensor([9.0, 0.4]), DiscreteSampling("v")
    expected = module.rescale_noise_cfg(uncond + 7.5 * (cond - uncond), cond, multiplier)
    both = (sampling.denoised(output, x, sigma) for output in (cond, uncond))
    got = RescaledGuidance(multiplier)(GuidanceTerms(*both, 7.5, x, sigma))
    torch.testing.assert_close(got, sampling.denoised(expected, x, sigma), rtol=1e-4, atol=1e-4)
    if multiplier == 0:
        plain = uncond + 7.5 * (cond - uncond)
        torch.testing.assert_close(got, sampling.denoised(plain, x, sigma), rtol=1e-4, atol=1e-4)


def test_the_norm_limit_shortens_only_what_is_longer(terms: GuidanceTerms) -> None:
    guided = torch.cat([terms.cond[:1] * 3, terms.cond[1:] * 0.5])
    got = NormLimit(2.0)(terms, guided)
    torch.testing.assert_close(got[:1], terms.cond[:1] * 2)
    torch.testing.assert_close(got[1:], terms.cond[1:])


def test_agreement_keeps_guidance_and_opposition_keeps_the_positive(terms: GuidanceTerms) -> None:
    same = dataclasses.replace(terms, uncond=terms.cond)
    guided = terms.cond * terms.cfg
    torch.testing.assert_close(towards_positive(same, guided), guided)
    opposed = dataclasses.replace(terms, uncond=-terms.cond)
    torch.testing.assert_close(towards_positive(opposed, guided * 0.5), terms.cond * terms.cfg)


def test_damping_keeps_the_shared_direction(terms: GuidanceTerms) -> None:
    """Two scores of equal length share the direction of their sum, if they do not oppose each other."""
    cond, uncond = (terms.x - side for side in (terms.cond, terms.uncond))
    uncond = uncond * (cond.flatten(1).norm(dim=1) / uncond.flatten(1).norm(dim=1)).reshape(-1, 1, 1, 1)
    main = torch.nn.functional.normalize((cond + uncond).flatten(1), dim=1)
    expected = ((uncond.flatten(1) * main).sum(1, keepdim=True) * main).reshape(SHAPE)
    got = damp_tangent(dataclasses.replace(terms, uncond=terms.x - uncond))
    torch.testing.assert_close(got.x - got.uncond, expected, rtol=1e-4, atol=1e-4)
    assert torch.equal(got.cond, terms.cond)


def test_a_negative_along_the_positive_changes_nothing(terms: GuidanceTerms) -> None:
    direction = terms.cond - terms.uncond
    along = perpendicular_negative(terms, terms.uncond + 0.3 * direction, 2.0)
    torch.testing.assert_close(along, classifier_free(terms), rtol=1e-4, atol=1e-4)
    across = torch.randn(SHAPE, generator=torch.Generator().manual_seed(8))
    flat, base = across.flatten(1), direction.flatten(1)
    across = (flat - (flat * base).sum(1, True) / (base * base).sum(1, True) * base).reshape(SHAPE)
    got = perpendicular_negative(terms, terms.uncond + across + 0.5 * direction, 2.0)
    expected = terms.uncond + terms.cfg * (direction - 2.0 * across)
    torch.testing.assert_close(got, expected, rtol=1e-4, atol=1e-4)


def test_items_of_a_batch_do_not_see_each_other(terms: GuidanceTerms) -> None:
    def first(tensor: Tensor) -> Tensor:
        return tensor[:1]

    alone = GuidanceTerms(first(terms.cond), first(terms.uncond), terms.cfg, first(terms.x), first(terms.sigma))
    chain = GuidanceChain((damp_tangent,), RescaledGuidance(0.7), (NormLimit(1.0), towards_positive))
    torch.testing.assert_close(chain(terms)[:1], chain(alone), rtol=1e-4, atol=1e-5)
    third = terms.cond.flip(1)
    torch.testing.assert_close(
        perpendicular_negative(terms, third, 1.0)[:1], perpendicular_negative(alone, third[:1], 1.0)
    )


def test_rules_act_in_order(terms: GuidanceTerms) -> None:
    chain = GuidanceChain(after=(NormLimit(1.0), lambda _, guided: guided + 1))
    torch.testing.assert_close(chain(terms), NormLimit(1.0)(terms, classifier_free(terms)) + 1)


def test_a_rule_asks_for_both_sides_even_at_cfg_one(model, network, prompt) -> None:
    x = torch.randn(1, 4, 16, 16)
    guider = CFGGuider(model, prompt(1.0), prompt(0.2), 1.0, GuidanceChain(rule=RescaledGuidance(0.7)))
    guider.bind(x)(x, torch.full((1,), 5.0))
    assert network.batches == [2]


@pytest.mark.parametrize("rule", [two_guidances, nested_guidances])
def test_three_sides_share_one_call(model, network, prompt, rule) -> None:
    x, sigma = torch.randn(2, 4, 16, 16), torch.full((2,), 5.0)
    sides = prompt(1.0), prompt(-0.5), prompt(0.3)
    guider = ThreeSidedGuider(model, *sides, 4.0, lambda terms, third: rule(terms, third, 3.0))
    got, uncond = guider.bind(x).with_uncond(x, sigma)
    assert network.batches == [6]
    pos, neg, mid = (CFGGuider(model, side, side, 1.0).bind(x)(x, sigma) for side in sides)
    expected = -2 * neg + 3 * mid + 4 * (pos - mid) if rule is two_guidances else -2 * neg + 3 * (4 * pos - 3 * mid)
    torch.testing.assert_close(got, expected, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(uncond, neg)


def test_areas_reach_the_third_side(model, network, prompt) -> None:
    x = torch.randn(1, 4, 16, 16)
    both = c.combine(prompt(1.0), c.set_area(prompt(-1.0), c.Area(8, 8, 8, 8)))
    guider = ThreeSidedGuider(model, both, prompt(0.2), prompt(0.4), 4.0, lambda terms, third: third)
    guider.bind(x)(x, torch.full((1,), 5.0))
    assert sorted((tuple(seen.shape[-2:]), seen.shape[0]) for seen in network.inputs) == [((8, 8), 3), ((16, 16), 3)]


def test_an_operation_acts_on_what_the_positive_side_adds(terms: GuidanceTerms) -> None:
    tone = TonemapReinhard(0.5)
    made = GuidanceChain((OperatedGuidance(tone),), classifier_free, ())(terms)
    added = tone.apply(terms.cond - terms.uncond)
    torch.testing.assert_close(made, terms.uncond + terms.cfg * added)
