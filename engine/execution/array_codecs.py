"""Keep the bulk of values (tensors, arrays, pictures, bytes) as one safetensors container, and read it back.

This is the one place of the layer that knows what a tensor, an array or a picture is, and it imports none of their
libraries before there is one to write or to read. Formats that safetensors does not name are kept as bytes, with their
name and shape in the JSON.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, BinaryIO

from engine.errors import WeightError
from engine.execution.value_codec import NotStorable, Outdated, Unreadable, decode, encode

if TYPE_CHECKING:
    from torch import Tensor

_HEADER_LENGTH = 8


class ArrayWriter:
    """Collects the bulk of one result; `write` then puts it down. A part that comes twice is kept once."""

    def __init__(self) -> None:
        self._tensors: list[Tensor] = []
        self._numbers: dict[int, int] = {}
        self._held: list[Any] = []  # so that no id is given to another object meanwhile

    def __len__(self) -> int:
        return len(self._tensors)

    @property
    def nbytes(self) -> int:
        """The bytes of all that was collected."""
        return sum(tensor.numel() * tensor.element_size() for tensor in self._tensors)

    def add(self, value: Any) -> list[Any] | None:
        """Keep a tensor, an array or a picture; return the JSON that finds it, or None for any other value.

        Raises `NotStorable` for those that have no plain bytes (sparse, quantized, of Python objects).
        """
        # Looked up, never imported: a value of theirs can only be here when its library is.
        torch, numpy, pil = (sys.modules.get(name) for name in ("torch", "numpy", "PIL.Image"))
        if torch is not None and isinstance(value, torch.Tensor):
            return self._add_tensor(value, torch)
        if torch is not None and isinstance(value, torch.dtype):
            return ["dtype", str(value).removeprefix("torch.")]
        if torch is not None and isinstance(value, torch.device):
            return ["device", str(value)]
        if numpy is not None and isinstance(value, (numpy.ndarray, numpy.generic)):
            return self._add_array(value, numpy)
        if pil is not None and isinstance(value, pil.Image):
            return self._add_picture(value)
        return None

    def add_bytes(self, value: bytes) -> int:
        """Keep bytes and return their number."""
        import torch

        return self._append(torch.frombuffer(bytearray(value), dtype=torch.uint8) if value else torch.empty(0).byte())

    def write(self, file: BinaryIO) -> None:
        """Write all as a safetensors container, the widest numbers first so that each lies where it can be mapped."""
        from engine.weights.safetensors_format import write_safetensors

        named = sorted(enumerate(self._tensors), key=lambda pair: -pair[1].element_size())
        write_safetensors(file, {str(number): tensor for number, tensor in named})

    def _append(self, tensor: Tensor) -> int:
        self._tensors.append(tensor)
        return len(self._tensors) - 1

    def _add_tensor(self, value: Any, torch: Any) -> list[Any]:
        from engine.weights.safetensors_format import DTYPES

        if type(value) is not torch.Tensor:
            raise NotStorable(f"a tensor of the class {type(value).__qualname__}")
        if value.layout is not torch.strided or value.is_quantized or value.device.type == "meta":
            raise NotStorable("a tensor without plain bytes")
        number = self._numbers.get(id(value))
        named = value.dtype in DTYPES.values()
        if number is None:
            plain = value.detach().resolve_conj().resolve_neg().cpu().contiguous()
            if plain.numel() == 1:  # any stride counts as contiguous then, but not for `view`
                plain = plain.clone(memory_format=torch.contiguous_format)
            number = self._append(plain if named else plain.reshape(-1).view(torch.uint8))
            self._numbers[id(value)] = number
            self._held.append(value)
        record: list[Any] = ["tensor", number]
        if not named or value.device.type != "cpu":
            record += [str(value.dtype).removeprefix("torch."), list(value.shape), str(value.device)]
        return record

    def _add_array(self, value: Any, numpy: Any) -> list[Any]:
        if type(value) is not numpy.ndarray and not isinstance(value, numpy.generic):
            raise NotStorable(f"an array of the class {type(value).__qualname__}")
        if value.dtype.hasobject or value.dtype.names is not None or value.dtype.subdtype is not None:
            raise NotStorable(f"an array of {value.dtype}")
        tag = "number" if isinstance(value, numpy.generic) else "array"
        return [tag, self.add_bytes(value.tobytes()), value.dtype.str, list(value.shape)]

    def _add_picture(self, value: Any) -> list[Any]:
        palette = value.getpalette("RGBA" if value.palette.mode == "RGBA" else "RGB") if value.mode == "P" else None
        mode = None if palette is None else value.palette.mode
        if mode not in (None, "RGB", "RGBA"):
            raise NotStorable(f"a picture with a palette of {mode}")
        shown = {
            key: item for key, item in value.info.items() if key in ("transparency", "dpi", "gamma", "icc_profile")
        }
        facts = encode(shown, self)
        return ["picture", self.add_bytes(value.tobytes()), value.mode, list(value.size), mode, palette, facts]


class ArrayReader:
    """Gives back what an `ArrayWriter` wrote. ``data`` is the container; the tensors live in it."""

    def __init__(self, data: bytearray | None) -> None:
        self._tensors: dict[str, Tensor] = {} if data is None else _read_tensors(data)

    def get(self, record: list[Any]) -> Any:
        """Return the value that ``record`` finds. Raises `Unreadable` when it finds none."""
        make = _MAKERS.get(record[0])
        if make is None:
            raise Unreadable(f"nothing is known of {str(record[0])[:40]!r}")
        return make(self, *record[1:])

    def get_bytes(self, number: int) -> bytes:
        """Return bytes by their number. Raises `Unreadable`."""
        return self.tensor(number).numpy().tobytes()

    def tensor(self, number: int) -> Tensor:
        """Return a tensor by its number, as it was written. Raises `Unreadable`."""
        found = self._tensors.get(str(number))
        if found is None:
            raise Unreadable(f"there is no tensor {number}")
        return found


def _read_tensors(data: bytearray) -> dict[str, Tensor]:
    import torch

    from engine.weights.safetensors_format import parse_header

    head = int.from_bytes(data[:_HEADER_LENGTH], "little") + _HEADER_LENGTH
    try:
        header = parse_header(io.BytesIO(data[:head]), len(data), "a cached result")
    except WeightError as error:
        raise Unreadable(str(error)) from error
    found = {}
    for name, entry in header.entries.items():
        if not entry.nbytes:
            found[name] = torch.empty(entry.shape, dtype=entry.dtype)
            continue
        raw = torch.frombuffer(data, dtype=torch.uint8, count=entry.nbytes, offset=entry.start)
        found[name] = _seen_as(raw, entry.dtype).reshape(entry.shape)
    return found


def _seen_as(raw: Tensor, dtype: Any) -> Tensor:
    """Return the bytes of ``raw`` as numbers, moved where no number would lie across an address that it may not."""
    return (raw.clone() if raw.data_ptr() % dtype.itemsize else raw).view(dtype)


def _tensor(reader: ArrayReader, number: int, dtype: str = "", shape: Any = (), device: str = "cpu") -> Any:
    found = reader.tensor(number)
    if not dtype:
        return found
    wanted = _dtype(reader, dtype)
    found = found if found.dtype is wanted else _seen_as(found, wanted).reshape(shape)
    if device == "cpu":
        return found
    try:
        return found.to(device)
    except (RuntimeError, AssertionError) as error:  # what torch raises for a device that is not there
        raise Outdated(f"the device {device} is not there") from error


def _dtype(reader: ArrayReader, name: str) -> Any:
    import torch

    found = getattr(torch, name, None)
    if not isinstance(found, torch.dtype):
        raise Unreadable(f"no such number format: {name[:40]!r}")
    return found


def _device(reader: ArrayReader, name: str) -> Any:
    import torch

    return torch.device(name)


def _array(reader: ArrayReader, number: int, dtype: str, shape: list[int]) -> Any:
    import numpy

    kind = numpy.dtype(dtype)
    if kind.hasobject:
        raise Unreadable("an array of objects")
    return numpy.frombuffer(bytearray(reader.get_bytes(number)), dtype=kind).reshape(shape)


def _number(reader: ArrayReader, number: int, dtype: str, shape: list[int]) -> Any:
    return _array(reader, number, dtype, shape)[()]


def _picture(
    reader: ArrayReader,
    number: int,
    mode: str,
    size: list[int],
    palette_mode: str | None,
    palette: list[int] | None,
    facts: Any,
) -> Any:
    from PIL import Image

    width, height = size
    picture = Image.frombytes(mode, (width, height), reader.get_bytes(number))
    if palette_mode is not None and palette is not None:
        picture.putpalette(palette, palette_mode)
    picture.info.update(decode(facts, reader))
    return picture


_MAKERS: Mapping[str, Callable[..., Any]] = MappingProxyType(
    {
        "tensor": _tensor,
        "dtype": _dtype,
        "device": _device,
        "array": _array,
        "number": _number,
        "picture": _picture,
    }
)
