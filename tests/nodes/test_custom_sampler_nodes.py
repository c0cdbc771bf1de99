"""The nodes of the custom sampler hand over what the engine takes."""

from __future__ import annotations

import pytest

from engine.diffusion.samplers.registry import sampler_options
from engine.families.custom_sampling import SamplerRecipe
from engine.graph.node_types import MISSING
from engine.graph.registry import Registry, load_package


@pytest.fixture(scope="module")
def registry() -> Registry:
    return load_package("nodes")


def test_every_sampler_node_names_options_that_its_sampler_has(registry: Registry) -> None:
    found = [one for one in registry if one.module == "nodes.sampler_options"]
    assert len(found) == 10
    for node_type in found:
        given = {
            p.name: p.choices[0] if isinstance(p.choices, tuple) else None if p.default is MISSING else p.default
            for p in node_type.inputs
        }
        assert node_type.run is not None
        made = node_type.run(**given)
        assert isinstance(made, SamplerRecipe)
        known = sampler_options(made.name)
        assert set(made.options) <= set(known), node_type.id
        handed = {name: value for name, value in made.options.items() if given[name] is not None}
        assert handed == {name: given[name] for name in handed}


@pytest.mark.parametrize(
    ("kind", "inputs", "length"),
    [
        ("ExponentialScheduler", {"steps": 5, "sigma_max": 14.6, "sigma_min": 0.03}, 6),
        ("PolyexponentialScheduler", {"steps": 5, "sigma_max": 14.6, "sigma_min": 0.03, "rho": 1.0}, 6),
        ("VPScheduler", {"steps": 5, "beta_d": 19.9, "beta_min": 0.1, "eps_s": 0.001}, 6),
        ("LaplaceScheduler", {"steps": 5, "sigma_max": 14.6, "sigma_min": 0.03, "mu": 0.0, "beta": 0.5}, 5),
        ("AlignYourStepsScheduler", {"model_type": "SDXL", "steps": 10, "denoise": 0.5}, 6),
    ],
)
def test_schedules(registry: Registry, kind: str, inputs: dict[str, object], length: int) -> None:
    run = registry.types[kind].run
    assert run is not None
    sigmas = run(**inputs)
    assert len(sigmas) == length
    assert (sigmas.diff() < 0).all()
