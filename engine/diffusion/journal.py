"""Going on with a sampler that was stopped: the model's answers are kept, and given again in the same order.

Whatever a sampler does is a function of its start, its noise (drawn from a seed) and the answers of the model. So a run
that is repeated and is given the answers it had got so far is, to the byte, where it stopped, whichever sampler it
is and whatever it carries from step to step; and only the model's work takes time.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Sequence
from types import TracebackType

from torch import Tensor

from engine.diffusion.samplers.trajectory import Denoiser, GuidedDenoiser

Answers = tuple[tuple[Tensor, ...], ...]

KEEP_SECONDS = 5.0
"""How much work may be lost, at most, to a process that is ended without warning."""


class Journal:
    """Remember the answers of a denoiser, and give those that are already known.

    ``keep`` is handed all answers every ``every`` seconds, and when its ``with`` block is left by an exception.
    """

    def __init__(
        self, known: Sequence[Sequence[Tensor]] | None, keep: Callable[[Answers], None], every: float = KEEP_SECONDS
    ) -> None:
        self._answers = [tuple(answer) for answer in known or ()]
        self._next = 0
        self._keep = keep
        self._every = every
        self._kept = len(self._answers)
        self._since = time.monotonic()

    def __enter__(self) -> Journal:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            self._hand_over()

    def answer(self, ask: Callable[[], tuple[Tensor, ...]], like: Tensor) -> tuple[Tensor, ...]:
        """Return the next answer, on the device of ``like``: a known one, else what ``ask`` gives, remembered."""
        self._next += 1
        if self._next <= len(self._answers):
            return tuple(one.to(like.device) for one in self._answers[self._next - 1])
        made = ask()
        self._answers.append(tuple(one.detach().to("cpu", copy=True) for one in made))
        if time.monotonic() - self._since >= self._every:
            self._hand_over()
        return made

    def _hand_over(self) -> None:
        if len(self._answers) > self._kept:
            self._keep(tuple(self._answers))
            self._kept = len(self._answers)
        self._since = time.monotonic()


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class RecordedDenoiser:
    """Ask a denoiser by way of a journal."""

    inner: Denoiser
    journal: Journal

    def __call__(self, x: Tensor, sigma: Tensor) -> Tensor:
        return self.journal.answer(lambda: (self.inner(x, sigma),), x)[0]


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class RecordedGuidedDenoiser(RecordedDenoiser):
    """Do what `RecordedDenoiser` does for a denoiser that can also tell its unconditional prediction."""

    inner: GuidedDenoiser

    def with_uncond(self, x: Tensor, sigma: Tensor) -> tuple[Tensor, Tensor]:
        guided, uncond = self.journal.answer(lambda: self.inner.with_uncond(x, sigma), x)
        return guided, uncond


def recorded(denoiser: Denoiser, journal: Journal | None) -> Denoiser:
    """Return ``denoiser`` asked by way of ``journal``, if there is one."""
    if journal is None:
        return denoiser
    if isinstance(denoiser, GuidedDenoiser):
        return RecordedGuidedDenoiser(denoiser, journal)
    return RecordedDenoiser(denoiser, journal)
