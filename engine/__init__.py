"""Safelight: a node-graph workflow engine for diffusion models.

    from engine import open_workflow

    result = open_workflow("workflows/text_to_image.json").set("KSampler.seed", 7).run()

The names below are loaded when they are first used, so that importing one part of the engine does not import all of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from engine.session import Result, Session, Workflow, open_workflow
    from engine.settings import Settings, read_settings

__all__ = ["Result", "Session", "Settings", "Workflow", "open_workflow", "read_settings"]

_HOMES = {"Settings": "engine.settings", "read_settings": "engine.settings"}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'engine' has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(_HOMES.get(name, "engine.session")), name)


def __dir__() -> list[str]:
    return sorted(__all__)
