"""The analytic denoisers that the reference samples were made with, and a small network to guide."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from engine.diffusion.model_calls import DiffusionModel
from engine.diffusion.prediction import DiscreteSampling, FlowSampling, ModelSampling


class AnalyticDenoiser:
    """D(x, sigma) in closed form; its unconditional prediction is 0.8 D."""

    def __init__(self, flow: bool) -> None:
        self.flow = flow
        self.calls = 0

    def __call__(self, x: Tensor, sigma: Tensor) -> Tensor:
        assert sigma.shape == (x.shape[0],)
        assert sigma.dtype == torch.float32
        self.calls += 1
        s = sigma.reshape(-1, 1, 1, 1)
        return 0.9 * torch.tanh(x * (1 + s / 2) if self.flow else x / torch.sqrt(1 + s * s))

    def with_uncond(self, x: Tensor, sigma: Tensor) -> tuple[Tensor, Tensor]:
        denoised = self(x, sigma)
        return denoised, 0.8 * denoised


@pytest.fixture
def analytic() -> Callable[[], AnalyticDenoiser]:
    """Make the denoiser of the variance-exploding model."""
    return lambda: AnalyticDenoiser(flow=False)


@dataclasses.dataclass(frozen=True)
class ReferenceRun:
    """One of the two models of the reference samples: what to start from and along which sigmas."""

    name: str
    sampling: ModelSampling
    start: Tensor
    sigmas: Tensor

    def denoiser(self) -> AnalyticDenoiser:
        return AnalyticDenoiser(self.sampling.is_flow)


@pytest.fixture(params=["sd", "flow"])
def reference_run(request: pytest.FixtureRequest, reference) -> ReferenceRun:
    with np.load(reference / "samplers.npz") as data:
        noise = torch.from_numpy(data["noise"])
        sigmas = torch.from_numpy(data[f"sigmas_{request.param}"])
    sampling: ModelSampling = DiscreteSampling() if request.param == "sd" else FlowSampling()
    start = sampling.noise_scaling(sigmas[0], noise, torch.zeros_like(noise), max_denoise=True)
    return ReferenceRun(request.param, sampling, start, sigmas)


class SmallNetwork:
    """A network whose output depends on all its inputs, and which remembers how it was called."""

    def __init__(self) -> None:
        self.batches: list[int] = []
        self.inputs: list[Tensor] = []
        self.contexts: list[Tensor] = []
        self.timesteps: list[Tensor] = []
        self.controls: list[object] = []

    def __call__(
        self,
        x: Tensor,
        timestep: Tensor,
        context: Tensor,
        *,
        y: Tensor | None,
        control: Tensor | None,
        **extra: Tensor,
    ) -> Tensor:
        assert x.shape[0] == timestep.shape[0] == context.shape[0]
        self.batches.append(x.shape[0])
        self.inputs.append(x.clone())
        self.contexts.append(context.clone())
        self.timesteps.append(timestep.clone())
        self.controls.append(control)
        level = context.mean(dim=(1, 2)).reshape(-1, 1, 1, 1)
        added = 0.0 if control is None else control
        return torch.tanh(x[:, :4]) * level + 0.01 * timestep.reshape(-1, 1, 1, 1) / 1000 + added


@pytest.fixture
def network() -> SmallNetwork:
    return SmallNetwork()


@pytest.fixture
def model(network: SmallNetwork) -> DiffusionModel:
    return DiffusionModel(network, DiscreteSampling())


@pytest.fixture
def prompt() -> Callable[..., tuple]:
    """Make a conditioning of one entry whose embedding is constant."""
    from engine.diffusion.conditioning import ConditioningEntry

    def make(value: float, tokens: int = 77, **changes: object) -> tuple:
        return (ConditioningEntry(torch.full((1, tokens, 8), value), **changes),)

    return make
