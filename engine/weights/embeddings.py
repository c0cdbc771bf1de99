"""Read textual inversions (Gal et al., 2022, arXiv:2208.01618): vectors that take the place of token embeddings.

Four kinds of files are in use, in any of the formats that `engine.weights.files` reads:
``string_to_param`` (a table from "*" to [n, d]), a token's own name to [d] or [n, d], ``emb_params``, and one tensor
for each text encoder (``clip_l`` and ``clip_g``). Which encoder a tensor is for shows in its width, whatever its name.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from torch import Tensor

from engine.errors import WeightError
from engine.weights.files import open_weights

__all__ = ["MAX_VECTORS", "read_embedding"]

MAX_VECTORS: Final = 1024
SHOWN: Final = 3


def read_embedding(path: Path, name: str) -> dict[int, Tensor]:
    """Map the width d of each text encoder that the file is for to its vectors [n, d], float32.

    Raises `WeightError` where the file is damaged or holds no such vectors, or more than one set of the same width.
    """
    found: dict[int, Tensor] = {}
    with open_weights(path) as file:
        for key in file.shapes:
            tensor = file.tensor(key)
            if tensor.ndim not in (1, 2) or not tensor.is_floating_point() or not tensor.numel():
                continue
            vectors = tensor.detach().reshape(-1, tensor.shape[-1]).float().clone()
            width = vectors.shape[-1]
            if width in found or len(vectors) > MAX_VECTORS:
                raise _wrong(name, list(file.shapes), f"several tensors {width} wide, or more than {MAX_VECTORS} rows")
            found[width] = vectors
        if not found:
            raise _wrong(name, list(file.shapes), "none that could be one")
    return found


def _wrong(name: str, keys: list[str], got: str) -> WeightError:
    return WeightError(
        f"{name} is not a textual inversion",
        expected="one set of vectors [n, width] for each text encoder",
        got=f"{len(keys)} tensors such as {', '.join(keys[:SHOWN])}: {got}",
        hint="choose a file of models/embeddings; a LoRA or a checkpoint is loaded with its own node",
    )
