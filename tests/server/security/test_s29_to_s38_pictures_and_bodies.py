"""S29 to S38: pictures, sizes, bodies, and what is given back."""

from __future__ import annotations

import contextlib
import io
import os
import pickle
import re
import struct
import sys
import time
import tracemalloc
import urllib.parse
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from security_app import Answer, Server, running

from engine.errors import MediaError
from engine.media.images import decode_image
from engine.media.metadata import read_metadata
from engine.media.uploads import clean_picture
from engine.server.security import Limits
from engine.server.security.serving import file_headers
from engine.session import Session
from engine.settings import Settings

ACTIVE = ("html", "svg", "xml", "javascript", "css", "xhtml", "ecmascript", "pdf")


def encoded(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


PIXEL = encoded(Image.new("RGB", (2, 2), "red"))


def png_of(width: int, height: int, depth: int = 8, colour: int = 2) -> bytes:
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0))
    return PIXEL[:8] + header + chunk(b"IDAT", zlib.compress(bytes(10_000))) + chunk(b"IEND", b"")


def png_with(kind: bytes, data: bytes) -> bytes:
    return PIXEL[:33] + chunk(kind, data) + PIXEL[33:]


def animated_gif(frames: int, size: int) -> bytes:
    """Many frames of the full size whose pixels take a handful of bytes."""
    start = b"GIF89a" + struct.pack("<HHBBB", size, size, 0x80, 0, 0) + bytes([0, 0, 0, 255, 255, 255])
    frame = b"\x2c" + struct.pack("<HHHHB", 0, 0, size, size, 0) + b"\x02\x02\x44\x01\x00"
    return start + frame * frames + b"\x3b"


def animated_webp(frames: int, size: int) -> bytes:
    still = encoded(Image.new("RGB", (size, size)), "WEBP", lossless=True)
    bitstream = still[12:]

    def part(kind: bytes, data: bytes) -> bytes:
        return kind + struct.pack("<I", len(data)) + data + bytes(len(data) & 1)

    edge = struct.pack("<I", size - 1)[:3]
    frame = part(b"ANMF", bytes(6) + edge + edge + bytes([10, 0, 0, 0]) + bitstream)
    body = part(b"VP8X", bytes([2, 0, 0, 0]) + edge + edge) + part(b"ANIM", bytes(6)) + frame * frames
    return b"RIFF" + struct.pack("<I", len(body) + 4) + b"WEBP" + body


def tiff_of(pages: int) -> bytes:
    entries = [(256, 1), (257, 1), (258, 8), (259, 1), (262, 1), (273, 8), (277, 1), (278, 1), (279, 1)]
    length = 2 + 12 * len(entries) + 4
    table = struct.pack("<H", len(entries)) + b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in entries)
    pieces = [b"II*\0" + struct.pack("<I", 12) + bytes(4)]
    for page in range(pages):
        pieces.append(table + struct.pack("<I", 12 + length * (page + 1) if page + 1 < pages else 0))  # noqa: PERF401
    return b"".join(pieces)


def refused_cheaply(data: bytes, seconds: float, most: int = 20 << 20) -> None:
    for read in (decode_image, clean_picture):
        with pytest.raises(MediaError):  # the first refusal also loads Pillow's plugin
            read(data)
        times = []
        for _ in range(3):
            started = time.perf_counter()
            with pytest.raises(MediaError):
                read(data)
            times.append(time.perf_counter() - started)
        assert min(times) < seconds
        tracemalloc.start()
        with pytest.raises(MediaError):
            read(data)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < most


@pytest.mark.parametrize(
    "shape", [(9000, 9000, 8, 2), (30000, 30000, 8, 2), (60000, 60000, 1, 0), (2**31 - 1, 1, 8, 2)]
)
def test_s29_large_pictures_are_refused_from_the_header(shape: tuple[int, int, int, int]) -> None:
    refused_cheaply(png_of(*shape), 0.05)


@pytest.mark.parametrize(
    "make", [lambda: animated_gif(201, 2000), lambda: animated_webp(201, 2000), lambda: tiff_of(100_000)]
)
def test_s30_too_many_frames(make: Callable[[], bytes]) -> None:
    data = make()
    assert Image.open(io.BytesIO(data)).format in ("GIF", "WEBP", "TIFF")
    refused_cheaply(data, 2, 64 << 20)


