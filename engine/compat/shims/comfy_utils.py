"""``comfy.utils``: progress, resizing, and weight files."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from engine.compat.calling import current_call

PROGRESS_BAR_ENABLED = True
_hooks: list[Callable[..., Any]] = []  # packs set one for the whole process


def set_progress_bar_enabled(enabled: bool) -> None:
    """Accept the wish; progress is told to whoever listens to the run."""


def set_progress_bar_global_hook(function: Callable[..., Any] | None) -> None:
    """Call ``function(value, total, preview, node_id=…)`` at each report, beside telling the run."""
    _hooks[:] = [] if function is None else [function]


def __getattr__(name: str) -> Any:
    if name == "PROGRESS_BAR_HOOK":
        return _hooks[0] if _hooks else None
    raise AttributeError(f"module 'comfy.utils' has no attribute {name!r}")


class ProgressBar:
    """Reports how far a node is, on itself or on ``node_id``. Each report is where the run may be cancelled."""

    def __init__(self, total: int, node_id: str | None = None) -> None:
        self.total = total
        self.current = 0
        self.node_id = node_id
        self._call = current_call()  # reports may come from threads that the pack starts

    def update_absolute(self, value: int, total: int | None = None, preview: Any = None) -> None:
        """Report that ``value`` of ``total`` is done. Raises `Cancelled` when the run was asked to stop."""
        if total is not None:
            self.total = total
        self.current = min(value, self.total)
        for hook in _hooks:
            hook(self.current, self.total, preview, node_id=self.node_id)
        if self._call is not None:
            report(self._call.context, self.current, self.total, preview, self.node_id)

    def update(self, value: int) -> None:
        """Report that ``value`` more is done."""
        self.update_absolute(self.current + value)


def report(context: Any, value: float, total: float, preview: Any = None, node_id: str | None = None) -> None:
    """Tell the run of ``context``; ``preview`` is a picture, or ``(format, picture, size)``."""
    if isinstance(preview, tuple) and len(preview) > 1:
        preview = preview[1]
    if node_id is not None and str(node_id) != str(context.node_id):
        from engine.execution.events import NodeProgress, tell

        context.check_cancelled()
        tell(context.scope.listener, NodeProgress(str(node_id), int(value), int(total), preview))
        return
    context.progress(int(value), int(total), preview)


def common_upscale(samples: Any, width: int, height: int, upscale_method: str, crop: str) -> Any:
    """Resize [B, C, H, W] (or [B, C, T, H, W]); ``crop`` is ``center`` or ``disabled``."""
    from engine.diffusion.latents import resize_latent

    if samples.ndim == 5:
        batch, channels, frames = samples.shape[:3]
        flat = samples.movedim(2, 1).reshape(batch * frames, channels, *samples.shape[3:])
        resized = common_upscale(flat, width, height, upscale_method, crop)
        return resized.reshape(batch, frames, channels, height, width).movedim(1, 2)
    if upscale_method == "lanczos":
        return lanczos(_cropped(samples, width / height) if crop == "center" else samples, width, height)
    cut: Any = crop
    return resize_latent(samples, width, height, upscale_method, cut)


def _cropped(samples: Any, aspect: float) -> Any:
    height, width = samples.shape[-2:]
    x = round((width - height * aspect) / 2) if width / height > aspect else 0
    y = round((height - width / aspect) / 2) if width / height < aspect else 0
    return samples[..., y : height - y, x : width - x]


def lanczos(samples: Any, width: int, height: int) -> Any:
    """Resize pictures [B, C, H, W] in 0..1 by the Lanczos filter, in 8 bits."""
    import torch

    from engine.media.images import resize_lanczos

    made = resize_lanczos(samples.movedim(1, -1).cpu().float().numpy(), width, height)
    return torch.from_numpy(made).movedim(-1, 1).to(samples.device, samples.dtype)


def bislerp(samples: Any, width: int, height: int) -> Any:
    """Resize [B, C, H, W] by interpolating directions."""
    from engine.diffusion.latents import resize_latent

    return resize_latent(samples, width, height, "bislerp", "disabled")


def load_torch_file(ckpt: Any, safe_load: bool = True, device: Any = None, return_metadata: bool = False) -> Any:
    """Read a weight file whole: a dict of tensors (and its metadata). Never runs code that a file brings.

    Raises `WeightError` where the file is damaged or unsafe, whatever ``safe_load`` says.
    """
    from engine.weights.files import open_weights

    with open_weights(Path(ckpt)) as file:
        tensors = {name: file.tensor(name) for name in file.shapes}
        metadata = dict(file.metadata)
    if device is not None:
        tensors = {name: one.to(device) for name, one in tensors.items()}
    return (tensors, metadata) if return_metadata else tensors


def save_torch_file(sd: Mapping[str, Any], ckpt: Any, metadata: Mapping[str, str] | None = None) -> None:
    """Write tensors to a safetensors file."""
    from engine.weights.files import save_safetensors

    save_safetensors(Path(ckpt), {name: one.contiguous() for name, one in sd.items()}, dict(metadata or {}))


def repeat_to_batch_size(tensor: Any, batch_size: int, dim: int = 0) -> Any:
    """Cut or repeat a tensor along ``dim`` to ``batch_size`` items."""
    size = tensor.shape[dim]
    if size > batch_size:
        return tensor.narrow(dim, 0, batch_size)
    if size < batch_size:
        times = [1] * tensor.ndim
        times[dim] = -(-batch_size // size)
        return tensor.repeat(times).narrow(dim, 0, batch_size)
    return tensor


def state_dict_prefix_replace(
    state_dict: dict[str, Any], replace_prefix: Mapping[str, str], filter_keys: bool = False
) -> dict[str, Any]:
    """Rename keys by their beginnings; ``filter_keys`` leaves the others out of the result."""
    out: dict[str, Any] = {} if filter_keys else state_dict
    for old, new in replace_prefix.items():
        for key in [key for key in state_dict if key.startswith(old)]:
            out[new + key[len(old) :]] = state_dict.pop(key)
    return out


def calculate_parameters(sd: Mapping[str, Any], prefix: str = "") -> int:
    """Count the numbers in the tensors whose names begin with ``prefix``."""
    return sum(one.nelement() for name, one in sd.items() if name.startswith(prefix))


def get_attr(obj: Any, attr: str) -> Any:
    """Return ``obj.a.b`` for ``"a.b"``."""
    for name in attr.split("."):
        obj = getattr(obj, name)
    return obj


def set_attr(obj: Any, attr: str, value: Any) -> Any:
    """Set ``obj.a.b`` for ``"a.b"`` and return what was there."""
    *path, last = attr.split(".")
    for name in path:
        obj = getattr(obj, name)
    previous = getattr(obj, last)
    setattr(obj, last, value)
    return previous
