"""Names of samplers and schedules there and here.

Old names hold both (``DPM++ 2M Karras``) and are split. Names of our own are understood, too.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Final

from engine.diffusion.names import SAMPLERS, SCHEDULES
from engine.server.sdapi.refusals import Refused


@dataclasses.dataclass(frozen=True, slots=True)
class SamplerName:
    """A sampler: its name there and here, the schedule that "Automatic" means, and older names."""

    label: str
    name: str
    automatic: str = "normal"
    aliases: tuple[str, ...] = ()


KNOWN: Final = (
    SamplerName("DPM++ 2M", "dpmpp_2m", "karras", ("k_dpmpp_2m",)),
    SamplerName("DPM++ SDE", "dpmpp_sde", "karras", ("k_dpmpp_sde",)),
    SamplerName("DPM++ 2M SDE", "dpmpp_2m_sde", "exponential", ("k_dpmpp_2m_sde",)),
    SamplerName("DPM++ 2M SDE Heun", "dpmpp_2m_sde_heun", "exponential", ("k_dpmpp_2m_sde_heun",)),
    SamplerName("DPM++ 2S a", "dpmpp_2s_ancestral", "karras", ("k_dpmpp_2s_a",)),
    SamplerName("DPM++ 3M SDE", "dpmpp_3m_sde", "exponential", ("k_dpmpp_3m_sde",)),
    SamplerName("Euler a", "euler_ancestral", aliases=("k_euler_a", "k_euler_ancestral")),
    SamplerName("Euler", "euler", aliases=("k_euler",)),
    SamplerName("LMS", "lms", aliases=("k_lms",)),
    SamplerName("Heun", "heun", aliases=("k_heun",)),
    SamplerName("DPM2", "dpm_2", "karras", ("k_dpm_2",)),
    SamplerName("DPM2 a", "dpm_2_ancestral", "karras", ("k_dpm_2_a",)),
    SamplerName("DPM fast", "dpm_fast", aliases=("k_dpm_fast",)),
    SamplerName("DPM adaptive", "dpm_adaptive", aliases=("k_dpm_ad",)),
    SamplerName("LCM", "lcm", aliases=("k_lcm",)),
    SamplerName("DDIM", "ddim", "ddim_uniform"),
    SamplerName("UniPC", "uni_pc"),
)
OURS: Final = tuple(SamplerName(name, name) for name in SAMPLERS if name not in {one.name for one in KNOWN})
SAMPLER_NAMES: Final = (*KNOWN, *OURS)

AUTOMATIC: Final = "Automatic"
SCHEDULE_LABELS: Final[Mapping[str, str]] = {
    "Uniform": "normal",
    "Karras": "karras",
    "Exponential": "exponential",
    "SGM Uniform": "sgm_uniform",
    "KL Optimal": "kl_optimal",
    "Simple": "simple",
    "Normal": "normal",
    "DDIM": "ddim_uniform",
    "Beta": "beta",
    **{name: name for name in SCHEDULES if name == "linear_quadratic"},
}
NOT_HERE: Final = ("Polyexponential", "Align Your Steps", "Align Your Steps GITS", "Align Your Steps 11", "Turbo")
"""Schedules of that interface which no single sampler node takes by name."""


@dataclasses.dataclass(frozen=True, slots=True)
class Sampling:
    """A sampler with its schedule: names there (``label``, ``schedule_label``) and here (``name``, ``schedule``)."""

    label: str
    name: str
    schedule_label: str
    schedule: str


def choose_sampling(sampler: str, schedule: str | None) -> Sampling:
    """Find a sampler and a schedule by any of their names. Raises `Refused` (400) for a name that nothing has."""
    found = _by_name(sampler)
    if found is None:
        found, old = _split(sampler)
        if schedule in (None, "", AUTOMATIC):
            schedule = old
    if schedule is None or _plain(schedule) in ("", "automatic", "use same scheduler"):
        return Sampling(found.label, found.name, AUTOMATIC, found.automatic)
    label = _schedule_label(schedule)
    return Sampling(found.label, found.name, label, SCHEDULE_LABELS[label])


def _by_name(name: str) -> SamplerName | None:
    wanted = _plain(name)
    for one in SAMPLER_NAMES:
        if wanted in (_plain(one.label), one.name, *one.aliases):
            return one
    return None


def _split(name: str) -> tuple[SamplerName, str]:
    """Split an old name into sampler and schedule."""
    for label in SCHEDULE_LABELS:
        if _plain(name).endswith(f" {_plain(label)}"):
            found = _by_name(name[: -len(label) - 1])
            if found is not None:
                return found, label
    raise Refused(400, f"Sampler not found: {name[:80]!r}; GET /sdapi/v1/samplers lists those that there are")


def _schedule_label(name: str) -> str:
    wanted = _plain(name).replace("_", " ")
    for label, ours in SCHEDULE_LABELS.items():
        if wanted in (_plain(label).replace("_", " "), ours.replace("_", " ")):
            return label
    raise Refused(400, f"Scheduler not found: {name[:80]!r}; GET /sdapi/v1/schedulers lists those that there are")


def _plain(name: str) -> str:
    return " ".join(name.lower().split())