def test_s30_a_tiff_that_goes_in_circles() -> None:
    looped = bytearray(tiff_of(2))
    looped[-4:] = struct.pack("<I", 12)
    started = time.perf_counter()
    for read in (decode_image, clean_picture):
        try:
            read(bytes(looped))
        except MediaError:
            continue
    assert time.perf_counter() - started < 2


BOMB = zlib.compress(bytes(200 << 20), 9)
POLYGLOT_TAIL = b"<script>alert(1)</script>"


@pytest.mark.timeout(20)
@pytest.mark.parametrize(
    "data",
    [
        png_with(b"zTXt", b"prompt\0\0" + BOMB),
        png_with(b"iTXt", b"prompt\0\1\0\0\0" + BOMB),
        png_with(b"iCCP", b"profile\0\0" + BOMB),
        png_with(b"eXIf", b"II*\0\x08\0\0\0" + b"\xff\xff" + bytes(40 << 20)),
        PIXEL[:-20],
        PIXEL[:40],
        encoded(Image.new("RGB", (64, 64)), "JPEG")[:300],
        b"GIF89a" + bytes(50),
        b"RIFF\xff\xff\xff\xffWEBPVP8L" + bytes(50),
        b"BM" + bytes(50),
        b"II*\0\x08\0\0\0\xff\xff" + bytes(200),
    ],
)
def test_s31_bombs_and_damage_do_not_hang(data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "x.png"
    path.write_bytes(data)
    for read in (lambda: decode_image(path), lambda: clean_picture(data), lambda: read_metadata(path)):
        started = time.perf_counter()
        with contextlib.suppress(MediaError):
            read()
        assert time.perf_counter() - started < 2


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF"])
def test_s31_what_hangs_on_behind_a_picture_is_gone(kind: str) -> None:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as zipped:
        zipped.writestr("evil.js", "alert(1)")
    data = encoded(Image.new("RGB", (8, 8), "blue"), kind) + POLYGLOT_TAIL + archive.getvalue()
    cleaned = clean_picture(data)
    assert b"alert" not in cleaned and b"PK\x03\x04" not in cleaned
    assert np.array_equal(decode_image(cleaned).pixels, decode_image(data).pixels)
    assert clean_picture(cleaned) == cleaned


IMPOSTORS = {
    "svg": b'<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"/>',
    "html": b"<!doctype html><script>alert(1)</script>",
    "js": b"alert(1)",
    "pickle": pickle.dumps([1, 2, 3]),
    "python": b"import os\n",
    "xml": b"<?xml version='1.0'?><x/>",
    "css": b"body{}",
    "eps": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n",
    "psd": b"8BPS\0\1" + bytes(100),
    "ico": b"\0\0\1\0\1\0" + bytes(100),
    "avif": b"\0\0\0\x1cftypavif" + bytes(100),
    "empty": b"",
    "gifar": b"GIF89a/*" + b"alert(1)" * 20,
}


def upload(server: Server, data: bytes, name: str = "x.png") -> Answer:
    head = f'--x\r\nContent-Disposition: form-data; name="image"; filename="{name}"\r\n\r\n'.encode()
    kind = {"Content-Type": "multipart/form-data; boundary=x"}
    return server.request("POST", "/upload/image", kind, head + data + b"\r\n--x--\r\n")


@pytest.mark.parametrize("kind", IMPOSTORS)
def test_s32_what_is_no_picture_is_not_stored(server: Server, kind: str) -> None:
    answer = upload(server, IMPOSTORS[kind], f"{kind}.png")
    assert answer.status == 400
    assert answer.json["error"]["type"] == "E-MEDIA"
    assert not server.desk.folders.list_files("input")


PART = b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n'
LIMITS = Limits(max_upload_bytes=8 << 20, idle_s=1.0)
FORMS = {
    "endless boundary": ("x" * 5000, b"--" + b"x" * 4_000_000),
    "boundary of nothing": ("", PART),
    "endless preamble": ("x", b"a" * 6_000_000),
    "preamble of line ends": ("x", b"\r\n" * 2_000_000),
    "almost boundaries": ("x", b"\r\n--y" * 1_000_000),
    "many parts": ("x", PART * 100_000),
    "missing end": ("x", PART + b'--x\r\nContent-Disposition: form-data; name="b"\r\n\r\nabc'),
    "nothing": ("x", b""),
    "a name of a megabyte": (
        "x",
        b'--x\r\nContent-Disposition: form-data; name="' + b"n" * (1 << 20) + b'"\r\n\r\n1\r\n--x--',
    ),
    "endless headers": ("x", b"--x\r\n" + b"A: b\r\n" * 1_000_000),
    "one endless header": ("x", b"--x\r\nA: " + b"b" * 6_000_000),
    "no name": ("x", b"--x\r\n\r\n1\r\n--x--\r\n"),
    "two dispositions": ("x", PART[:5] + b'Content-Disposition: form-data; name="b"\r\n' + PART[5:] + b"--x--\r\n"),
    "behind a boundary": ("x", b"--xyz\r\n" + PART),
    "too long": ("x", PART[:-3] + bytes(9 << 20) + b"\r\n--x--\r\n"),
}


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> object:
    with running(tmp_path_factory.mktemp("small"), limits=LIMITS) as found:
        yield found


@pytest.mark.parametrize("name", FORMS)
def test_s33_hostile_forms(small: Server, name: str) -> None:
    boundary, body = FORMS[name]
    tracemalloc.start()
    started = time.perf_counter()
    answer = small.request("POST", "/upload/image", {"Content-Type": f"multipart/form-data; boundary={boundary}"}, body)
    took = time.perf_counter() - started
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert 400 <= answer.status < 500
    assert took < 2
    assert peak < 24 << 20  # the client's own copies included
    assert answer.json["error"]["type"].startswith("E-")


@pytest.mark.parametrize("quoted", [False, True])
def test_s33_honest_forms(small: Server, quoted: bool) -> None:
    boundary = "----WebKitFormBoundary7MA4YWxkTrZu0gW"
    picture = encoded(Image.fromarray(np.random.default_rng(0).integers(0, 255, (900, 700, 3), dtype=np.uint8)))
    assert len(picture) > 1 << 20
    parts = (
        f'--{boundary}\r\nContent-Disposition: form-data; name="overwrite"\r\n\r\ntrue\r\n'
        f'--{boundary}\r\nContent-Disposition: form-data; name="empty"\r\n\r\n\r\n'
        f'--{boundary}\r\nContent-Type: image/png\r\nContent-Disposition: form-data; name="image"; '
        "filename*=UTF-8''%C3%A4.png; filename=\"a.png\"\r\n\r\n"
    ).encode()
    body = b"preamble\r\n" + parts + picture + f"\r\n--{boundary}--\r\nepilogue".encode()
    text = f'"{boundary}"' if quoted else boundary
    answer = small.request("POST", "/upload/image", {"Content-Type": f"multipart/form-data; boundary={text}"}, body)
    assert answer.json == {"name": "ä.png"}
    assert np.array_equal(
        decode_image(picture).pixels, decode_image(small.desk.folders.resolve("input", "ä.png")).pixels
    )


def test_s33_a_form_that_stops_coming(small: Server) -> None:
    head = (
        f"POST /upload/image HTTP/1.1\r\nHost: {small.own}\r\nConnection: close\r\nContent-Length: 100000\r\n"
        "Content-Type: multipart/form-data; boundary=x\r\n\r\n"
    ).encode()
    started = time.perf_counter()
    answer = small.raw(head + PART, timeout=1.8)
    assert answer.split()[1] == b"408"
    assert time.perf_counter() - started < 2


def test_s34_a_body_is_refused_while_it_comes(tmp_path: Path) -> None:
    with running(tmp_path, limits=Limits(max_json_bytes=100_000)) as server:
        head = f"POST /prompt HTTP/1.1\r\nHost: {server.own}\r\nContent-Type: application/json\r\n"
        promised = server.raw(f"{head}Connection: close\r\nContent-Length: 99999999999\r\n\r\n".encode(), timeout=1)
        assert promised.split()[1] == b"413"
        block = b"ffff\r\n" + b" " * 0xFFFF + b"\r\n"
        streamed = server.raw(f"{head}Transfer-Encoding: chunked\r\n\r\n".encode() + block * 3, timeout=1)  # no end
        assert streamed.split()[1] == b"413"
        assert (
            server.request("POST", "/prompt", {"Content-Type": "application/json"}, b" " * 99_000 + b"{}").status == 200
        )
        both = f"{head}Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{{}}\r\n0\r\n\r\n"
        assert server.raw(both.encode(), timeout=1).split()[1] == b"400"
        assert len(server.desk.queued) == 1


@pytest.mark.parametrize("kind", ["EmptyImage", "EmptyLatentImage"])
def test_s35_numbers_that_multiply(tmp_path: Path, kind: str) -> None:
    session = Session(Settings(tmp_path, device="cpu"))
    sizes = {"width": 16384, "height": 16384, "batch_size": 4096}

    def problems(**changed: int) -> list[str]:
        made = {"class_type": kind, "inputs": {**sizes, **changed}}
        shown = {"class_type": "PreviewImage", "inputs": {"images": ["1", 0]}}
        if kind == "EmptyLatentImage":
            shown = {"class_type": "SaveLatent", "inputs": {"samples": ["1", 0], "filename_prefix": "x"}}
        return [problem.code for problem in session.problems(session.load({"1": made, "2": shown}))]

    assert problems(width=1024, height=1024) == []
    tracemalloc.start()
    assert problems() == ["E-TOO-LARGE"]
    assert tracemalloc.get_traced_memory()[1] < 1 << 20
    tracemalloc.stop()
    assert problems(batch_size=16) == []
    assert problems(batch_size=17) == ["E-TOO-LARGE"]


def test_s35_steps_multiply_with_the_pixels_above_them(tmp_path: Path) -> None:
    session = Session(Settings(tmp_path, device="cpu"))

    def problems(steps: int, batch_size: int, rounds: int = 1) -> list[tuple[str, str | None]]:
        size = {"width": 1024, "height": 1024, "batch_size": batch_size}
        nodes: dict[str, Any] = {"0": {"class_type": "EmptyLatentImage", "inputs": size}}
        for at in range(1, rounds + 1):
            inputs = {
                "model": ["m", 0], "positive": ["m", 1], "negative": ["m", 1], "latent_image": [str(at - 1), 0],
                "seed": 1, "steps": steps, "cfg": 1.0, "sampler_name": "euler", "scheduler": "normal", "denoise": 1.0,
            }  # fmt: skip
            nodes[str(at)] = {"class_type": "KSampler", "inputs": inputs}
        nodes["x"] = {"class_type": "SaveLatent", "inputs": {"samples": [str(rounds), 0], "filename_prefix": "x"}}
        found = session.problems(session.load(nodes))
        return [(one.code, one.node_id) for one in found if one.code == "E-TOO-LARGE"]

    assert problems(20, 64) == [] and problems(100, 2048) == []
    tracemalloc.start()
    assert problems(10_000, 4096) == [("E-TOO-LARGE", "1")]
    assert tracemalloc.get_traced_memory()[1] < 4 << 20
    tracemalloc.stop()
    assert problems(1000, 262) == [] and problems(1000, 263) == [("E-TOO-LARGE", "1")]
    began = time.monotonic()
    assert problems(20, 1, rounds=2000) == []
    assert time.monotonic() - began < 5, "what is above each sampler is looked at once"


@pytest.mark.skipif(sys.platform != "linux", reason="resident memory is read from /proc")
def test_s36_refusals_leave_nothing_behind(tmp_path: Path) -> None:
    def resident() -> int:
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    def refuse(server: Server, count: int) -> None:
        for number in range(count):
            kind = number % 5
            if kind == 0:
                assert server.request("GET", "/queue", {"Host": f"evil{number}.example"}).status == 403
            elif kind == 1:
                assert server.post_json("/prompt", {}, {"Origin": f"http://evil{number}.example"}).status == 403
            elif kind == 2:
                assert server.request("POST", "/prompt", {"Content-Type": "text/plain"}, b"x" * 10_000).status == 415
            elif kind == 3:
                assert server.request("GET", "/queue", {"Authorization": f"Bearer {number}"}).status in (401, 429)
            else:
                assert (
                    server.request("POST", "/prompt", {"Content-Type": "application/json"}, b"[" * 9000).status == 400
                )

    with running(tmp_path) as server:
        refuse(server, 200)
        before = resident()
        refuse(server, 1000)
        assert resident() - before < 20 << 20


@pytest.mark.parametrize("suffix", ["svg", "html", "xhtml", "xml", "js", "css", "png", "htm", "mjs", "pdf", "swf"])
def test_s37_stored_files_are_never_active(server: Server, suffix: str) -> None:
    folder = server.desk.folders.directories("output")[0]
    folder.mkdir(exist_ok=True)
    for number, data in enumerate([*IMPOSTORS.values(), PIXEL, PIXEL + IMPOSTORS["html"]]):
        path = folder / f"x{number}.{suffix}"
        path.write_bytes(data)
        answer = server.request("GET", f"/view?type=output&filename={path.name}")
        kind, place = answer.headers["content-type"], answer.headers["content-disposition"]
        assert answer.status == 200
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert not any(word in kind for word in ACTIVE)
        if data.startswith(PIXEL):
            assert (kind, place.split(";")[0]) == ("image/png", "inline")
        elif data[4:8] == b"ftyp":
            assert (kind, place.split(";")[0]) == ("video/mp4", "inline")
        elif not data.startswith(b"GIF8"):
            assert (kind, place.split(";")[0]) == ("application/octet-stream", "attachment")
        assert answer.body == data
        ranged = server.request("GET", f"/view?type=output&filename={path.name}", {"Range": "bytes=0-3"})
        assert ranged.status in (206, 416)
        assert not any(word in ranged.headers.get("content-type", "") for word in ACTIVE)
        path.unlink()


@pytest.mark.parametrize(
    "kind",
    ["text/html", "image/svg+xml", "TEXT/HTML; charset=utf-8", "text/xml", "application/xhtml+xml", "text/javascript",
     "text/css", "application/pdf", "x/y", "text/html,x"],
)  # fmt: skip
def test_s37_a_careless_route_is_caught(server: Server, kind: str) -> None:
    server.desk.to_send = IMPOSTORS["html"]
    answer = server.request("GET", f"/careless?as={urllib.parse.quote(kind, safe='')}")
    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.headers["content-disposition"] == "attachment"


NAMES = [
    'quo"te.png',
    "back\\slash.png",
    "line\r\nSet-Cookie: a=b.png",
    "\u202egnp.exe",
    "emoji 🍎.png",
    "ünïcödé 漢字.png",
    "semi;colon=1.png",
    "per%20cent%.png",
    "null\0.png",
    "tab\t.png",
    "",
    "\ud800.png",
    "a" * 300 + ".png",
    "../../x.png",
    "'single'.png",
]


@pytest.mark.parametrize("name", NAMES)
def test_s38_file_names_make_one_right_header(server: Server, name: str) -> None:
    server.desk.to_send = PIXEL
    quoted = urllib.parse.quote(name.encode("utf-8", "surrogatepass"), safe="")
    answer = server.request("GET", f"/bytes?name={quoted}")
    assert answer.status == 200
    found = [value for key, value in answer.pairs if key.lower() == "content-disposition"]
    assert len(found) == 1
    assert "set-cookie" not in answer.headers
    assert re.fullmatch(r"inline; filename=\"[ !#-$&-.0-\[\]-~]+\"; filename\*=UTF-8''[A-Za-z0-9%._~-]+", found[0])
    value = file_headers(name.encode("utf-8", "replace").decode(), "image/png")["Content-Disposition"]
    plain = "".join(char for char in name if char.isprintable())
    if plain == name and name:
        assert urllib.parse.unquote(value.partition("UTF-8''")[2]) == name


def test_s49_what_the_camera_wrote_is_gone(server: Server) -> None:
    exif = Image.Exif()
    exif[0x010F], exif[0x0112], exif[0x9C9D] = "SECRETMAKER", 6, b"SECRETAUTHOR"
    exif.get_ifd(0x8825).update({1: "N", 2: (1.0, 2.0, 3.0)})
    texts = PngInfo()
    texts.add_text("prompt", "SECRETTEXT")
    picture = Image.fromarray(np.random.default_rng(0).integers(0, 255, (20, 10, 3), dtype=np.uint8))
    for kind, options in {
        "JPEG": {"exif": exif, "comment": b"SECRETCOMMENT", "quality": 100, "subsampling": 0},
        "PNG": {"exif": exif, "pnginfo": texts},
        "WEBP": {"exif": exif, "lossless": True, "xmp": b"<x>SECRETXMP</x>"},
        "TIFF": {"exif": exif, "description": "SECRETDESCRIPTION", "artist": "SECRETARTIST"},
    }.items():
        data = encoded(picture, kind, **options)
        assert b"SECRET" in data
        assert upload(server, data, f"camera.{kind.lower()}").status == 200
        path = server.desk.folders.resolve("input", f"camera.{kind.lower()}")
        stored = path.read_bytes()
        assert b"SECRET" not in stored
        with Image.open(path) as opened:
            assert not opened.getexif().get_ifd(0x8825)
        before, after = decode_image(data).pixels, decode_image(stored).pixels
        assert before.shape == after.shape  # turned as the camera said
        assert np.abs(before - after).max() <= (4 / 255 if kind == "JPEG" else 0)
        path.unlink()
