"""Has packs that were never tried imported in a process of their own, so that none of them can end the server.

All are tried in one process; when that does not come to its end, each in one of its own, to know which it was. A pack
is tried once: the outcome is kept by the digest of its files (`engine.compat.trials`).
"""

from __future__ import annotations

import dataclasses
import json
import logging
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from engine.compat.trials import PASSED
from engine.jobs.records import settings_from, settings_record
from engine.session import Session
from engine.settings import Settings

TRIAL_S: Final = 300.0
"""So long the imports of one process may take."""
DONE: Final = "safelight: all packs are imported"
PROGRAM: Final = "from engine.server.pack_trial import import_packs; import_packs()"

_log = logging.getLogger("safelight.packs")


class PackTrial:
    """The trial of one session's packs. `run` is called in a thread, `close` in any other."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._process: subprocess.Popen[str] | None = None
        self._closed = False

    def run(self) -> None:
        """Try the packs that may load and were never tried. Nothing is imported here."""
        folders = getattr(self._session, "folders", None)
        if folders is None or not any(root.is_dir() for root in folders.pack_roots):
            return
        from engine.compat.packs import PackState, examined_packs
        from engine.compat.trials import note_trials, read_trials

        user = folders.directories("user")[0]
        settings: Settings = self._session.settings
        packs = examined_packs(
            folders.pack_roots,
            user,
            trust_all=settings.trust_packs,
            disabled=settings.disable_all_custom_nodes,
            whitelist=settings.whitelist_custom_nodes,
        )
        known = read_trials(user)
        new = {one.name: one.digest for one in packs if one.state is PackState.LOADED and one.digest not in known}
        if not new:
            return
        _log.info("importing packs on trial: %s", ", ".join(new))
        outcomes: dict[str, str | None]
        if not self._outcome(settings, tuple(new)):
            outcomes = dict.fromkeys(new.values(), PASSED)
        else:
            outcomes = {digest: self._outcome(settings, (name,)) for name, digest in new.items()}
        if not self._closed:
            note_trials(user, outcomes)

    def _outcome(self, settings: Settings, names: Sequence[str]) -> str:
        """Import packs in a new process; return how it ended, `PASSED` where it came to its end."""
        chosen = dataclasses.replace(settings, disable_all_custom_nodes=True, whitelist_custom_nodes=tuple(names))
        try:
            told, code = self._in_process(json.dumps(settings_record(chosen)))
        except subprocess.TimeoutExpired:
            return f"it was still being imported after {TRIAL_S:g} s"
        except OSError as error:
            _log.error("packs cannot be tried: %s", error)
            return PASSED
        if DONE in told:
            return PASSED
        if code < 0:
            return f"it crashed the program that imported it ({signal.Signals(-code).name})"
        return f"it ended the program that imported it (exit code {code})"

    def _in_process(self, settings: str) -> tuple[str, int]:
        """Return what a process that imports packs said, and its exit code."""
        root = str(Path(__file__).resolve().parents[2])
        paths = os.pathsep.join(filter(None, (root, os.environ.get("PYTHONPATH"))))
        with subprocess.Popen(
            [sys.executable, "-c", PROGRAM],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            errors="replace",
            env={**os.environ, "PYTHONPATH": paths},
        ) as process:
            self._process = process
            try:
                if self._closed:
                    process.kill()
                told, _ = process.communicate(settings, timeout=TRIAL_S)
            finally:
                process.kill()
                self._process = None
        return told, process.returncode

    def close(self) -> None:
        """End a trial that goes on, without an outcome."""
        self._closed = True
        process = self._process
        if process is not None:
            process.kill()


def import_packs() -> None:
    """Import the packs of the session whose settings come through standard input, and say so. Ends the process."""
    record: dict[str, Any] = json.load(sys.stdin)
    _ = Session(settings_from(record)).registry
    sys.stdout.write(f"{DONE}\n")
    sys.stdout.flush()
    os._exit(0)  # what a pack has started must not keep this process


__all__ = ["PackTrial", "import_packs"]
