"""Every sampler against reference samples, and what all samplers promise."""

from __future__ import annotations

import json
import subprocess
import sys
import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch

from engine.diffusion.names import SAMPLERS, SCHEDULES
from engine.diffusion.prediction import DiscreteSampling
from engine.diffusion.samplers import REGISTRY, StepInfo, run_sampler, sampler_options
from engine.diffusion.schedules import karras_sigmas, make_sigmas
from engine.errors import Cancelled, InputError

WITHOUT_REFERENCE = {"uni_pc", "uni_pc_bh2"}
TOLERANCE = 1e-4


def test_the_names_are_the_ones_of_the_registry() -> None:
    assert set(SAMPLERS) == set(REGISTRY)
    assert len(SAMPLERS) == 42
    assert len(SCHEDULES) == 9


def test_the_names_are_those_of_the_node(reference) -> None:
    lines = (reference / "node_interfaces.jsonl").read_text(encoding="utf-8").splitlines()
    node = next(entry for entry in map(json.loads, lines) if entry["id"] == "KSampler")
    required = node["input"]["required"]
    assert list(SAMPLERS) == required["sampler_name"][0]
    assert list(SCHEDULES) == required["scheduler"][0]


def test_names_are_known_without_torch() -> None:
    code = "import sys, engine.diffusion.names; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("name", [name for name in SAMPLERS if name not in WITHOUT_REFERENCE])
def test_equals_the_reference(name: str, reference_run, reference) -> None:
    with np.load(reference / "samplers.npz") as data:
        expected = torch.from_numpy(data[f"{reference_run.name}/{name}"])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        got = run_sampler(
            name,
            reference_run.denoiser(),
            reference_run.start,
            reference_run.sigmas,
            seed=77,
            sampling=reference_run.sampling,
        )
    assert got.dtype == torch.float32
    assert float((got - expected).abs().max()) <= TOLERANCE


@pytest.mark.parametrize("name", ["uni_pc", "uni_pc_bh2", "dpmpp_2m", "dpmpp_3m_sde", "heun"])
def test_converges_to_the_ode(name: str, analytic) -> None:
    """Against Euler with many steps: an order of at least two makes 40 steps as good as thousands of Euler's."""
    start = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(0)) * 10.0
    exact = run_sampler("euler", analytic(), start, karras_sigmas(4000, 0.03, 10.0)[:-1], seed=0)
    options = {"eta": 0.0} if "eta" in sampler_options(name) else {}
    got = run_sampler(name, analytic(), start, karras_sigmas(40, 0.03, 10.0)[:-1], seed=0, options=options)
    assert float((got - exact).abs().max()) < 3e-3


@pytest.mark.parametrize("steps", [1, 2, 3, 4])
@pytest.mark.parametrize("name", SAMPLERS)
def test_short_runs_are_finite(name: str, steps: int, reference_run) -> None:
    sigmas = make_sigmas("simple", reference_run.sampling, steps)
    got = run_sampler(
        name,
        reference_run.denoiser(),
        reference_run.start,
        sigmas,
        seed=1,
        sampling=reference_run.sampling,
    )
    assert torch.isfinite(got).all()
    assert not torch.equal(got, reference_run.start)


@pytest.mark.parametrize("name", SAMPLERS)
def test_schedules_that_do_not_end_in_zero_are_finite(name: str, reference_run) -> None:
    got = run_sampler(
        name,
        reference_run.denoiser(),
        reference_run.start,
        reference_run.sigmas[:6],
        seed=1,
        sampling=reference_run.sampling,
    )
    assert torch.isfinite(got).all()


@pytest.mark.parametrize("name", SAMPLERS)
def test_steps_are_told_and_cancelling_stops_at_once(name: str, reference_run) -> None:
    denoiser = reference_run.denoiser()
    told: list[StepInfo] = []

    def stop_at_third(step: StepInfo) -> None:
        told.append(step)
        if len(told) == 3:
            raise Cancelled

    with pytest.raises(Cancelled):
        run_sampler(
            name,
            denoiser,
            reference_run.start,
            reference_run.sigmas,
            seed=1,
            sampling=reference_run.sampling,
            on_step=stop_at_third,
        )
    calls = denoiser.calls
    assert len(told) == 3
    assert calls <= 9
    assert told[0].total == len(reference_run.sigmas) - 1
    assert told[0].sigma == pytest.approx(float(reference_run.sigmas[0]), rel=1e-3)
    if name != "dpm_adaptive":
        assert [step.index for step in told] == [0, 1, 2]
    assert all(step.denoised.shape == reference_run.start.shape for step in told)


