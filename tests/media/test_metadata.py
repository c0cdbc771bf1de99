"""The recipe inside files: what we write can be read, what others write too, and bombs go off nowhere."""

from __future__ import annotations

import io
import json
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from engine.errors import MediaError
from engine.media.images import encode_png
from engine.media.metadata import read_metadata, recipe_for

PROMPT = {"1": {"class_type": "A", "inputs": {"text": 'quotes " and 漢字 🍎'}}}
WORKFLOW = {"nodes": [], "version": 0.4}


def test_what_we_write_is_read_back_here_and_by_others(tmp_path: Path) -> None:
    path = tmp_path / "x.png"
    path.write_bytes(encode_png(np.zeros((4, 4, 3), np.float32), recipe_for(PROMPT, WORKFLOW, "full")))
    texts = read_metadata(path)
    assert json.loads(texts["prompt"]) == PROMPT
    assert json.loads(texts["workflow"]) == WORKFLOW
    with Image.open(path) as image:
        assert image.text == texts
    kinds = path.read_bytes()
    assert b"tEXtprompt\0" in kinds
    assert b"tEXtworkflow\0" in kinds


def test_levels() -> None:
    assert recipe_for(PROMPT, WORKFLOW, "none") == {}
    assert set(recipe_for(PROMPT, WORKFLOW, "recipe")) == {"prompt"}
    assert set(recipe_for(PROMPT, None, "full")) == {"prompt"}


def test_other_text_chunks_of_a_png(tmp_path: Path) -> None:
    info = PngInfo()
    info.add_text("plain", "one")
    info.add_text("packed", "two" * 100, zip=True)
    info.add_itxt("unicode", "drei 漢字")
    info.add_itxt("unicode packed", "vier 漢字" * 50, zip=True)
    path = tmp_path / "x.png"
    Image.new("L", (1, 1)).save(path, pnginfo=info)
    assert read_metadata(path) == {
        "plain": "one",
        "packed": "two" * 100,
        "unicode": "drei 漢字",
        "unicode packed": "vier 漢字" * 50,
    }


@pytest.mark.parametrize("suffix", [".webp", ".jpg"])
def test_exif_texts(tmp_path: Path, suffix: str) -> None:
    exif = Image.Exif()
    exif[0x0110] = "prompt:" + json.dumps(PROMPT)
    exif[0x010F] = "workflow:" + json.dumps(WORKFLOW)
    exif[0x010E] = "a description: of something else"
    path = tmp_path / f"x{suffix}"
    Image.new("RGB", (4, 4)).save(path, exif=exif)
    texts = read_metadata(path)
    assert json.loads(texts["prompt"]) == PROMPT
    assert json.loads(texts["workflow"]) == WORKFLOW
    assert set(texts) == {"prompt", "workflow"}


def test_a_safetensors_header(tmp_path: Path) -> None:
    header = json.dumps({"__metadata__": {"prompt": json.dumps(PROMPT)}}).encode()
    path = tmp_path / "x.latent"
    path.write_bytes(struct.pack("<Q", len(header)) + header)
    assert json.loads(read_metadata(path)["prompt"]) == PROMPT


def test_pictures_without_texts_give_none(tmp_path: Path) -> None:
    for name in ("x.png", "x.webp", "x.jpg"):
        Image.new("RGB", (4, 4)).save(tmp_path / name)
        assert read_metadata(tmp_path / name) == {}


def png_with(kind: bytes, data: bytes) -> bytes:
    buffer = io.BytesIO()
    Image.new("L", (1, 1)).save(buffer, "PNG")
    plain = buffer.getvalue()
    chunk = struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    return plain[:33] + chunk + plain[33:]


BOMB = zlib.compress(bytes(200 << 20), 9)


@pytest.mark.parametrize(
    "data",
    [
        png_with(b"zTXt", b"prompt\0\0" + BOMB),
        png_with(b"iTXt", b"prompt\0\1\0\0\0" + BOMB),
        png_with(b"zTXt", b"prompt\0\0no zlib at all"),
        b"\x89PNG\r\n\x1a\n" + struct.pack(">I4s", 2**31, b"tEXt") + b"prompt\0",
        b"\x89PNG\r\n\x1a\n" + struct.pack(">I4s", 100, b"tEXt") + b"prompt\0cut",
        b"RIFF\0\0\0\0WEBPEXIF" + struct.pack("<I", 12) + b"II*\0\x08\0\0\0\xff\xff\0\0",
        b"RIFF\0\0\0\0WEBPEXIF" + struct.pack("<I", 2**31) + b"II*\0",
        struct.pack("<Q", 2**62) + b"{" + bytes(20),
        struct.pack("<Q", 5) + b"{bad}",
        b"<svg/>" + bytes(20),
        b"",
        b"GIF89a",
    ],
)
def test_damage_and_bombs_are_media_errors(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "x.png"
    path.write_bytes(data)
    with pytest.raises(MediaError):
        read_metadata(path)


def test_hostile_but_short_metadata_is_read_as_nothing(tmp_path: Path) -> None:
    path = tmp_path / "x.png"
    path.write_bytes(png_with(b"tEXt", b"no separator"))
    assert read_metadata(path) == {}
