"""``execution``: what packs import of the module that runs prompts."""

from __future__ import annotations

from engine.compat.returns import ExecutionBlocker

__all__ = ["ExecutionBlocker"]
