"""What nodes say of a model reaches the run: guidance rules, predictions, guiders with three sides, noise."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from tiny_checkpoint import write_tiny_checkpoint
from torch import Tensor

from engine.diffusion.distilled import DistilledSampling
from engine.diffusion.guidance import classifier_free
from engine.diffusion.guidance_rules import GuidanceChain, NormLimit, RescaledGuidance, damp_tangent, towards_positive
from engine.diffusion.latents import Latent, empty_latent
from engine.diffusion.noise import prepare_noise
from engine.diffusion.prediction import DiscreteSampling
from engine.diffusion.sampling import KSamplerSettings
from engine.errors import InputError
from engine.families.custom_sampling import (
    GuiderRecipe,
    Ingredients,
    NoiseRecipe,
    SamplerRecipe,
    add_noise,
    model_sigmas,
    sample_custom,
)
from engine.families.guidance_options import combine_of, with_guidance
from engine.families.latent_diffusion import predicting
from engine.families.pipeline import Guidance, encode_prompt, latent_format_of, load_checkpoint, sample_latent
from engine.families.registry import sampling_of
from engine.memory.residency import Residency
from engine.weights.recipe import ModelRecipe, file_ref

SEED, CFG, STEPS = 5, 6.0, 5


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory, models: Residency) -> SimpleNamespace:
    path = tmp_path_factory.mktemp("weights") / "tiny.safetensors"
    write_tiny_checkpoint(path)
    model, clip, _ = load_checkpoint(file_ref(Path(path)))
    texts = "a (red:1.2) apple", "blurry", "fruit"
    return SimpleNamespace(models=models, model=model, prompts=[encode_prompt(models, clip, one) for one in texts])


def custom(tiny: SimpleNamespace, guider: GuiderRecipe, **changes: Any) -> Tensor:
    given: dict[str, Any] = {
        "noise": NoiseRecipe(SEED),
        "guider": guider,
        "sampler": SamplerRecipe("euler"),
        "sigmas": model_sigmas(guider.model, "normal", STEPS, 1.0),
        "latent": empty_latent(32, 32),
    }
    return sample_custom(tiny.models, Ingredients(**given | changes))[0].samples


def assert_close(got: Tensor, expected: Tensor, tolerance: float = 1e-4) -> None:
    assert float((got - expected).abs().max() / expected.abs().max()) < tolerance


def test_a_velocity_model_with_zero_terminal_snr_equals_diffusers(tiny: SimpleNamespace) -> None:
    """A whole run with rescaled guidance: DDIM over trailing time steps is Euler along the sigmas of these steps."""
    schedulers = pytest.importorskip("diffusers.schedulers")
    rescale = pytest.importorskip("diffusers.pipelines.stable_diffusion.pipeline_stable_diffusion").rescale_noise_cfg
    scheduler = schedulers.DDIMScheduler(
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        prediction_type="v_prediction",
        rescale_betas_zero_snr=True,
        timestep_spacing="trailing",
        clip_sample=False,
    )
    scheduler.alphas_cumprod[-1] = 4.8973451890853435e-08  # instead of 0, as the ecosystem has it
    scheduler.set_timesteps(STEPS)
    model = with_guidance(predicting(tiny.model, "v_prediction", True), "rescale", 0.7)
    x = prepare_noise(torch.zeros(1, 4, 4, 4), SEED)
    with tiny.models.use(model) as unet, torch.no_grad():
        for t in scheduler.timesteps:
            cond, uncond = (unet(x, t[None].float(), side[0].embedding) for side in tiny.prompts[:2])
            x = scheduler.step(rescale(uncond + CFG * (cond - uncond), cond, 0.7), t, x).prev_sample
    expected = latent_format_of(model).process_out(x)
    sigmas = torch.cat([sampling_of(model).table[scheduler.timesteps], torch.zeros(1)])
    got = custom(tiny, GuiderRecipe(model, tiny.prompts[0], tiny.prompts[1], CFG), sigmas=sigmas)
    assert_close(got, expected)
    plain = predicting(tiny.model, "v_prediction", True)
    other = custom(tiny, GuiderRecipe(plain, tiny.prompts[0], tiny.prompts[1], CFG), sigmas=sigmas)
    assert float((other - got).abs().max() / got.abs().max()) > 1e-3


def test_ksampler_and_custom_sampler_follow_the_same_rules(tiny: SimpleNamespace) -> None:
    model = with_guidance(with_guidance(tiny.model, "rescale", 1.0), "norm_limit", 0.9)
    settings = KSamplerSettings(SEED, STEPS, "euler", "normal")
    guidance = Guidance(tiny.prompts[0], tiny.prompts[1], CFG)
    one = sample_latent(tiny.models, model, settings, guidance, empty_latent(32, 32)).samples
    assert torch.equal(one, custom(tiny, GuiderRecipe(model, tiny.prompts[0], tiny.prompts[1], CFG)))
    plain = sample_latent(tiny.models, tiny.model, settings, guidance, empty_latent(32, 32)).samples
    assert not torch.allclose(one, plain, rtol=1e-2)


def test_rules_are_part_of_the_recipe(tiny: SimpleNamespace) -> None:
    assert combine_of(tiny.model) is classifier_free
    first, second = with_guidance(tiny.model, "rescale", 0.2), with_guidance(tiny.model, "rescale", 0.7)
    assert with_guidance(first, "rescale", 0.7) == second
    assert with_guidance(first, "rescale", 0.7).content_key == second.content_key != first.content_key
    assert second.weights_key == tiny.model.weights_key
    both = with_guidance(with_guidance(second, "towards_positive"), "norm_limit", 2.0)
    turned = with_guidance(with_guidance(second, "norm_limit", 2.0), "towards_positive")
    assert both.content_key != turned.content_key
    assert combine_of(with_guidance(both, "damp_tangent")) == GuidanceChain(
        (damp_tangent,), RescaledGuidance(0.7), (towards_positive, NormLimit(2.0))
    )


def test_predictions_by_name(tiny: SimpleNamespace) -> None:
    def told(kind: str, zero: bool = False) -> Any:
        return sampling_of(predicting(tiny.model, kind, zero))

    assert told("eps") == sampling_of(tiny.model)
    assert told("v_prediction", True) == DiscreteSampling("v", zero_terminal_snr=True)
    assert told("x0") == DiscreteSampling("x0")
    assert told("lcm", True) == DistilledSampling(DiscreteSampling(zero_terminal_snr=True))
    again = predicting(predicting(tiny.model, "v_prediction", True), "eps", False)
    assert sampling_of(again) == sampling_of(tiny.model)
    with pytest.raises(InputError, match="img_to_img"):
        told("img_to_img")


def test_a_consistency_model_runs_at_its_own_steps(tiny: SimpleNamespace) -> None:
    model = predicting(tiny.model, "lcm", False)
    sigmas = model_sigmas(model, "sgm_uniform", 4, 1.0)
    steps = sampling_of(model).timestep(sigmas[:-1])
    assert ((steps + 1) % 20 == 0).all()
    made = custom(tiny, GuiderRecipe(model, tiny.prompts[0]), sampler=SamplerRecipe("lcm"), sigmas=sigmas)
    assert torch.isfinite(made).all()


def test_guiders_with_three_sides(tiny: SimpleNamespace) -> None:
    def three(second: float, style: str, third: int = 2) -> Tensor:
        first, negative, _ = tiny.prompts
        return custom(tiny, GuiderRecipe(tiny.model, first, negative, 3.0, tiny.prompts[third], second, style))

    plain = custom(tiny, GuiderRecipe(tiny.model, tiny.prompts[0], tiny.prompts[1], 3.0))
    assert_close(three(5.0, "regular", third=1), plain)  # the second prompt is the negative one
    assert_close(three(1.0, "nested", third=1), plain)
    assert_close(three(5.0, "perpendicular", third=1), plain)  # a negative that is the empty prompt
    assert_close(three(5.0, "perpendicular", third=0), plain)  # or the positive: nothing is perpendicular
    made = [three(5.0, style) for style in ("regular", "nested", "perpendicular")]
    for index in range(3):
        assert not torch.allclose(made[index], made[index - 1], rtol=1e-2)


def test_noise_is_added_as_a_sampler_does(tiny: SimpleNamespace) -> None:
    model: ModelRecipe = tiny.model
    latent = Latent(torch.randn(1, 4, 4, 4))
    scale, noise = latent_format_of(model), prepare_noise(latent.samples, SEED)
    got = add_noise(model, NoiseRecipe(SEED), torch.tensor([5.0, 2.0]), latent).samples
    torch.testing.assert_close(got, scale.process_out(scale.process_in(latent.samples) + 3.0 * noise))
    assert add_noise(model, NoiseRecipe(SEED), torch.empty(0), latent) is latent
    kept = add_noise(model, NoiseRecipe(None), torch.tensor([5.0]), latent).samples
    torch.testing.assert_close(kept, latent.samples)


def test_the_sampler_has_a_seed_where_no_noise_is_added(tiny: SimpleNamespace) -> None:
    guider = GuiderRecipe(tiny.model, tiny.prompts[0])
    silent: dict[str, Any] = {"noise": NoiseRecipe(None), "sampler": SamplerRecipe("euler_ancestral")}
    one, two = (custom(tiny, guider, **silent, sampler_seed=seed) for seed in (1, 2))
    assert not torch.equal(one, two)
    assert torch.equal(one, custom(tiny, guider, **silent, sampler_seed=1))
