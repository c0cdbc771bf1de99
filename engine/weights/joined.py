"""Several weight files opened as one, for parts of a model that are kept in two.

A tensor is called by the place of its file and its name there (``1:text_model.…``), so equal names do not meet.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor

from engine.weights.files import WeightFile, open_weights
from engine.weights.layouts import TensorSource

__all__ = ["JoinedFile", "WeightFile", "member_sources", "open_all"]


def open_all(paths: Sequence[Path]) -> WeightFile:
    """Open one file as it is, or several as a `JoinedFile`. Raises `WeightError`, see `open_weights`."""
    if len(paths) == 1:
        return open_weights(paths[0])
    with contextlib.ExitStack() as opened:
        members = [opened.enter_context(open_weights(path)) for path in paths]
        opened.pop_all()  # all are there: closing them is the joined file's business now
    return JoinedFile(members)


def member_sources(place: int, sources: Mapping[str, TensorSource]) -> dict[str, TensorSource]:
    """Return the sources of one file as those of the `JoinedFile` in which it has this place."""
    return {key: dataclasses.replace(source, name=f"{place}:{source.name}") for key, source in sources.items()}


class JoinedFile:
    """Give access to the tensors of several files; a `WeightFile`."""

    def __init__(self, members: Sequence[WeightFile]) -> None:
        self.members = tuple(members)
        self.path = Path(" + ".join(member.path.name for member in members))
        self.metadata: Mapping[str, str] = {}
        self.is_mapped = all(member.is_mapped for member in members)

    @property
    def shapes(self) -> Mapping[str, tuple[int, ...]]:
        return {
            f"{place}:{name}": shape for place, one in enumerate(self.members) for name, shape in one.shapes.items()
        }

    @property
    def dtypes(self) -> Mapping[str, torch.dtype]:
        return {
            f"{place}:{name}": dtype for place, one in enumerate(self.members) for name, dtype in one.dtypes.items()
        }

    def tensor(self, name: str) -> Tensor:
        place, _, inner = name.partition(":")
        return self.members[int(place)].tensor(inner)

    def prefetch(self, names: Iterable[str]) -> None:
        for place, own in self._by_member(names).items():
            self.members[place].prefetch(own)

    def release(self, names: Iterable[str]) -> None:
        for place, own in self._by_member(names).items():
            self.members[place].release(own)

    def close(self) -> None:
        for member in self.members:
            member.close()

    def __enter__(self) -> JoinedFile:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    @staticmethod
    def _by_member(names: Iterable[str]) -> dict[int, list[str]]:
        found: dict[int, list[str]] = {}
        for name in names:
            place, _, inner = name.partition(":")
            found.setdefault(int(place), []).append(inner)
        return found
