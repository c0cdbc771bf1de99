"""Upscale models: single networks from picture to larger picture, recognised and built by spandrel.

What travels on an UPSCALE_MODEL wire is a recipe like any other; the residency builds the network and keeps it.
"""

from __future__ import annotations

import contextlib
import functools
import math
from collections.abc import Callable
from typing import Any, Final

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from engine.errors import InputError, WeightError
from engine.families.registry import detect_family
from engine.imaging.tiles import plan_grid
from engine.memory.activations import ActivationMeter, checked_calls
from engine.memory.devices import DeviceInfo, free_bytes
from engine.memory.residency import Residency
from engine.weights.files import WeightFile, open_weights
from engine.weights.loading import empty_construction
from engine.weights.recipe import FileRef, ModelRecipe

__all__ = ["Upscaler", "build_upscaler", "load_upscaler", "measure_upscaler", "upscale"]

FAMILY: Final = "upscaler"
PROBE_SIDE: Final = 64
TILE_BYTES: Final = 512 << 20
"""What a tile may take where there is plenty. The same on every machine, so that its pictures are, too."""

SMALLEST_TILE_BYTES: Final = 16 << 20
FREE_SHARE: Final = 0.5
SHOWN: Final = 3

Check = Callable[[], None]
Report = Callable[[int, int], None]


def load_upscaler(file: FileRef) -> ModelRecipe:
    """Return the recipe of an upscale model; only the file's header is looked at.

    Raises `WeightError` that says what the file is where it is damaged or of no architecture that spandrel knows.
    """
    spandrel = _spandrel()
    with open_weights(file.path) as opened:
        tensors = spandrel.canonicalize_state_dict({name: opened.tensor(name) for name in opened.shapes})
        if not any(one.detect(tensors) for one in spandrel.MAIN_REGISTRY.architectures("detection")):
            raise _unknown(file, opened)
    return ModelRecipe(file, FAMILY, "upscale")


def build_upscaler(recipe: ModelRecipe, device: DeviceInfo, dtype: torch.dtype) -> Upscaler:
    """Return the network of an upscale recipe with its weights on `device`, as `dtype` if the architecture bears it.

    The weights are copied from the mapped file straight into the network. Raises `WeightError` as `load_upscaler` does,
    or where the file is incomplete.
    """
    spandrel = _spandrel()
    with open_weights(recipe.file.path) as opened:
        tensors = {name: opened.tensor(name) for name in opened.shapes}
        try:
            with empty_construction():
                descriptor = spandrel.ModelLoader().load_from_state_dict(tensors)
        except spandrel.UnsupportedModelError as error:
            raise _unknown(recipe.file, opened) from error
        except (RuntimeError, ValueError, KeyError, IndexError, TypeError, AssertionError) as error:
            raise WeightError(
                f"{recipe.file.name} is an incomplete upscale model: {str(error).strip().splitlines()[-1][:200]}",
                expected="the tensors of one network",
                got=f"{len(opened.shapes)} tensors",
                hint="download it again",
            ) from error
        del tensors
        opened.release(opened.shapes)
    if not isinstance(descriptor, spandrel.ImageModelDescriptor):
        raise WeightError(f"{recipe.file.name} is no upscaler of single pictures", got=type(descriptor).__name__)
    bears = {torch.float16: descriptor.supports_half, torch.bfloat16: descriptor.supports_bfloat16}
    descriptor.to(device.device, dtype if bears.get(dtype, True) else torch.float32)
    return Upscaler(descriptor)


def empty_upscaler(recipe: ModelRecipe, dtype: torch.dtype) -> Upscaler:
    """Return the network of an upscale recipe on the meta device; only the file's header is read.

    Raises `WeightError` where the file is incomplete or the architecture cannot be told from names and shapes.
    """
    spandrel = _spandrel()
    with open_weights(recipe.file.path) as opened:
        tensors = {name: torch.empty(shape, device="meta") for name, shape in opened.shapes.items()}
        try:
            with torch.device("meta"), empty_construction():
                descriptor = spandrel.ModelLoader("meta").load_from_state_dict(tensors)
        except spandrel.UnsupportedModelError as error:
            raise _unknown(recipe.file, opened) from error
        except (RuntimeError, ValueError, KeyError, IndexError, TypeError, AssertionError) as error:
            raise WeightError(
                f"{recipe.file.name} cannot be described by its header alone: {error}",
                expected="an architecture whose sizes are told by names and shapes",
                got=type(error).__name__,
            ) from error
    bears = {torch.float16: descriptor.supports_half, torch.bfloat16: descriptor.supports_bfloat16}
    descriptor.to("meta", dtype if bears.get(dtype, True) else torch.float32)
    return Upscaler(descriptor)


def measure_upscaler(recipe: ModelRecipe, dtype: torch.dtype) -> int:
    """Return the bytes that the weights of an upscale recipe take as `dtype`. Raises `WeightError`."""
    with open_weights(recipe.file.path) as opened:
        return sum(math.prod(shape) for shape in opened.shapes.values()) * dtype.itemsize


