"""Find a sampler by name and run it."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any, Final

import torch
from torch import Tensor

from engine.diffusion.names import SAMPLERS
from engine.diffusion.prediction import DiscreteSampling, ModelSampling
from engine.diffusion.samplers import (
    ancestral,
    cfg_pp,
    diffusion_steps,
    dpm_solver,
    dpmpp,
    extrapolation,
    multistep,
    runge_kutta,
    sa_solver,
    uni_pc,
)
from engine.diffusion.samplers.trajectory import Denoiser, OnStep, Trajectory
from engine.errors import InputError

Sampler = Callable[..., Tensor]
"""``sampler(run: Trajectory, x: Tensor, **options) -> Tensor``; options are the keyword-only arguments."""

REGISTRY: Final[Mapping[str, Sampler]] = {
    "euler": runge_kutta.euler,
    "ddim": runge_kutta.euler,
    "heun": runge_kutta.heun,
    "heunpp2": runge_kutta.heunpp2,
    "dpm_2": runge_kutta.dpm_2,
    "euler_ancestral": ancestral.euler_ancestral,
    "dpm_2_ancestral": ancestral.dpm_2_ancestral,
    "dpmpp_2s_ancestral": ancestral.dpmpp_2s_ancestral,
    "euler_cfg_pp": cfg_pp.euler_cfg_pp,
    "euler_ancestral_cfg_pp": cfg_pp.euler_ancestral_cfg_pp,
    "dpmpp_2s_ancestral_cfg_pp": cfg_pp.dpmpp_2s_ancestral_cfg_pp,
    "dpmpp_2m_cfg_pp": cfg_pp.dpmpp_2m_cfg_pp,
    "dpmpp_2m": dpmpp.dpmpp_2m,
    "dpmpp_sde": dpmpp.dpmpp_sde,
    "dpmpp_sde_gpu": dpmpp.dpmpp_sde,
    "dpmpp_2m_sde": dpmpp.dpmpp_2m_sde,
    "dpmpp_2m_sde_gpu": dpmpp.dpmpp_2m_sde,
    "dpmpp_2m_sde_heun": dpmpp.dpmpp_2m_sde_heun,
    "dpmpp_2m_sde_heun_gpu": dpmpp.dpmpp_2m_sde_heun,
    "dpmpp_3m_sde": dpmpp.dpmpp_3m_sde,
    "dpmpp_3m_sde_gpu": dpmpp.dpmpp_3m_sde,
    "ddpm": diffusion_steps.ddpm,
    "lcm": diffusion_steps.lcm,
    "er_sde": diffusion_steps.er_sde,
    "seeds_2": diffusion_steps.seeds_2,
    "seeds_3": diffusion_steps.seeds_3,
    "sa_solver": sa_solver.sa_solver,
    "sa_solver_pece": sa_solver.sa_solver_pece,
    "uni_pc": uni_pc.uni_pc,
    "uni_pc_bh2": uni_pc.uni_pc_bh2,
    "lms": multistep.lms,
    "ipndm": multistep.ipndm,
    "ipndm_v": multistep.ipndm_v,
    "deis": multistep.deis,
    "res_multistep": extrapolation.res_multistep,
    "res_multistep_cfg_pp": extrapolation.res_multistep_cfg_pp,
    "res_multistep_ancestral": extrapolation.res_multistep_ancestral,
    "res_multistep_ancestral_cfg_pp": extrapolation.res_multistep_ancestral_cfg_pp,
    "gradient_estimation": extrapolation.gradient_estimation,
    "gradient_estimation_cfg_pp": extrapolation.gradient_estimation_cfg_pp,
    "dpm_fast": dpm_solver.dpm_fast,
    "dpm_adaptive": dpm_solver.dpm_adaptive,
}


def run_sampler(
    name: str,
    denoiser: Denoiser,
    x: Tensor,
    sigmas: Tensor,
    *,
    seed: int,
    sampling: ModelSampling | None = None,
    options: Mapping[str, Any] | None = None,
    on_step: OnStep | None = None,
) -> Tensor:
    """Run sampler ``name`` from ``x`` [B, C, H, W] (already noisy, at ``sigmas[0]``) along its
    ``sigmas`` [steps + 1].

    ``sampling`` says how alpha and sigma relate (default: Stable Diffusion's); ``options`` are the sampler's own, such
    as eta; ``on_step`` is called once per step and may raise to stop. ``seed`` starts the Brownian path and the stream
    of independent noise, both on the CPU. Everything is computed in float32.

    Raises `InputError` for an unknown name or option, or where a CFG++ sampler gets a denoiser without
    `with_uncond`.
    """
    sampler = REGISTRY.get(name)
    if sampler is None:
        raise InputError(
            f'there is no sampler "{name}"',
            expected=", ".join(SAMPLERS),
            got=name,
            hint="choose one of the names listed",
        )
    chosen = dict(options or {})
    _check_options(name, chosen)
    if len(sigmas) < 2:
        return x
    run = Trajectory(
        denoiser,
        x,
        sigmas.detach().to("cpu", torch.float32),
        sampling or DiscreteSampling(),
        seed=seed,
        on_step=on_step,
    )
    with torch.no_grad():
        return sampler(run, x, **chosen)


def sampler_options(name: str) -> dict[str, Any]:
    """Return the options of a sampler and their defaults, for interfaces that list them."""
    return {
        key: parameter.default
        for key, parameter in inspect.signature(REGISTRY[name]).parameters.items()
        if parameter.kind is inspect.Parameter.KEYWORD_ONLY
    }


def _check_options(name: str, options: Mapping[str, Any]) -> None:
    known = sampler_options(name)
    unknown = sorted(set(options) - set(known))
    if unknown:
        raise InputError(
            f'the sampler "{name}" has no option {", ".join(unknown)}',
            expected=", ".join(sorted(known)) or "no options",
            got=", ".join(unknown),
            hint="remove the option or choose another sampler",
        )
