"""Pictures out and in: what is served as what, channels and previews, uploads, masks, names that lead outside."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from PIL import Image
from server_client import Caller


def picture(mode: str = "RGBA", size: tuple[int, int] = (8, 6), **more: Any) -> bytes:
    image = Image.new(mode, size, (10, 20, 30, 128)[: len(mode)])
    buffer = io.BytesIO()
    image.save(buffer, "PNG", **more)
    return buffer.getvalue()


def form(data: bytes, name: str = "a.png", **fields: str) -> aiohttp.FormData:
    made = aiohttp.FormData(quote_fields=False)
    made.add_field("image", data, filename=name)
    for key, value in fields.items():
        made.add_field(key, value)
    return made


async def upload(caller: Caller, made: aiohttp.FormData, path: str = "/upload/image") -> tuple[int, Any]:
    status, _, text = await caller.raw("POST", path, data=made)
    return status, json.loads(text)


def opened(data: bytes) -> Image.Image:
    return Image.open(io.BytesIO(data))


def test_pictures_are_served_whole_smaller_or_by_channel(serve: Any, base: Path) -> None:
    async def journey(caller: Caller) -> None:
        (base / "output" / "sub").mkdir()
        (base / "output" / "sub" / "ä b.png").write_bytes(picture())
        query = {"filename": "ä b.png", "subfolder": "sub", "type": "output"}
        status, headers, data = await caller.raw("GET", "/view", params=query)
        assert status == 200 and data == picture() and headers["Content-Type"] == "image/png"
        assert (
            headers["X-Content-Type-Options"] == "nosniff"
            and "filename*=UTF-8''%C3%A4%20b.png" in (headers["Content-Disposition"])
        )
        for preview, kind in (("webp;90", "WEBP"), ("jpeg;50", "JPEG"), ("other", "WEBP")):
            status, headers, data = await caller.raw("GET", "/api/view", params={**query, "preview": preview})
            assert opened(data).format == kind and headers["Content-Type"] == f"image/{kind.lower()}"
        _, _, data = await caller.raw("GET", "/view", params={**query, "channel": "rgb"})
        assert opened(data).mode == "RGB" and opened(data).getpixel((0, 0)) == (10, 20, 30)
        _, _, data = await caller.raw("GET", "/view", params={**query, "channel": "a"})
        assert opened(data).getpixel((0, 0)) == (0, 0, 0, 128)
        status, headers, data = await caller.raw("GET", "/view", params=query, headers={"Range": "bytes=0-3"})
        assert status == 206 and data == b"\x89PNG"

    serve(journey)


@pytest.mark.parametrize("name", ["x.html", "x.svg", "x.js", "x.css", "x.xml", "x.xhtml", "x.txt", "x"])
def test_what_a_browser_might_run_is_a_download(serve: Any, base: Path, name: str) -> None:
    async def journey(caller: Caller) -> None:
        (base / "output" / name).write_text("<script>alert(1)</script>")
        status, headers, _ = await caller.raw("GET", "/view", params={"filename": name})
        assert status == 200 and headers["Content-Type"] == "application/octet-stream"
        assert headers["Content-Disposition"].startswith("attachment")

    serve(journey)


@pytest.mark.parametrize(
    ("start", "kind"),
    [
        (b"\x00\x00\x00\x18ftypmp42", "video/mp4"), (b"\x1aE\xdf\xa3", "video/webm"), (b"ID3\x04", "audio/mpeg"),
        (b"fLaC", "audio/flac"), (b"RIFF\0\0\0\0WAVE", "audio/wav"), (b"OggS", "audio/ogg"), (b"GIF89a", "image/gif"),
        (b"glTF\2", "model/gltf-binary"), (b"RIFF\0\0\0\0AVI ", "application/octet-stream"),
        (b"<svg>", "application/octet-stream"),
    ],
)  # fmt: skip
def test_the_bytes_say_what_a_file_is_served_as_whatever_it_is_called(
    serve: Any, base: Path, start: bytes, kind: str
) -> None:
    async def journey(caller: Caller) -> None:
        for name in ("x.png", "x.html", "x.bin"):
            (base / "output" / name).write_bytes(start + b"\0" * 20)
            _, headers, _ = await caller.raw("GET", "/view", params={"filename": name})
            assert headers["Content-Type"] == kind, name
            shown = "attachment" if kind == "application/octet-stream" else "inline"
            assert headers["Content-Disposition"].startswith(shown)

    serve(journey)


def test_names_that_lead_outside_are_refused(serve: Any, base: Path) -> None:
    async def journey(caller: Caller) -> None:
        (base / "secret.txt").write_text("hush")
        (base / "output" / "link.txt").symlink_to(base / "secret.txt")
        (base / "user" / "queue" / "x.txt").write_text("hush")
        for name, more in (
            ("../secret.txt", {}), ("secret.txt", {"subfolder": ".."}), ("link.txt", {}), ("/etc/passwd", {}),
            ("..\\secret.txt", {}), ("a\0b", {}), ("none.png", {}), ("x.txt", {"type": "user"}),
            ("queue/x.txt", {"type": "user"}), ("jobs.sqlite3", {"type": "user", "subfolder": "queue"}),
            ("", {}), (".", {}), ("../secret.txt [output]", {}),
        ):  # fmt: skip
            status, _, data = await caller.raw("GET", "/view", params={"filename": name, **more})
            assert status in (400, 403, 404) and b"hush" not in data, (name, more, status)
        for subfolder in ("..", "a/../..", "C:", "x/../../models"):
            status, answer = await upload(caller, form(picture(), subfolder=subfolder))
            assert (status, answer["error"]["type"]) == (400, "E-PATH")
        status, answer = await upload(caller, form(picture(), "../../models/x.png"))
        assert status == 200 and answer["name"] == "x.png"  # the last part counts, as browsers send whole paths
        assert not list(base.glob("*.png")) and not list((base / "models").rglob("*.png"))

    serve(journey)


def test_uploads_keep_one_copy_of_the_same_bytes(serve: Any, base: Path) -> None:
    async def journey(caller: Caller) -> None:
        assert (await upload(caller, form(picture())))[1] == {"name": "a.png", "subfolder": "", "type": "input"}
        assert (await upload(caller, form(picture())))[1]["name"] == "a.png"
        other = picture(size=(9, 9))
        assert (await upload(caller, form(other)))[1]["name"] == "a (1).png"
        assert (await upload(caller, form(other, overwrite="true")))[1]["name"] == "a.png"
        assert (base / "input" / "a.png").read_bytes() == other
        placed = (await upload(caller, form(picture(), subfolder="deep/er", type="temp")))[1]
        assert placed == {"name": "a.png", "subfolder": "deep/er", "type": "temp"}
        assert (base / "temp" / "deep" / "er" / "a.png").is_file()
        assert "a.png" in (await caller.get("/object_info/Load"))["Load"]["input"]["required"]["file"][0]

    serve(journey)


def test_uploads_that_are_no_pictures_are_refused(serve: Any, base: Path) -> None:
    async def journey(caller: Caller) -> None:
        for data, name in (
            (b"<svg/>", "a.png"), (b"<html>", "a.html"), (b"print()", "a.py"), (picture()[:40], "cut.png"),
            (b"\x80\x04.", "a.pkl"), (b"", "empty.png"), (picture(), "noending"),
        ):  # fmt: skip
            status, answer = await upload(caller, form(data, name))
            assert status == 400 and answer["error"]["message"], name
        status, _, _ = await caller.raw("POST", "/upload/image", data=b"{}")
        assert status == 400
        status, answer = await upload(caller, form(picture(), type="models"))
        assert status == 400
        assert list((base / "input").iterdir()) == []

    serve(journey)


def test_an_upload_that_is_too_large_is_refused_while_it_comes(serve: Any) -> None:
    async def journey(caller: Caller) -> None:
        status, _, _ = await caller.raw("POST", "/upload/image", data=form(b"x" * (3 << 20)))
        assert status == 413
        status, _, _ = await caller.raw("POST", "/prompt", data=b" " * (3 << 20))
        assert status == 413

    serve(journey, max_upload_bytes=1 << 20)


def test_a_mask_becomes_the_alpha_of_a_copy_with_the_recipe(serve: Any, base: Path) -> None:
    from PIL.PngImagePlugin import PngInfo

    texts = PngInfo()
    texts.add_text("prompt", '{"1": {}}')

    async def journey(caller: Caller) -> None:
        (base / "output" / "o.png").write_bytes(picture("RGB", pnginfo=texts))
        reference = json.dumps({"filename": "o.png", "type": "output", "subfolder": ""})
        mask = picture("RGBA")
        status, answer = await upload(caller, form(mask, "m.png", original_ref=reference), "/upload/mask")
        assert status == 200 and answer["name"] == "m.png"
        made = Image.open(base / "input" / "m.png")
        assert made.mode == "RGBA" and made.getpixel((0, 0)) == (10, 20, 30, 128)
        assert made.info["prompt"] == '{"1": {}}'
        for bad in ("", "{}", json.dumps({"filename": "../o.png"}), json.dumps({"filename": "none.png"})):
            assert (await upload(caller, form(mask, "n.png", original_ref=bad), "/upload/mask"))[0] == 400

    serve(journey)
