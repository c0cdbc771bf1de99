"""Functions on conditioning: what they change, and that they change only that."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from engine.diffusion import conditioning as c
from engine.errors import InputError


def test_combining_keeps_both(prompt) -> None:
    first, second = prompt(1.0), prompt(2.0)
    assert c.combine(first, second) == (*first, *second)


def test_concatenating_appends_tokens(prompt) -> None:
    (entry,) = c.concat(prompt(1.0, pooled=torch.ones(1, 3)), prompt(2.0, tokens=5))
    assert entry.embedding.shape == (1, 82, 8)
    assert entry.embedding[0, 77:].eq(2).all()
    assert entry.pooled is not None


def test_averaging_weighs_and_fills_up(prompt) -> None:
    to = prompt(4.0, pooled=torch.full((1, 2), 4.0))
    (entry,) = c.average(to, prompt(2.0, tokens=10, pooled=torch.zeros(1, 2)), 0.75)
    assert entry.embedding.shape == (1, 77, 8)
    assert entry.embedding[0, :10].eq(3.5).all()
    assert entry.embedding[0, 10:].eq(3.0).all()
    assert entry.pooled is not None
    assert entry.pooled.eq(3.0).all()
    (entry,) = c.average(prompt(4.0), prompt(2.0, tokens=90, pooled=torch.ones(1, 2)), 0.5)
    assert entry.embedding.shape == (1, 77, 8)
    assert entry.pooled is not None


def test_setters_return_new_entries(prompt) -> None:
    before = prompt(1.0)
    area = c.Area(8, 8, 0, 0)
    changed = c.set_range(c.set_mask(c.set_area(before, area, 0.5), torch.ones(4, 4), 0.7), 0.1, 0.9)
    assert (before[0].area, before[0].mask, before[0].start_percent) == (None, None, 0.0)
    entry = changed[0]
    assert (entry.area, entry.strength, entry.mask_strength) == (area, 0.5, 0.7)
    assert (entry.start_percent, entry.end_percent) == (0.1, 0.9)
    assert entry.mask is not None
    assert entry.mask.shape == (1, 4, 4)
    assert c.set_strength(before, 0.3)[0].strength == 0.3
    assert c.set_extra(c.set_extra(before, a=1), b=2)[0].extra == {"a": 1, "b": 2}
    assert before[0].extra == {}


def test_zeroing(prompt) -> None:
    (entry,) = c.zero_out(prompt(3.0, pooled=torch.ones(1, 2)))
    assert not entry.embedding.any()
    assert entry.pooled is not None
    assert not entry.pooled.any()


def test_areas_are_cut_at_the_edges() -> None:
    assert c.Area(16, 16, 4, 2).resolve(8, 64) == (4, 16, 4, 2)
    assert c.Area(0.5, 0.25, 0.5, 0.0, relative=True).resolve(8, 64) == (4, 16, 4, 0)


def test_entries_cannot_be_changed(prompt) -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        prompt(1.0)[0].strength = 2.0


def test_empty_conditioning_is_explained(prompt) -> None:
    with pytest.raises(InputError, match="empty"):
        c.concat(prompt(1.0), ())
