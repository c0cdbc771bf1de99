"""Running prompts with the test packs, and looking at what their nodes kept."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Any

from engine.errors import Problem
from engine.graph.documents import load_document
from engine.session import Result, Session

PACKS = Path(__file__).parent / "packs"


class Bench:
    """Runs API prompts in one session and looks at what the nodes of the test packs kept."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.events: list[Any] = []

    @property
    def calls(self) -> list[Any]:
        found: list[Any] = self._log().CALLS
        return found

    @property
    def shown(self) -> dict[str, Any]:
        found: dict[str, Any] = self._log().SHOWN
        return found

    def _log(self) -> Any:
        return sys.modules["custom_nodes.contract"]

    def run(self, prompt: dict[str, Any], outputs: list[str] | None = None, **more: Any) -> Result:
        _ = self.session.registry
        if "custom_nodes.contract" in sys.modules:
            self.calls.clear()
            self.shown.clear()
        self.events.clear()
        more.setdefault("listener", self.events.append)
        return self.session.run(load_document(prompt, self.session.interfaces), outputs=outputs, **more)

    def value(self, prompt: dict[str, Any], id: str = "1", slot: int = 0) -> Any:
        result = self.run(prompt, outputs=[id])
        result.raise_for_failure()
        return result.made.values[id][slot]

    def problems(self, prompt: dict[str, Any], outputs: list[str] | None = None) -> list[Problem]:
        _ = self.session.registry
        return self.session.problems(load_document(prompt, self.session.interfaces), outputs)

    def problem(self, prompt: dict[str, Any], id: str = "1") -> Problem:
        found = self.problems(prompt, [id])
        assert len(found) == 1, [str(one) for one in found]
        return found[0]


def node(type: str, **inputs: Any) -> dict[str, Any]:
    return {"class_type": type, "inputs": inputs}


def install(base: Path, *names: str) -> None:
    for name in names:
        shutil.copytree(PACKS / name, base / "custom_nodes" / name, ignore=shutil.ignore_patterns("__pycache__"))
