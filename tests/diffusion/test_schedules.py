"""Schedules against the reference, and what the ecosystem's KSampler makes of them."""

from __future__ import annotations

import json
import math

import pytest
import torch

from engine.diffusion.names import SCHEDULES
from engine.diffusion.prediction import DiscreteSampling, FlowSampling, ModelSampling
from engine.diffusion.schedules import (
    beta_sigmas,
    denoise_sigmas,
    exponential_sigmas,
    karras_sigmas,
    make_sigmas,
    split,
    split_denoise,
)
from engine.errors import InputError

MODELS: dict[str, ModelSampling] = {"sd": DiscreteSampling(), "flow3": FlowSampling()}


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_equals_the_reference(schedule: str, reference) -> None:
    sigmas = json.loads((reference / "sigmas.json").read_text(encoding="utf-8"))["sigmas"]
    cases = {key: value for key, value in sigmas.items() if key.startswith(schedule + "/")}
    assert len(cases) == 12
    for key, expected in cases.items():
        if not isinstance(expected, list) or any(math.isnan(value) for value in expected):
            continue
        _, model, steps = key.split("/")
        got = make_sigmas(schedule, MODELS[model], int(steps)).tolist()
        assert got == pytest.approx(expected, rel=1e-4, abs=1e-7), key


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("steps", [1, 2, 3, 7, 50, 999, 1000])
def test_goes_down_to_zero(schedule: str, model: str, steps: int) -> None:
    sigmas = make_sigmas(schedule, MODELS[model], steps)
    assert sigmas.dtype == torch.float32
    assert torch.isfinite(sigmas).all()
    assert sigmas[-1] == 0
    assert (sigmas.diff() <= 0).all()
    if schedule not in ("ddim_uniform", "beta"):
        assert len(sigmas) == steps + 1


def test_part_of_the_way_keeps_the_end_of_a_longer_schedule() -> None:
    whole = make_sigmas("normal", DiscreteSampling(), 40)
    part = denoise_sigmas("normal", DiscreteSampling(), 20, 0.5)
    assert torch.equal(part, whole[-21:])
    assert torch.equal(denoise_sigmas("normal", DiscreteSampling(), 40, 1.0), whole)
    assert torch.equal(
        denoise_sigmas("karras", DiscreteSampling(), 3, 0.9), make_sigmas("karras", DiscreteSampling(), 3)
    )
    assert denoise_sigmas("normal", DiscreteSampling(), 20, 0.0).numel() == 0


@pytest.mark.parametrize("sampler", ["dpm_2", "dpm_2_ancestral", "uni_pc", "uni_pc_bh2"])
def test_some_samplers_lose_the_second_last_sigma(sampler: str) -> None:
    longer = make_sigmas("normal", DiscreteSampling(), 11)
    got = denoise_sigmas("normal", DiscreteSampling(), 10, 1.0, sampler)
    assert torch.equal(got, torch.cat([longer[:-2], longer[-1:]]))
    assert len(got) == 11


def test_node_schedules() -> None:
    model = DiscreteSampling()
    assert torch.allclose(karras_sigmas(20, model.sigma_min, model.sigma_max), make_sigmas("karras", model, 20))
    logs = exponential_sigmas(5, 0.1, 10.0)[:-1].log().diff()
    assert torch.allclose(logs, logs[0].expand_as(logs), atol=1e-5)
    uniform = beta_sigmas(model, 10, alpha=1.0, beta=1.0)
    assert torch.allclose(uniform, make_sigmas("simple", model, 10), rtol=0.02)


def test_splitting() -> None:
    sigmas = torch.tensor([4.0, 3.0, 2.0, 1.0, 0.0])
    high, low = split(sigmas, 2)
    assert (high.tolist(), low.tolist()) == ([4.0, 3.0, 2.0], [2.0, 1.0, 0.0])
    high, low = split_denoise(sigmas, 0.25)
    assert (high.tolist(), low.tolist()) == ([4.0, 3.0, 2.0, 1.0], [1.0, 0.0])


def test_mistakes_are_explained() -> None:
    with pytest.raises(InputError, match="no schedule"):
        make_sigmas("karas", DiscreteSampling(), 5)
    with pytest.raises(InputError, match="at least one step"):
        make_sigmas("karras", DiscreteSampling(), 0)
