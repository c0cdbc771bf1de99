"""The gallery: facts from pictures, search and filters, thumbnails, the trash and back, names that lead outside."""

from __future__ import annotations

import io
import json
import os
import time
from pathlib import Path
from typing import Any

from PIL import Image
from PIL.PngImagePlugin import PngInfo
from server_client import Caller

from engine.server.gallery import TRASH_DAYS, Gallery, facts_of


def recipe(text: str, seed: int, model: str = "m.safetensors") -> str:
    return json.dumps(
        {
            "1": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": model}},
            "2": {"class_type": "CLIPTextEncode", "inputs": {"text": text, "clip": ["1", 1]}},
            "3": {"class_type": "KSampler", "inputs": {"seed": seed, "steps": 4, "positive": ["2", 0]}},
        }
    )


def put(path: Path, prompt: str | None = None, *, at: float | None = None, size: tuple[int, int] = (40, 20)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    chunks = PngInfo()
    if prompt is not None:
        chunks.add_text("prompt", prompt)
    Image.new("RGB", size, (200, 10, 10)).save(path, pnginfo=chunks)
    if at is not None:
        os.utime(path, (at, at))


async def listed(caller: Caller, **query: Any) -> list[str]:
    answer = await caller.get("/gallery?" + "&".join(f"{key}={value}" for key, value in query.items()))
    return [f"{one['subfolder']}/{one['filename']}".lstrip("/") for one in answer["pictures"]]


def test_search_by_words_of_prompt_model_and_seed(serve: Any, base: Path) -> None:
    async def journey(caller: Caller) -> None:
        put(base / "output" / "a_00001_.png", recipe("a red apple", 123456), at=1000)
        put(base / "output" / "sub" / "b_00001_.png", recipe("a blue Star", 7, "other.safetensors"), at=2000)
        put(base / "output" / "plain.png", at=3000)
        (base / "output" / "broken.png").write_bytes(b"no picture")
        os.utime(base / "output" / "broken.png", (500, 500))
        (base / "output" / "notes.txt").write_text("x")
        assert await listed(caller) == ["plain.png", "sub/b_00001_.png", "a_00001_.png", "broken.png"]
        assert await listed(caller, q="APPLE%20red") == ["a_00001_.png"]
        assert await listed(caller, q="star") == await listed(caller, q="other.safetensors") == ["sub/b_00001_.png"]
        assert await listed(caller, q="123456") == ["a_00001_.png"]
        assert await listed(caller, q="apple%20star") == []
        assert await listed(caller, after=1_000_000, before=2_000_000) == ["a_00001_.png"]
        assert await listed(caller, workflow="b") == ["sub/b_00001_.png"]
        assert await listed(caller, offset=1, limit=2) == ["sub/b_00001_.png", "a_00001_.png"]
        answer = await caller.get("/gallery?q=apple")
        assert (answer["total"], answer["workflows"]) == (1, {"a": 1})
        (facts,) = answer["pictures"]
        assert (facts["text"], facts["model"], facts["seed"]) == ("a red apple", "m.safetensors", "123456")
        for bad in ("limit=-1", "offset=-1", "after=x", "limit=9999999999999999999999"):
            status, _, _ = await caller.raw("GET", f"/gallery?{bad}")
            assert status == 400, bad

    serve(journey)


def test_a_changed_file_is_read_again(tmp_path: Path) -> None:
    gallery = Gallery(_folders(tmp_path))
    put(tmp_path / "output" / "a.png", recipe("one", 1), at=1000)
    assert [one.facts.text for one in gallery.entries()] == ["one"]
    put(tmp_path / "output" / "a.png", recipe("two", 1), at=2000)
    assert [one.facts.text for one in gallery.entries()] == ["two"]


def test_workflows_are_named_by_the_jobs_that_ran_them(tmp_path: Path) -> None:
    gallery = Gallery(_folders(tmp_path))
    put(tmp_path / "output" / "sub" / "a_00001_.png")
    shown = {"9": {"images": [{"filename": "a_00001_.png", "subfolder": "sub", "type": "output"}]}, "8": {"text": [1]}}
    (entry,) = gallery.entries()
    assert gallery.workflow_of(entry) == "a"
    gallery.learn([(5.0, "Portrait", json.dumps(shown)), (6.0, "Odd", "[1]"), (7.0, "Odd", '{"1": {"images": [3]}}')])
    assert gallery.workflow_of(entry) == "Portrait" and gallery.told_until == 7.0


def test_metadata_of_any_kind_gives_facts_and_no_fault() -> None:
    for text in ("", "null", "[1]", '{"1": 2}', '{"1": {"inputs": [1]}}', '{"1": {"inputs": null}}', "{" * 9999):
        assert facts_of({"prompt": text}).text == ""
    assert "steps: 20" in facts_of({"parameters": "a cat\nSteps: 20"}).words


def test_thumbnails_are_small(serve: Any, base: Path) -> None:
    async def journey(caller: Caller) -> None:
        put(base / "output" / "sub" / "a.png", size=(900, 300))
        query = {"filename": "a.png", "subfolder": "sub", "size": "128"}
        status, headers, data = await caller.raw("GET", "/gallery/thumbnail", params=query)
        assert status == 200 and headers["Content-Type"] == "image/webp" and headers["Cache-Control"] == "no-cache"
        assert Image.open(io.BytesIO(data)).size == (128, 43)
        _, headers, _ = await caller.raw("GET", "/api/gallery/thumbnail", params={**query, "v": "1"})
        assert "immutable" in headers["Cache-Control"]
        (base / "output" / "bad.png").write_bytes(b"x")
        for more, wanted in (
            ({"filename": "none.png"}, 404), ({"filename": "../secret.png"}, 404), ({"size": "9"}, 400),
            ({"type": "user"}, 400), ({"filename": ""}, 400), ({"filename": "bad.png", "subfolder": ""}, 400),
        ):  # fmt: skip
            status, _, _ = await caller.raw("GET", "/gallery/thumbnail", params={**query, **more})
            assert status == wanted, more

    serve(journey)


def test_what_is_deleted_can_be_brought_back(serve: Any, base: Path) -> None:
    async def journey(caller: Caller) -> None:
        put(base / "output" / "sub" / "a.png", recipe("one", 1))
        put(base / "output" / "b.png")
        whole = (base / "output" / "sub" / "a.png").read_bytes()
        files = [{"filename": "a.png", "subfolder": "sub"}, {"filename": "gone.png"}, {"filename": "b.png"}]
        status, _, text = await caller.raw("POST", "/gallery/delete", json={"files": files})
        answer = json.loads(text)
        assert status == 200 and answer["deleted"] == ["sub/a.png", "b.png"] and await listed(caller) == []
        put(base / "output" / "b.png", size=(3, 3))  # its name was taken meanwhile
        _, _, text = await caller.raw("POST", "/gallery/restore", json={"trash": answer["trash"]})
        assert json.loads(text) == {"restored": ["sub/a.png"]}
        assert (base / "output" / "sub" / "a.png").read_bytes() == whole
        assert Image.open(base / "output" / "b.png").size == (3, 3)

    serve(journey)


def test_only_pictures_of_the_output_folder_are_deleted(serve: Any, base: Path) -> None:
    async def journey(caller: Caller) -> None:
        put(base / "input" / "a.png")
        put(base / "secret.png")
        (base / "output" / "keep.txt").write_text("x")
        (base / "output" / "link.png").symlink_to(base / "secret.png")
        for body in (
            {}, {"files": []}, {"files": ["a"]}, {"files": [{"filename": 1}]},
            {"files": [{"filename": "../secret.png"}]},
            {"files": [{"filename": "a.png", "subfolder": "../input"}]}, {"files": [{"filename": "link.png"}]},
        ):  # fmt: skip
            status, _, _ = await caller.raw("POST", "/gallery/delete", json=body)
            assert status in (200, 400), body
        await caller.raw("POST", "/gallery/delete", json={"files": [{"filename": "keep.txt"}]})
        assert (base / "secret.png").is_file() and (base / "input" / "a.png").is_file()
        assert (base / "output" / "keep.txt").is_file()
        for key in ("../..", "x", 3, None, "0" * 16):
            status, _, text = await caller.raw("POST", "/gallery/restore", json={"trash": key})
            assert status == 400 or json.loads(text) == {"restored": []}

    serve(journey)


def test_the_trash_is_emptied_after_a_month(tmp_path: Path) -> None:
    gallery = Gallery(_folders(tmp_path))
    put(tmp_path / "output" / "a.png")
    put(tmp_path / "output" / "b.png")
    key, _ = gallery.discard(["a.png"])
    old = time.time() - (TRASH_DAYS + 1) * 86400
    os.utime(tmp_path / "user" / "trash" / key, (old, old))
    gallery.discard(["b.png"])
    assert not (tmp_path / "user" / "trash" / key).exists() and gallery.restore(key) == []


def test_thousands_of_pictures_are_listed_quickly(tmp_path: Path) -> None:
    put(tmp_path / "output" / "p_00000_.png", recipe("an apple", 1))
    data = (tmp_path / "output" / "p_00000_.png").read_bytes()
    for number in range(1, 3000):
        (tmp_path / "output" / f"p_{number:05}_.png").write_bytes(data)
    gallery = Gallery(_folders(tmp_path))
    gallery.entries()
    began = time.perf_counter()
    assert len(gallery.entries()) == 3000
    assert time.perf_counter() - began < 0.5


def _folders(base: Path) -> Any:
    from engine.paths import make_folders

    for name in ("output", "user", "input"):
        (base / name).mkdir(exist_ok=True)
    return make_folders(base)
