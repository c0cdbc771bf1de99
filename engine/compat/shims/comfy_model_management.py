"""``comfy.model_management``: what devices there are, and being interrupted.

The engine's own residency decides where weights lie, so what would move them does nothing here.
"""

from __future__ import annotations

import enum
from typing import Any

import torch

from engine.compat.calling import current_call
from engine.compat.host import HOST
from engine.errors import Cancelled
from engine.memory.devices import DeviceInfo, choose_dtype, probe_device
from engine.memory.devices import free_bytes as _free_bytes

InterruptProcessingException = Cancelled
OOM_EXCEPTION: type[BaseException] = torch.OutOfMemoryError
XFORMERS_IS_AVAILABLE = False
DISABLE_SMART_MEMORY = False


class CPUState(enum.Enum):
    """Kinds of machines."""

    GPU = 0
    CPU = 1
    MPS = 2


class VRAMState(enum.Enum):
    """How tight memory is."""

    DISABLED = 0
    NO_VRAM = 1
    LOW_VRAM = 2
    NORMAL_VRAM = 3
    HIGH_VRAM = 4
    SHARED = 5


def __getattr__(name: str) -> Any:
    if name == "cpu_state":
        kinds = {"cpu": CPUState.CPU, "mps": CPUState.MPS}
        return kinds.get(get_torch_device().type, CPUState.GPU)
    if name == "vram_state":
        return VRAMState.NORMAL_VRAM if get_torch_device().type not in ("cpu", "mps") else VRAMState.SHARED
    if name == "total_vram":
        return get_total_memory() / (1 << 20)
    raise AttributeError(f"module 'comfy.model_management' has no attribute {name!r}")


def _info(device: Any = None) -> DeviceInfo:
    if device is not None:
        return probe_device(str(device))
    return probe_device(getattr(HOST.settings, "device", None) or "auto")


def get_torch_device() -> torch.device:
    """Return the device that models compute on."""
    return _info().device


def get_torch_device_name(device: Any) -> str:
    """Return a device's name for people."""
    device = torch.device(device)
    return torch.cuda.get_device_name(device) if device.type == "cuda" else str(device)


def _cpu() -> torch.device:
    return torch.device("cpu")


def unet_offload_device() -> torch.device:
    """Return where diffusion models wait."""
    return _cpu()


def text_encoder_offload_device() -> torch.device:
    """Return where text encoders wait."""
    return _cpu()


def vae_offload_device() -> torch.device:
    """Return where VAEs wait."""
    return _cpu()


def intermediate_device() -> torch.device:
    """Return where values on wires lie."""
    return _cpu()


def text_encoder_device() -> torch.device:
    """Return where text encoders compute."""
    return get_torch_device()


def vae_device() -> torch.device:
    """Return where VAEs compute."""
    return get_torch_device()


def unet_inital_load_device(parameters: Any, dtype: Any) -> torch.device:
    """Return where a diffusion model is built; spelled as packs spell it."""
    return _cpu()


def unet_dtype(device: Any = None, **facts: Any) -> torch.dtype:
    """Return the number format of diffusion models."""
    return choose_dtype(_info(device), "diffusion")


def text_encoder_dtype(device: Any = None) -> torch.dtype:
    """Return the number format of text encoders."""
    return choose_dtype(_info(device), "text")


def vae_dtype(device: Any = None, allowed_dtypes: Any = ()) -> torch.dtype:
    """Return the number format of VAEs."""
    return choose_dtype(_info(device), "vae")


def should_use_fp16(device: Any = None, **facts: Any) -> bool:
    """Say whether float16 is what to compute in."""
    return choose_dtype(_info(device), "diffusion") is torch.float16


def should_use_bf16(device: Any = None, **facts: Any) -> bool:
    """Say whether bfloat16 is what to compute in."""
    return choose_dtype(_info(device), "vae") is torch.bfloat16


def get_total_memory(dev: Any = None, torch_total_too: bool = False) -> Any:
    """Return the bytes of memory that a device has."""
    total = _info(dev).total_bytes
    return (total, total) if torch_total_too else total


def get_free_memory(dev: Any = None, torch_free_too: bool = False) -> Any:
    """Return the bytes of memory of a device that nobody uses."""
    free = _free_bytes(_info(dev))
    return (free, 0) if torch_free_too else free


def soft_empty_cache(force: bool = False) -> None:
    """Give memory that torch keeps for itself back to the device."""
    kind = get_torch_device().type
    if kind == "cuda":
        torch.cuda.empty_cache()
    elif kind == "mps":
        torch.mps.empty_cache()
    elif kind == "xpu":
        torch.xpu.empty_cache()


def unload_all_models() -> None:
    """Do nothing: the residency gives memory back when it is needed."""


def cleanup_models() -> None:
    """Do nothing, as for `unload_all_models`."""


def free_memory(memory_required: float, device: Any, keep_loaded: Any = ()) -> list[Any]:
    """Do nothing, as for `unload_all_models`."""
    return []


def loaded_models(only_currently_used: bool = False) -> list[Any]:
    """Return nothing: models are recipes here."""
    return []


def processing_interrupted() -> bool:
    """Say whether the run was asked to stop."""
    call = current_call()
    return bool(call is not None and call.context.cancelled)


def throw_exception_if_processing_interrupted() -> None:
    """Raise `Cancelled` when the run was asked to stop."""
    call = current_call()
    if call is not None:
        call.context.check_cancelled()


def interrupt_current_processing(value: bool = True) -> None:
    """Ask the run that this is called from to stop."""
    call = current_call()
    if value and call is not None:
        call.context.scope.cancel.cancel()


def is_device_cpu(device: Any) -> bool:
    """Say whether this is the CPU."""
    return torch.device(device).type == "cpu"


def is_device_mps(device: Any) -> bool:
    """Say whether this is Apple's."""
    return torch.device(device).type == "mps"


def is_device_cuda(device: Any) -> bool:
    """Say whether this is CUDA."""
    return torch.device(device).type == "cuda"


def is_nvidia() -> bool:
    """Say whether models compute on a card of NVIDIA's."""
    return get_torch_device().type == "cuda" and torch.version.cuda is not None


def is_intel_xpu() -> bool:
    """Say whether models compute on a card of Intel's."""
    return get_torch_device().type == "xpu"


def mps_mode() -> bool:
    """Say whether models compute on Apple's."""
    return get_torch_device().type == "mps"


def cpu_mode() -> bool:
    """Say whether models compute on the CPU."""
    return get_torch_device().type == "cpu"


def xformers_enabled() -> bool:
    """Say that xformers is not used."""
    return False


def pytorch_attention_enabled() -> bool:
    """Say that torch's own attention is used."""
    return True


def get_autocast_device(dev: Any) -> str:
    """Return the kind of a device for ``torch.autocast``."""
    return str(getattr(dev, "type", "cpu"))


def dtype_size(dtype: torch.dtype) -> int:
    """Return the bytes of one number."""
    return dtype.itemsize


def cast_to_device(tensor: torch.Tensor, device: Any, dtype: torch.dtype, copy: bool = False) -> torch.Tensor:
    """Move and convert a tensor."""
    return tensor.to(device=device, dtype=dtype, copy=copy)
