"""Whole runs: what KSampler and KSamplerAdvanced promise."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from engine.diffusion.guidance import BasicGuider, CFGGuider
from engine.diffusion.latents import SD15, Latent, LatentFormat, empty_latent
from engine.diffusion.model_calls import DiffusionModel
from engine.diffusion.prediction import FlowSampling
from engine.diffusion.samplers import run_sampler
from engine.diffusion.sampling import KSamplerSettings, SampleRequest, ksample, ksampler_sigmas, sample
from engine.errors import Cancelled, InputError

DETERMINISTIC = ["euler", "heun", "dpm_2", "ddim"]


@pytest.fixture
def guider(model, prompt) -> CFGGuider:
    return CFGGuider(model, prompt(0.9), prompt(0.2), 3.0)


def filled(batch: int = 1) -> Latent:
    return Latent(torch.randn(batch, 4, 8, 8, generator=torch.Generator().manual_seed(3)) * 5)


def run(guider: CFGGuider, latent: Latent, **settings: object) -> torch.Tensor:
    return ksample(KSamplerSettings(**{"seed": 7, "steps": 6, **settings}), guider, latent, SD15).samples


@pytest.mark.parametrize("sampler", ["euler", "euler_ancestral", "dpmpp_2m_sde", "uni_pc", "lcm"])
def test_equal_runs_give_equal_bytes(sampler: str, guider) -> None:
    first, second = (run(guider, empty_latent(64, 64, 2), sampler=sampler) for _ in range(2))
    assert torch.equal(first, second)
    assert first.dtype == torch.float32
    assert not first.is_inference()


@pytest.mark.parametrize("sampler", DETERMINISTIC)
def test_two_stages_equal_one_run(sampler: str, guider) -> None:
    whole = run(guider, filled(), sampler=sampler)
    first = run(guider, filled(), sampler=sampler, start_at_step=0, end_at_step=3)
    second = run(
        guider,
        Latent(first),
        sampler=sampler,
        start_at_step=3,
        end_at_step=10000,
        add_noise=False,
        force_full_denoise=True,
    )
    assert not torch.allclose(first, whole, rtol=1e-2)
    assert torch.allclose(second, whole, atol=1e-4 * float(whole.abs().max()))


def test_two_stages_of_a_flow_model_equal_one_run(network, prompt) -> None:
    guider = CFGGuider(DiffusionModel(network, FlowSampling()), prompt(0.9), prompt(0.2), 3.0)
    sd3 = LatentFormat(4, 1.5305, 0.0609)

    def part(latent: Latent, **settings: object) -> torch.Tensor:
        return ksample(KSamplerSettings(7, 6, **settings), guider, latent, sd3).samples

    whole = part(empty_latent(64, 64))
    first = part(empty_latent(64, 64), end_at_step=3)
    second = part(Latent(first), start_at_step=3, add_noise=False)
    assert torch.allclose(second, whole, atol=1e-4 * float(whole.abs().max()))


def test_stopping_early_can_still_end_clean(guider) -> None:
    settings = KSamplerSettings(7, 6, end_at_step=3, force_full_denoise=True)
    sigmas = ksampler_sigmas(settings, guider.sampling)
    assert len(sigmas) == 4
    assert sigmas[-1] == 0
    noisy = ksampler_sigmas(dataclasses.replace(settings, force_full_denoise=False), guider.sampling)
    assert noisy[-1] > 0
    assert torch.equal(noisy[:-1], sigmas[:-1])


@pytest.mark.parametrize(
    "settings", [{"denoise": 0.0}, {"start_at_step": 6}, {"start_at_step": 50}, {"end_at_step": 0}]
)
def test_with_nothing_to_do_the_latent_stays(guider, network, settings) -> None:
    assert torch.equal(run(guider, filled(), **settings), filled().samples)
    assert network.batches == []


def test_part_of_the_way_makes_as_many_steps(guider, network) -> None:
    weak, strong = (run(guider, filled(), denoise=denoise) for denoise in (0.2, 0.9))
    assert len(network.batches) == 12
    original = filled().samples
    assert float((weak - original).abs().mean()) < float((strong - original).abs().mean())


def test_the_mask_decides_what_changes(guider) -> None:
    mask = torch.zeros(1, 1, 64, 64)
    mask[..., :32] = 1
    latent = dataclasses.replace(filled(2), noise_mask=mask)
    for sampler in ("euler", "ddim", "euler_ancestral"):
        got = run(guider, latent, sampler=sampler)
        assert torch.allclose(got[..., 4:], latent.samples[..., 4:], atol=1e-4), sampler
        assert not torch.allclose(got[..., :4], latent.samples[..., :4], atol=0.1), sampler


def test_the_mask_works_for_cfg_pp_and_without_guidance(guider, model, prompt) -> None:
    mask = torch.zeros(8, 8)
    latent = dataclasses.replace(filled(), noise_mask=mask)
    assert torch.allclose(run(guider, latent, sampler="euler_cfg_pp"), latent.samples, atol=1e-4)
    plain = ksample(KSamplerSettings(7, 6), BasicGuider(model, prompt(0.9)), latent, SD15).samples
    assert torch.allclose(plain, latent.samples, atol=1e-4)


def test_masked_out_parts_reach_the_model_at_the_runs_noise_level(guider, network) -> None:
    latent = dataclasses.replace(filled(), noise_mask=torch.zeros(8, 8))
    sigmas = ksampler_sigmas(KSamplerSettings(7, 6, denoise=0.5), guider.sampling)
    run(guider, latent, denoise=0.5)
    noise = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(7))
    expected = (SD15.process_in(latent.samples) + noise * sigmas[2]) / (sigmas[2] ** 2 + 1).sqrt()
    assert torch.allclose(network.inputs[2][:1], expected, atol=1e-5)


def test_cancelling_from_a_step_stops_at_once(guider, network) -> None:
    def stop(info: object) -> None:
        if len(network.batches) == 2:
            raise Cancelled

    with pytest.raises(Cancelled):
        ksample(KSamplerSettings(7, 50), guider, filled(), SD15, on_step=stop)
    assert len(network.batches) == 2


def test_batch_index_gives_a_single_item_the_noise_of_its_place(guider) -> None:
    pair = run(guider, dataclasses.replace(empty_latent(64, 64, 2), batch_index=(0, 1)))
    second = run(guider, dataclasses.replace(empty_latent(64, 64, 1), batch_index=(1,)))
    assert torch.allclose(pair[1:], second, atol=1e-4)


def test_mask_and_batch_index_stay_with_the_latent(guider) -> None:
    latent = Latent(torch.zeros(1, 4, 8, 8), torch.ones(8, 8), (4,))
    made = ksample(KSamplerSettings(7, 2), guider, latent, SD15)
    assert made.noise_mask is latent.noise_mask
    assert made.batch_index == (4,)


def test_an_empty_latent_becomes_the_familys(guider) -> None:
    assert run(guider, Latent(torch.zeros(2, 16, 8, 8))).shape == (2, 4, 8, 8)
    with pytest.raises(InputError, match="another model family"):
        run(guider, Latent(torch.ones(2, 16, 8, 8)))


def test_ancestral_noise_is_the_seeds_own_stream() -> None:
    """The first ancestral draw equals the initial noise: pictures made elsewhere depend on it."""
    noise = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(7))
    before, after = 4.0, 2.0
    x = run_sampler("euler_ancestral", lambda x, sigma: x * 0, noise * before, torch.tensor([before, after]), seed=7)
    added = (after**2 * (before**2 - after**2) / before**2) ** 0.5
    kept = (after**2 - added**2) ** 0.5
    assert torch.allclose(x, noise * kept + noise * added, atol=1e-5)


def test_noise_must_fit(guider) -> None:
    request = SampleRequest(
        guider, SD15, torch.zeros(1, 4, 8, 8), torch.zeros(1, 4, 8, 9), torch.tensor([1.0, 0.0]), "euler", 0
    )
    with pytest.raises(InputError, match="noise does not fit"):
        sample(request)
