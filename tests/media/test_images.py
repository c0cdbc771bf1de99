"""Pictures: every kind that is allowed comes in right, everything else is refused before it costs anything."""

from __future__ import annotations

import io
import struct
import time
import tracemalloc
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from PIL import __version__ as pillow_version

from engine.errors import MediaError
from engine.media.images import decode_image, encode_png, resize_lanczos, to_uint8


def saved(image: Image.Image, kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def gradient(mode: str = "RGB", size: tuple[int, int] = (7, 5)) -> Image.Image:
    values = np.arange(size[0] * size[1] * 3, dtype=np.uint8).reshape(size[1], size[0], 3)
    return Image.fromarray(values).convert(mode)


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF", "GIF", "WEBP"])
def test_a_lossless_picture_comes_in_exactly(kind: str) -> None:
    source = gradient() if kind != "GIF" else gradient().quantize(35)
    picture = decode_image(saved(source, kind, **({"lossless": True} if kind == "WEBP" else {})))
    assert picture.pixels.shape == (1, 5, 7, 3)
    assert picture.pixels.dtype == np.float32
    expected = np.asarray(source.convert("RGB"), np.float32) / np.float32(255)
    assert np.array_equal(picture.pixels[0], expected)
    assert picture.alpha is None


@pytest.mark.parametrize("mode", ["1", "L", "P", "CMYK", "YCbCr", "LAB"])
def test_other_colour_models_become_rgb(mode: str) -> None:
    source = gradient(mode)
    data = saved(source, "TIFF")
    if mode == "YCbCr" and int(pillow_version.partition(".")[0]) < 13:
        pytest.skip("Pillow before 13 cannot read the YCbCr files that it writes itself")
    picture = decode_image(data)
    assert np.array_equal(picture.pixels[0], np.asarray(source.convert("RGB"), np.float32) / np.float32(255))


def test_sixteen_bit_grey_keeps_its_range() -> None:
    values = np.array([[0, 32768, 65535]], dtype=np.uint16)
    picture = decode_image(saved(Image.fromarray(values), "PNG"))
    assert np.allclose(picture.pixels[0, 0, :, 0], [0, 32768 / 65535, 1], atol=1e-6)
    assert picture.pixels.shape == (1, 1, 3, 3)


def test_alpha_is_kept_apart() -> None:
    image = gradient("RGBA")
    image.putalpha(Image.linear_gradient("L").resize(image.size))
    picture = decode_image(saved(image, "PNG"))
    assert picture.alpha is not None
    assert np.array_equal(picture.alpha[0], np.asarray(image.getchannel("A"), np.float32) / np.float32(255))
    assert np.array_equal(picture.pixels[0], np.asarray(image.convert("RGB"), np.float32) / np.float32(255))


def test_a_transparent_palette_entry_is_alpha() -> None:
    image = Image.new("P", (2, 1))
    image.putpalette([255, 0, 0, 0, 255, 0])
    image.putdata([0, 1])
    picture = decode_image(saved(image, "PNG", transparency=0))
    assert picture.alpha is not None
    assert picture.alpha[0].tolist() == [[0.0, 1.0]]


def test_the_camera_turn_is_undone() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    picture = decode_image(saved(gradient(), "PNG", exif=exif))
    assert picture.pixels.shape == (1, 7, 5, 3)
    expected = np.asarray(gradient().transpose(Image.Transpose.ROTATE_270), np.float32) / np.float32(255)
    assert np.array_equal(picture.pixels[0], expected)


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP", "TIFF"])
def test_an_animation_becomes_a_batch(kind: str) -> None:
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "lime", "blue")]
    picture = decode_image(saved(frames[0], kind, save_all=True, append_images=frames[1:]))
    assert picture.pixels.shape == (3, 8, 8, 3)
    assert [int(frame[0, 0].argmax()) for frame in picture.pixels] == [0, 1, 2]


def png_header(width: int, height: int, depth: int = 8, colour: int = 2) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(bytes(10_000))) + chunk(b"IEND", b"")


def gif_of(frames: int, size: int) -> bytes:
    images = [Image.new("P", (size, size), index % 2) for index in range(frames)]
    return saved(images[0], "GIF", save_all=True, append_images=images[1:], optimize=False)


