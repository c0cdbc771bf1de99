"""A run that is stopped and goes on gives the bytes of one that was not, for every sampler, and asks no model twice."""

from __future__ import annotations

from pathlib import Path

import numpy
import pytest
import torch
from torch import Tensor

from engine.diffusion.journal import Answers, Journal, RecordedGuidedDenoiser, recorded
from engine.diffusion.names import SAMPLERS
from engine.diffusion.prediction import DiscreteSampling
from engine.diffusion.samplers import run_sampler
from engine.diffusion.schedules import denoise_sigmas


class Model:
    """A denoiser with and without guidance that can be told to break down after some calls."""

    def __init__(self, breaks_after: int = 10**9) -> None:
        self.calls = 0
        self._breaks_after = breaks_after

    def __call__(self, x: Tensor, sigma: Tensor) -> Tensor:
        return self.with_uncond(x, sigma)[0]

    def with_uncond(self, x: Tensor, sigma: Tensor) -> tuple[Tensor, Tensor]:
        if self.calls == self._breaks_after:
            raise KeyboardInterrupt
        self.calls += 1
        made = 0.9 * torch.tanh(x / (1 + sigma.view(-1, 1, 1, 1) ** 2).sqrt())
        return made, 0.8 * made


def run(sampler: str, model: Model, journal: Journal | None) -> Tensor:
    sampling = DiscreteSampling()
    sigmas = denoise_sigmas("karras", sampling, 8, 1.0, sampler)
    x = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(1)) * sigmas[0]
    torch.manual_seed(7)
    return run_sampler(sampler, recorded(model, journal), x, sigmas, seed=7, sampling=sampling)


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_a_stopped_run_goes_on_to_the_same_bytes(sampler: str) -> None:
    whole = Model()
    wanted = run(sampler, whole, None)
    kept: list[Answers] = []
    first = Model(breaks_after=whole.calls // 2)
    with pytest.raises(KeyboardInterrupt), Journal(None, kept.append) as journal:
        run(sampler, first, journal)
    assert len(kept) == 1 and len(kept[0]) == whole.calls // 2
    second = Model()
    with Journal(kept[0], kept.append) as journal:
        made = run(sampler, second, journal)
    assert second.calls == whole.calls - whole.calls // 2
    assert numpy.array_equal(made.numpy(), wanted.numpy())


def test_answers_are_kept_now_and_then_and_do_not_change_afterwards(tmp_path: Path) -> None:
    kept: list[Answers] = []
    journal = Journal(None, kept.append, every=0.0)
    made = torch.ones(2)
    journal.answer(lambda: (made,), made)
    made += 5
    journal.answer(lambda: (made,), made)
    assert [len(answers) for answers in kept] == [1, 2]
    assert torch.equal(kept[0][0][0], torch.ones(2))
    assert isinstance(recorded(Model(), journal), RecordedGuidedDenoiser)
