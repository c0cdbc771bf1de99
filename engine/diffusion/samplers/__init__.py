"""Samplers: from a noisy latent and a schedule to a clean latent, by asking a denoiser along the way."""

from engine.diffusion.samplers.registry import REGISTRY, run_sampler, sampler_options
from engine.diffusion.samplers.trajectory import Denoiser, GuidedDenoiser, OnStep, StepInfo

__all__ = ["REGISTRY", "Denoiser", "GuidedDenoiser", "OnStep", "StepInfo", "run_sampler", "sampler_options"]