@pytest.mark.parametrize("name", ["euler_ancestral", "dpmpp_sde", "lcm", "seeds_3"])
def test_noise_does_not_depend_on_what_else_runs(name: str, reference_run) -> None:
    def once(_: int) -> torch.Tensor:
        torch.randn(5)  # disturbs the global generator
        return run_sampler(
            name,
            reference_run.denoiser(),
            reference_run.start,
            reference_run.sigmas,
            seed=5,
            sampling=reference_run.sampling,
        )

    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(once, range(4)))
    assert all(torch.equal(result, results[0]) for result in results)


def test_global_generator_is_left_alone(reference_run) -> None:
    before = torch.get_rng_state()
    run_sampler("euler_ancestral", reference_run.denoiser(), reference_run.start, reference_run.sigmas, seed=5)
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize("name", ["euler_ancestral", "dpmpp_sde", "er_sde", "sa_solver"])
def test_seeds_differ(name: str, reference_run) -> None:
    def run(seed: int) -> torch.Tensor:
        return run_sampler(
            name,
            reference_run.denoiser(),
            reference_run.start,
            reference_run.sigmas,
            seed=seed,
            sampling=reference_run.sampling,
        )

    assert not torch.equal(run(1), run(2))


def test_eta_zero_makes_ancestral_euler_plain(reference_run) -> None:
    def run(name: str, **options: float) -> torch.Tensor:
        return run_sampler(
            name,
            reference_run.denoiser(),
            reference_run.start,
            reference_run.sigmas,
            seed=3,
            sampling=reference_run.sampling,
            options=options,
        )

    assert torch.allclose(run("euler_ancestral", eta=0.0), run("euler"), atol=1e-5)


def test_churn_adds_noise(analytic) -> None:
    sigmas = torch.tensor([10.0, 5.0, 1.0, 0.0])
    start = torch.ones(1, 4, 2, 2) * 10
    churned = run_sampler("euler", analytic(), start, sigmas, seed=3, options={"s_churn": 1.0})
    assert not torch.allclose(churned, run_sampler("euler", analytic(), start, sigmas, seed=3))


def test_an_empty_schedule_changes_nothing(analytic) -> None:
    x = torch.ones(1, 4, 2, 2)
    assert run_sampler("euler", analytic(), x, torch.empty(0), seed=0) is x


def test_mistakes_are_explained(analytic) -> None:
    x, sigmas = torch.ones(1, 4, 2, 2), torch.tensor([1.0, 0.0])
    with pytest.raises(InputError, match="no sampler"):
        run_sampler("eular", analytic(), x, sigmas, seed=0)
    with pytest.raises(InputError, match="no option"):
        run_sampler("euler", analytic(), x, sigmas, seed=0, options={"eta": 1.0})
    with pytest.raises(InputError, match=r"CFG\+\+"):
        run_sampler("euler_cfg_pp", lambda x, sigma: x, x, sigmas, seed=0, sampling=DiscreteSampling())


def test_options_are_listed() -> None:
    assert sampler_options("euler_ancestral") == {"eta": 1.0, "s_noise": 1.0}
    assert sampler_options("ddim") == sampler_options("euler")


@pytest.mark.parametrize("order", [2, 3])
def test_simple_second_order_of_sa_solver_stays_close(order: int, reference_run) -> None:
    def run(**options: object) -> torch.Tensor:
        return run_sampler(
            "sa_solver",
            reference_run.denoiser(),
            reference_run.start,
            reference_run.sigmas,
            seed=3,
            sampling=reference_run.sampling,
            options={"predictor_order": order, "corrector_order": 2, "eta": 0.0, **options},
        )

    plain, simple = run(), run(simple_order_2=True)
    assert not torch.equal(plain, simple)
    assert float((plain - simple).abs().max()) < 0.05
