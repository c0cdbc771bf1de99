"""Files to choose from: by folder, by words, of one kind, and never from outside."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from server_client import Caller


def write(path: Path, at: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x" * at)
    os.utime(path, (at, at))


def names(answer: dict[str, Any]) -> list[str]:
    return [f"{one['subfolder']}/{one['filename']}".lstrip("/") for one in answer["files"]]


def test_files_are_listed_by_folder_and_found_by_words(serve: Any, base: Path) -> None:
    async def journey(caller: Caller) -> None:
        for at, name in enumerate(
            ["a.png", "mine/Cat sleeping.png", "mine/deep/cat.webm", "notes.txt", ".hidden.png"], 1
        ):
            write(base / "input" / name, at)
        (base / "input" / "out").symlink_to(base / "models")
        top = await caller.get("/files")
        assert top["folders"] == ["mine"] and names(top) == ["notes.txt", "a.png"]
        assert top["files"][1] == {
            "filename": "a.png", "subfolder": "", "type": "input", "kind": "image", "size": 1, "modified": 1000,
        }  # fmt: skip
        inside = await caller.get("/files", subfolder="mine")
        assert inside["folders"] == ["deep"] and names(inside) == ["mine/Cat sleeping.png"]
        assert names(await caller.get("/files", q="cat")) == ["mine/deep/cat.webm", "mine/Cat sleeping.png"]
        assert names(await caller.get("/files", q="cat MINE sleeping")) == ["mine/Cat sleeping.png"]
        assert names(await caller.get("/files", q="cat", kind="video")) == ["mine/deep/cat.webm"]
        second = await caller.get("/files", q="a", limit=1, offset=1)
        assert second["total"] == 3 and names(second) == ["mine/Cat sleeping.png"]
        assert await caller.get("/files", type="temp") == {"folders": [], "files": [], "total": 0, "offset": 0}

    serve(journey)


def test_nothing_outside_is_listed(serve: Any, base: Path) -> None:
    async def journey(caller: Caller) -> None:
        (base / "secret").mkdir()
        for wrong in ("../secret", "/etc", "mine/../../secret", "none", "a.png [output]"):
            status = (await caller.raw("GET", "/files", params={"subfolder": wrong}))[0]
            assert status in (403, 404), wrong
        for wrong in ({"type": "models"}, {"kind": "odd"}, {"limit": "-1"}, {"offset": "-1"}):
            await caller.get("/files", 400, **wrong)

    serve(journey)
