"""The build hook of the editor: what is built when, and that an installation without Node goes on."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def hook() -> ModuleType:
    spec = importlib.util.spec_from_file_location("hatch_build", ROOT / "hatch_build.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    (tmp_path / "web" / "src").mkdir(parents=True)
    (tmp_path / "web" / "package.json").write_text("{}\n")
    (tmp_path / "web" / "src" / "main.tsx").write_text("one\n")
    return tmp_path


def test_stamp_follows_sources_alone(hook: ModuleType, checkout: Path) -> None:
    web = checkout / "web"
    before = hook.stamp_of(web)
    for name in ("node_modules", "tests"):
        (web / name).mkdir()
        (web / name / "other.ts").write_text("x")
    (web / ".hidden").write_text("x")
    (web / "src" / "main.tsx").write_bytes(b"one\r\n")
    assert hook.stamp_of(web) == before, "packages, tests, hidden files and line ends do not count"
    (web / "src" / "main.tsx").write_text("two\n")
    assert hook.stamp_of(web) != before
    (web / "src" / "main.tsx").write_text("one\n")
    (web / "src" / "main.tsx").rename(web / "src" / "other.tsx")
    assert hook.stamp_of(web) != before, "names count"


def test_what_is_built_is_not_built_again(hook: ModuleType, checkout: Path) -> None:
    assert hook.why_not(checkout, {}) is None
    assert "is set" in hook.why_not(checkout, {hook.SKIP: "1"})
    assert hook.why_not(checkout, {hook.SKIP: "0"}) is None
    static = checkout / hook.STATIC
    static.mkdir(parents=True)
    (static / hook.STAMP).write_text(hook.stamp_of(checkout / "web") + "\n")
    assert hook.why_not(checkout, {}) is None, "a stamp without a page is no build"
    (static / "index.html").write_text("page")
    assert "already" in hook.why_not(checkout, {})
    (checkout / "web" / "src" / "main.tsx").write_text("changed")
    assert hook.why_not(checkout, {}) is None


def test_no_sources_nothing_to_build(hook: ModuleType, tmp_path: Path) -> None:
    assert "no sources" in hook.why_not(tmp_path, {})


def test_node_is_found_in_both_layouts(hook: ModuleType) -> None:
    node, npm = hook.node_and_npm(Path("package"), False)
    assert node.as_posix() == "package/bin/node"
    assert npm.as_posix() == "package/lib/node_modules/npm/bin/npm-cli.js"
    node, npm = hook.node_and_npm(Path("package"), True)
    assert node.as_posix() == "package/node.exe" and npm.as_posix() == "package/node_modules/npm/bin/npm-cli.js"


@pytest.mark.skipif(sys.platform == "win32", reason="stands in for Node with a script of the shell")
def test_a_failed_build_leaves_what_was_there(hook: ModuleType, checkout: Path) -> None:
    node = checkout / "package" / "bin" / "node"
    node.parent.mkdir(parents=True)
    node.write_text("#!/bin/sh\nexit 3\n")
    node.chmod(0o755)
    static = checkout / hook.STATIC
    static.mkdir(parents=True)
    (static / "index.html").write_text("older")
    with pytest.raises(subprocess.CalledProcessError):
        hook.build(checkout, checkout / "package")
    assert (static / "index.html").read_text() == "older"
