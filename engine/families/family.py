"""What a model family is, and which one a checkpoint belongs to.

A family is one file of this package that builds one `Family`. Adding one means writing that file and naming it in
`engine.families.registry`; nothing else knows families apart.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from torch import Tensor, nn

from engine.diffusion.latents import LatentFormat
from engine.diffusion.model_calls import InputsOf, context_only
from engine.diffusion.prediction import ModelSampling
from engine.errors import WeightError
from engine.families.prompt_embeddings import Embeddings
from engine.families.sizes import NetworkHints, Shapes, read_hints
from engine.weights.files import WeightFile
from engine.weights.layouts import Layout, original_names
from engine.weights.recipe import Option, Part

__all__ = ["Detected", "Family", "KnownFamily", "Options", "PartSpec", "TextEncoding", "detect", "no_options"]

NAMED: Final = 6


Options = tuple[tuple[str, Option], ...]
"""Options of a recipe, by name."""


def no_options(file: WeightFile, layout: Layout) -> Options:
    """Return no options: the shapes of the file's tensors tell all there is to tell."""
    return ()


@dataclass(frozen=True, slots=True)
class TextEncoding:
    """Carry what a prompt became: `embedding` [1, T, D], and the pooled state [1, P] where the family has one."""

    embedding: Tensor
    pooled: Tensor | None = None


@dataclass(frozen=True, slots=True)
class PartSpec:
    """Say where a part's tensors stand in a file (original names) and how its empty network is built.

    `build` gets the shapes of the part's tensors, without the prefix, and is called on the meta device.
    """

    prefix: str
    build: Callable[[Shapes, NetworkHints], nn.Module]


@dataclass(frozen=True, slots=True)
class Family:
    """Describe a model family.

    `marks` are tensors that every complete file of the family has, in original names; they only serve to say what is
    missing. `matches` decides, and must accept every file of the family (order settles doubtful ones). `encode_text`
    gets the text network, a prompt, the layer to stop at (-1: the last; 0: what the family was trained with) and the
    vectors of the embeddings that the prompt names; `encode_texts` a prompt for CLIP-L and one for CLIP-G instead,
    where the family has both. `inputs` says what the diffusion model reads of a condition. `model_options` reads what
    the shapes do not tell, such as what the network predicts, off the open file. `size` is the (width, height) in
    pixels that the model was trained at.
    """

    name: str
    title: str
    marks: tuple[str, ...]
    matches: Callable[[Shapes, NetworkHints], bool]
    parts: Mapping[Part, PartSpec]
    latent_format: LatentFormat
    sampling: ModelSampling
    encode_text: Callable[[nn.Module, str, int, Embeddings], TextEncoding]
    encode_texts: Callable[[nn.Module, tuple[str, str], int, Embeddings], TextEncoding] | None = None
    inputs: InputsOf = context_only
    model_options: Callable[[WeightFile, Layout], Options] = no_options
    size: tuple[int, int] = (512, 512)


@dataclass(frozen=True, slots=True)
class KnownFamily:
    """Recognise files that are something definite but cannot be run (yet), so that the message can say what.

    `loader` is the node that takes such files, where there is one.
    """

    name: str
    title: str
    matches: Callable[[Shapes], bool]
    loader: str | None = None


@dataclass(frozen=True, slots=True)
class Detected:
    """Tell what a file is: its family, its key layout, what its metadata adds, and which parts it holds.

    `model_options` are those of its diffusion model, where somebody opened the file to read them.
    """

    family: Family
    layout: Layout
    hints: NetworkHints
    parts: frozenset[Part]
    model_options: Options = ()

    @property
    def size(self) -> tuple[int, int]:
        """Return the (width, height) in pixels that the model was trained at."""
        return self.hints.size or self.family.size


def detect(
    shapes: Shapes,
    metadata: Mapping[str, str],
    families: Sequence[Family],
    known: Sequence[KnownFamily] = (),
    name: str = "the file",
) -> Detected:
    """Find the family of a file from its tensors' shapes; the first that matches, in the order given.

    Raises `WeightError` that names the family where it is known but not supported, and else the closest family and what
    the file lacks of it.
    """
    hints = read_hints(metadata)
    layout = original_names(shapes)
    originals = MappingProxyType(layout.shapes)
    for family in families:
        if family.matches(originals, hints):
            parts = (
                part for part, spec in family.parts.items() if any(key.startswith(spec.prefix) for key in originals)
            )
            return Detected(family, layout, hints, frozenset(parts))
    for other in known:
        if other.matches(originals):
            cannot = "no checkpoint" if other.loader else "not supported yet"
            raise WeightError(
                f"{name} is known but {cannot}: family {other.name} ({other.title})",
                code="E-WEIGHT-FAMILY",
                expected=", ".join(family.title for family in families),
                got=other.title,
                hint=f"load it with {other.loader}" if other.loader else "use a checkpoint of a supported family",
            )
    raise _unknown(originals, families, name)


def _unknown(shapes: Shapes, families: Sequence[Family], name: str) -> WeightError:
    def found(family: Family) -> int:
        return sum(mark in shapes for mark in family.marks)

    closest = max(families, key=found)
    missing = [mark for mark in closest.marks if mark not in shapes]
    if not missing:
        got = f"all {len(closest.marks)} tensors that mark it, but of sizes that do not belong together"
    else:
        more = f" and {len(missing) - NAMED} more" if len(missing) > NAMED else ""
        names = ", ".join(missing[:NAMED]) + more
        got = f"{len(missing)} of the {len(closest.marks)} tensors that mark it are missing: {names}"
    return WeightError(
        f"{name} belongs to no known family; the closest is {closest.title} ({got})",
        code="E-WEIGHT-FAMILY",
        expected=closest.title,
        got=f"{len(shapes)} tensors such as {', '.join(list(shapes)[:3])}",
        hint="check that this is a checkpoint and not a LoRA, an upscaler or an optimiser state",
    )