class Upscaler(nn.Module):
    """Enlarge planes [B, C, H, W] in 0..1 by `scale`; C is `channels`."""

    def __init__(self, descriptor: Any) -> None:  # spandrel's ImageModelDescriptor
        super().__init__()
        self.descriptor = descriptor
        self.model: nn.Module = descriptor.model.requires_grad_(False).eval()
        self.scale, self.channels = int(descriptor.scale), int(descriptor.input_channels)

    def forward(self, planes: Tensor) -> Tensor:
        weight = next(self.model.parameters())
        ready = planes.to(weight.device, weight.dtype)
        if weight.device.type == "cpu":  # channels last: measured to take two thirds of the time
            ready = ready.clone(memory_format=torch.channels_last)  # not contiguous(): it keeps odd batch strides
        made: Tensor = self.descriptor(ready)
        return made

    @functools.cached_property
    def bytes_per_pixel(self) -> float:
        """Return what the activations take for each pixel of the input, measured once on a small picture."""
        with ActivationMeter() as meter:
            self(torch.zeros(1, self.channels, PROBE_SIDE, PROBE_SIDE))
        return float(meter.needed) / PROBE_SIDE**2


def upscale(
    models: Residency,
    recipe: ModelRecipe,
    images: Tensor,
    *,
    report: Report = lambda done, total: None,
    check: Check = lambda: None,
    tile_bytes: int | None = None,
) -> Tensor:
    """Enlarge pictures [B, H, W, C] in 0..1 to [B, H * scale, W * scale, C], one after the other, on the CPU.

    C is 1 (grey: the network sees three equal channels, and their mean is taken), 3, or 4 (the network sees the
    colours; alpha is enlarged bilinearly, unless the network takes alpha). A picture that would take more than
    `tile_bytes` beside the weights (None: `TILE_BYTES`, or less where memory is short) is worked on in tiles. `report`
    hears of each tile; `check` is called before every operation; both may raise to stop.
    """
    if images.ndim != 4 or images.shape[-1] not in (1, 3, 4):
        raise InputError(
            "these are no pictures", input="image", expected="[B, H, W, 1, 3 or 4]", got=str(list(images.shape))
        )
    with models.use(recipe) as network, torch.no_grad():
        assert isinstance(network, Upscaler)
        height, width = images.shape[1:3]
        grid = plan_grid(height, width, _tile_pixels(network, models.device, height * width, tile_bytes))
        total, done = len(grid) * len(images), 0
        enlarged = torch.empty(0)
        for index, image in enumerate(images):
            planes = image.movedim(-1, 0).float()
            for tile in grid:
                report(done, total)
                rows, columns = slice(tile.top, tile.top + tile.height), slice(tile.left, tile.left + tile.width)
                with checked_calls(check):
                    made = _enlarge(network, network.channels, planes[:, rows, columns]).float().cpu()
                if not done:
                    enlarged = torch.zeros(len(images), height * network.scale, width * network.scale, len(made))
                grid.add(enlarged[index].movedim(-1, 0), tile, made, network.scale)
                done += 1
        report(total, total)
    return enlarged.clamp_(0, 1)


def _tile_pixels(network: Upscaler, device: DeviceInfo, pixels: int, tile_bytes: int | None) -> int:
    """Return how many pixels of input a tile may have."""
    if pixels <= PROBE_SIDE**2:
        return pixels
    if tile_bytes is None:
        tile_bytes, free = TILE_BYTES, free_bytes(device) * FREE_SHARE
        while tile_bytes > free and tile_bytes > SMALLEST_TILE_BYTES:
            tile_bytes //= 2
    return int(tile_bytes / network.bytes_per_pixel)


def _enlarge(network: Callable[[Tensor], Tensor], channels: int, planes: Tensor) -> Tensor:
    """Return [C, H * scale, W * scale] of [C, H, W], whatever number of channels the network takes."""
    count = len(planes)
    if channels == 1:
        return network(planes[:, None])[:, 0]
    if channels not in (3, 4):
        raise InputError(
            f"the upscale model takes pictures with {channels} channels, which no picture here has",
            input="upscale_model",
            expected="1, 3 or 4 channels",
            got=str(channels),
        )
    colours = planes[:3].expand(3, -1, -1)
    if channels == 4:
        alpha = planes[3:] if count == 4 else torch.ones_like(planes[:1])
        made = network(torch.cat([colours, alpha])[None])[0]
    else:
        made = network(colours[None])[0]
    if count == 1:
        return made[:3].mean(dim=0, keepdim=True)
    if count == 4 and len(made) == 3:
        alpha = interpolate(planes[None, 3:], size=made.shape[-2:], mode="bilinear")[0]
        return torch.cat([made, alpha.to(made)])
    return made[:count]


def _spandrel() -> Any:
    try:
        import spandrel
    except ImportError as error:
        raise InputError(
            "upscale models need the package spandrel, which is not installed", hint="pip install spandrel"
        ) from error
    return spandrel


def _unknown(file: FileRef, opened: WeightFile) -> WeightError:
    """Return the error that says what a file is instead of an upscale model."""
    names = list(opened.shapes)
    got = f"{len(names)} tensors such as {', '.join(names[:SHOWN])}"
    if any("lora" in name for name in names):
        got = "a LoRA"
    else:
        with contextlib.suppress(WeightError):  # of no known kind: its tensors are named
            got = f"a checkpoint of {detect_family(opened.shapes, opened.metadata, file.name).family.title}"
    return WeightError(
        f"{file.name} is of no upscaler architecture that is known",
        expected="ESRGAN, Compact, SwinIR, DAT or another that spandrel knows",
        got=got,
        hint="choose a file from models/upscale_models",
    )