@pytest.mark.parametrize(
    "make",
    [
        lambda: png_header(9000, 9000),
        lambda: png_header(30000, 30000),
        lambda: png_header(60000, 60000, 1, 0),
        lambda: png_header(2**31 - 1, 2**31 - 1),
        lambda: gif_of(65, 4),
        lambda: saved(Image.new("1", (4, 4)), "TIFF", save_all=True, append_images=[Image.new("1", (4, 4))] * 80),
    ],
)
def test_too_much_is_refused_from_the_header(make: Callable[[], bytes]) -> None:
    data = make()
    with pytest.raises(MediaError):  # the first refusal also loads Pillow's plugin
        decode_image(data)
    tracemalloc.start()
    started = time.perf_counter()
    with pytest.raises(MediaError, match="too large"):
        decode_image(data)
    assert time.perf_counter() - started < 2
    assert tracemalloc.get_traced_memory()[1] < 20 << 20
    tracemalloc.stop()


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b'<svg xmlns="http://www.w3.org/2000/svg"/>', "markup"),
        (b"<html></html>", "markup"),
        (b'{"nodes": []}', "JSON"),
        (b"PK\x03\x04", "zip"),
        (b"\x80\x04.", "pickle"),
        (b"print('x')", "another kind"),
        (b"", "another kind"),
        (b"%PDF-1.7", "PDF"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n", "another kind"),
    ],
)
def test_what_is_no_picture_is_named(tmp_path: Path, data: bytes, kind: str) -> None:
    path = tmp_path / "x.png"
    path.write_bytes(data)
    with pytest.raises(MediaError, match=r"x\.png is not a picture") as caught:
        decode_image(path)
    assert kind in (caught.value.problem.got or "")
    assert caught.value.exit_code == 2


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF"])
@pytest.mark.parametrize("share", [0.2, 0.5, 0.9])
def test_a_truncated_picture_is_refused(kind: str, share: float) -> None:
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 255, (40, 40, 3), dtype=np.uint8))
    data = saved(noise, kind)
    with pytest.raises(MediaError):
        decode_image(data[: int(len(data) * share)])


def test_a_compressed_text_bomb_in_a_png_is_refused() -> None:
    bomb = b"prompt\0\0" + zlib.compress(bytes(80 << 20), 9)
    chunk = struct.pack(">I", len(bomb)) + b"zTXt" + bomb + struct.pack(">I", zlib.crc32(b"zTXt" + bomb))
    plain = saved(gradient(), "PNG")
    with pytest.raises(MediaError):
        decode_image(plain[:33] + chunk + plain[33:])


def test_rounding_is_the_ecosystems() -> None:
    values = np.array([-1, 0, 0.5, 0.9999, 1, 2, np.nan, np.inf, 128 / 255], np.float32)
    assert to_uint8(values).tolist() == [0, 0, 127, 254, 255, 255, 0, 255, 128]


def test_all_eight_bit_values_survive_a_round_trip() -> None:
    values = np.arange(256, dtype=np.uint8).reshape(16, 16, 1).repeat(3, axis=2)
    picture = decode_image(encode_png(values.astype(np.float32) / np.float32(255), {}))
    assert np.array_equal(to_uint8(picture.pixels[0]), values)


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_encoding_is_deterministic(channels: int) -> None:
    pixels = np.random.default_rng(1).random((9, 11, channels), dtype=np.float32)
    first = encode_png(pixels, {"prompt": "{}", "workflow": "ü"})
    assert encode_png(pixels, {"prompt": "{}", "workflow": "ü"}) == first


def test_what_is_no_single_picture_is_not_encoded() -> None:
    with pytest.raises(MediaError):
        encode_png(np.zeros((2, 4, 4, 3), np.float32), {})


def test_lanczos_keeps_a_flat_colour_and_the_shape() -> None:
    flat = np.full((2, 8, 6, 3), 0.5, np.float32)
    made = resize_lanczos(flat, 12, 4)
    assert made.shape == (2, 4, 12, 3)
    assert np.all(made == np.float32(127 / 255))
