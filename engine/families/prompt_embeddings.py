"""Textual inversions in prompts: from the names that texts mention to the vectors that an encoder reads."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Final

from torch import Tensor

from engine.errors import WeightError
from engine.graph.mentions import named_files
from engine.weights.embeddings import read_embedding

__all__ = ["NO_EMBEDDINGS", "Embeddings", "read_embeddings", "vectors_for"]

Embeddings = Mapping[str, Mapping[int, Tensor]]
"""Vectors [n, width] by the name in the prompt, then by width."""

NO_EMBEDDINGS: Final[Embeddings] = MappingProxyType({})
WIDTH_TITLES: Final = {768: "Stable Diffusion 1", 1024: "Stable Diffusion 2", 1280: "Stable Diffusion XL"}

log = logging.getLogger(__name__)


def read_embeddings(find: Callable[[str], Path], *texts: str) -> Embeddings:
    """Read every embedding that `texts` name; `find` is the resolver of the embeddings folder.

    Raises what `find` raises (`PathError` with the nearest names), and `WeightError` as `read_embedding` does.
    """
    names = dict.fromkeys(name for text in texts for name in named_files(text))
    return {name: read_embedding(find(name), name) for name in names}


def vectors_for(embeddings: Embeddings, widths: Sequence[int]) -> list[dict[str, Tensor]]:
    """Return, for each text encoder (by its width), the vectors that it reads, by name.

    Of a model with two encoders a file may serve one alone; the other then reads the prompt without it, and that is
    logged. Raises `WeightError` where a file serves none of them.
    """
    for name, kinds in embeddings.items():
        missing = [width for width in widths if width not in kinds]
        if len(missing) == len(widths):
            made_for = ", ".join(WIDTH_TITLES[width] for width in kinds if width in WIDTH_TITLES)
            raise WeightError(
                f"the embedding {name} was made for another kind of model" + (f" ({made_for})" if made_for else ""),
                code="E-WEIGHT-FAMILY",
                expected=f"vectors {' or '.join(map(str, widths))} wide, as this text encoder reads",
                got=f"{' and '.join(map(str, kinds))} wide",
                hint="use an embedding for this model, or take it out of the prompt",
            )
        if missing:
            log.warning("the embedding %s has no vectors for the text encoder %s wide", name, missing[0])
    return [{name: kinds[width] for name, kinds in embeddings.items() if width in kinds} for width in widths]
