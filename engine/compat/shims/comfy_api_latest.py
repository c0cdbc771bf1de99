"""``comfy_api.latest`` (and ``v0_0_2``, ``v0_0_1``): the names of the schema style, and progress."""

from __future__ import annotations

import abc
from typing import Any

from engine.compat.calling import current_call
from engine.compat.schema import ComfyNode, NodeOutput
from engine.compat.shims import comfy_api_io as io
from engine.compat.shims import comfy_api_ui as ui
from engine.compat.shims.comfy_api_input import Input
from engine.compat.shims.comfy_utils import report

__all__ = [
    "IO",
    "UI",
    "ComfyAPI",
    "ComfyAPISync",
    "ComfyAPI_latest",
    "ComfyExtension",
    "ComfyNode",
    "Input",
    "NodeOutput",
    "io",
    "ui",
]

IO, UI = io, ui


class ComfyExtension(abc.ABC):
    """What ``comfy_entrypoint`` returns: a pack's nodes."""

    async def on_load(self) -> None:  # noqa: B027 (nothing is what most packs do)
        """Do what is to be done once, before the nodes are asked for."""

    @abc.abstractmethod
    async def get_node_list(self) -> list[type[ComfyNode]]:
        """Return the classes of the nodes."""


class _Execution:
    """What a node may tell the run."""

    async def set_progress(
        self,
        value: float,
        max_value: float,
        node_id: str | None = None,
        preview_image: Any = None,
        ignore_size_limit: bool = False,
    ) -> None:
        """Report progress of the node that runs, or of ``node_id``. Raises `Cancelled` when the run was asked to stop.

        ``preview_image``: a picture of Pillow, or [B, H, W, C] in 0..1. Raises `ValueError` outside of any node.
        """
        _set_progress(value, max_value, node_id, preview_image)


class _ExecutionSync:
    """The same for functions that are no coroutines."""

    def set_progress(
        self,
        value: float,
        max_value: float,
        node_id: str | None = None,
        preview_image: Any = None,
        ignore_size_limit: bool = False,
    ) -> None:
        """Report progress as the coroutine of this name does."""
        _set_progress(value, max_value, node_id, preview_image)


def _set_progress(value: float, max_value: float, node_id: str | None, preview: Any) -> None:
    call = current_call()
    if call is None:
        raise ValueError("set_progress: no node is running")
    report(call.context, value, max_value, _picture(preview), node_id)


def _picture(preview: Any) -> Any:
    if not hasattr(preview, "ndim"):
        return preview
    from engine.media.images import to_pil

    return to_pil((preview[0] if preview.ndim == 4 else preview).detach().cpu().float().numpy())


class ComfyAPI:
    """The engine as nodes see it. Its calls are coroutines."""

    VERSION = "latest"
    STABLE = False
    Execution = _Execution

    def __init__(self) -> None:
        self.execution = _Execution()


class ComfyAPISync:
    """The engine as nodes see it. Its calls are plain."""

    VERSION = "latest"
    STABLE = False
    Execution = _ExecutionSync

    def __init__(self) -> None:
        self.execution = _ExecutionSync()


ComfyAPI_latest = ComfyAPI
