"""What a training run must remember to go on after an interruption, and how it spends its time."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor, nn

from engine.weights.files import open_weights
from engine.weights.safetensors_format import save_safetensors

__all__ = ["Average", "Clock", "TimedRun", "averaged_weights", "cosine_rate", "under"]


class Average:
    """A moving average of a module's parameters: quick at the start, slow later."""

    def __init__(self, module: nn.Module, decay: float = 0.999) -> None:
        self.decay = decay
        self.module = copy.deepcopy(module).eval().requires_grad_(False)
        self.updates = 0

    @torch.no_grad()
    def update(self, module: nn.Module) -> None:
        """Move the average one step towards `module`."""
        self.updates += 1
        decay = min(self.decay, (1 + self.updates) / (10 + self.updates))
        averaged: list[Tensor] = list(self.module.parameters())
        current: list[Tensor] = [parameter.detach() for parameter in module.parameters()]
        torch._foreach_lerp_(averaged, current, 1 - decay)


@dataclass(slots=True)
class Clock:
    """Seconds of training spent so far, over all runs, of a budget."""

    budget: float
    spent: float = 0.0
    _last: float = field(default_factory=time.monotonic)

    def tick(self) -> float:
        """Count the time since the last tick; return the part of the budget that is spent, 0 to 1."""
        now = time.monotonic()
        self.spent += now - self._last
        self._last = now
        return min(1.0, self.spent / self.budget)


def cosine_rate(peak: float, progress: float, warmup: float = 0.01) -> float:
    """Return the learning rate at `progress` (0 to 1): a short linear rise to `peak`, then a cosine to 0."""
    if progress < warmup:
        return peak * (0.05 + 0.95 * progress / warmup)
    return peak * 0.5 * (1 + math.cos(math.pi * (progress - warmup) / (1 - warmup)))


def under(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the tensors whose names start with `prefix`, named without it."""
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}


def averaged_weights(path: Path) -> dict[str, Tensor]:
    """Return the averaged weights in a state file."""
    with open_weights(path) as file:
        return under(
            "average.", {name: file.tensor(name).clone() for name in file.shapes if name.startswith("average.")}
        )


class TimedRun:
    """Weights, optimiser, average, step, time and random state of one stage, saved and resumed as one file."""

    def __init__(self, path: Path, model: nn.Module, optimiser: torch.optim.Optimizer, minutes: float) -> None:
        self.path = path
        self.model = model
        self.optimiser = optimiser
        self.average = Average(model)
        self.clock = Clock(minutes * 60)
        self.step = 0
        self.generator = torch.Generator().manual_seed(0)

    def save(self) -> None:
        """Write the state file, whole or not at all."""
        tensors = {f"model.{name}": tensor for name, tensor in self.model.state_dict().items()}
        tensors |= {f"average.{name}": tensor for name, tensor in self.average.module.state_dict().items()}
        for index, moments in self.optimiser.state_dict()["state"].items():
            tensors |= {f"optimiser.{index}.{name}": torch.as_tensor(value) for name, value in moments.items()}
        tensors["generator"] = self.generator.get_state()
        numbers = {"step": self.step, "updates": self.average.updates, "spent": self.clock.spent}
        save_safetensors(self.path, tensors, {name: repr(value) for name, value in numbers.items()})

    def resume(self) -> bool:
        """Load the state file if there is one; return whether there was."""
        if not self.path.exists():
            return False
        with open_weights(self.path) as file:
            tensors = {name: file.tensor(name).clone() for name in file.shapes}
            numbers = dict(file.metadata)
        self.model.load_state_dict(under("model.", tensors))
        self.average.module.load_state_dict(under("average.", tensors))
        moments: dict[int, dict[str, Tensor]] = {}
        for name, tensor in under("optimiser.", tensors).items():
            index, _, key = name.partition(".")
            moments.setdefault(int(index), {})[key] = tensor
        groups = self.optimiser.state_dict()["param_groups"]
        self.optimiser.load_state_dict({"state": moments, "param_groups": groups})
        self.generator.set_state(tensors["generator"])
        self.step, self.average.updates = int(numbers["step"]), int(numbers["updates"])
        self.clock.spent = float(numbers["spent"])
        return True

    def begin_step(self, peak_rate: float) -> float:
        """Set the learning rate for the time spent so far; return the progress, 0 to 1."""
        progress = self.clock.tick()
        for group in self.optimiser.param_groups:
            group["lr"] = cosine_rate(peak_rate, progress) * group.get("rate_scale", 1.0)
        return progress

    def end_step(self, clip: float = 1.0) -> None:
        """Apply the gradients (clipped to norm `clip`), clear them and move the average."""
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), clip)
        self.optimiser.step()
        self.optimiser.zero_grad(set_to_none=True)
        self.average.update(self.model)
        self.step += 1
