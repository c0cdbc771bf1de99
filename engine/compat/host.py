"""The engine as packs' modules see it: the folders, settings and node types of the session that packs were loaded for.

Packs reach the engine through modules (`folder_paths`, `nodes`), which belong to the process and not to a session.
While a node runs, they see the run it is part of; else the session that loaded packs last.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

from engine.compat.calling import current_call
from engine.errors import InputError
from engine.graph.registry import EMPTY_REGISTRY, Registry
from engine.paths import Folders, make_folders


@dataclasses.dataclass(frozen=True, slots=True)
class Engine:
    """What a session lends to packs. The last two are made when they are first asked for."""

    folders: Folders
    settings: Any
    registry: Callable[[], Registry]
    services: Callable[[], Any]


class Host:
    """Holds the engine that packs see."""

    def __init__(self) -> None:
        self._engine: Engine | None = None
        self.classes: dict[str, Any] = {}
        """The classes that packs declared, by node id."""

    def use(self, engine: Engine) -> None:
        """Let packs see ``engine`` from now on."""
        self._engine = engine
        self.classes = {}

    @property
    def engine(self) -> Engine:
        """The session's side. Raises `InputError` where no session loaded packs."""
        if self._engine is None:
            raise InputError("no session is there for packs", hint="open a Session before importing packs' modules")
        return self._engine

    @property
    def folders(self) -> Folders:
        """The folders of the run that asks, else of the session; under the working directory where there is none."""
        call = current_call()
        found = getattr(call.context, "folders", None) if call is not None else None
        if isinstance(found, Folders):
            return found
        return self._engine.folders if self._engine is not None else make_folders(Path.cwd())

    @property
    def settings(self) -> Any:
        """The settings of the session, or None."""
        return None if self._engine is None else self._engine.settings

    @property
    def registry(self) -> Registry:
        """The node types of the session."""
        return EMPTY_REGISTRY if self._engine is None else self._engine.registry()


# The modules that packs import are one for the whole process, so what stands behind them is as well.
HOST = Host()
