"""Pictures that come inside a request as base64, go to the worker as files, and go back as base64."""

from __future__ import annotations

import base64
import binascii
import hashlib
import io
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from engine.errors import MediaError, PathError
from engine.media.images import open_image
from engine.paths import Folders, new_path, replace_file
from engine.server.sdapi.refusals import refuse_field

if TYPE_CHECKING:
    from PIL.Image import Image

FOLDER: Final = "sdapi"
MAX_TEXT: Final = 1 << 20
_USER_COMMENT, _EXIF_DIRECTORY = 0x9286, 0x8769


def decode_base64(text: str, field: str) -> bytes:
    """Return the bytes of base64 or of a ``data:`` address. Raises `FieldErrors`; addresses of other machines are
    never followed."""
    if text[:8].lower().startswith(("http:", "https:")):
        raise refuse_field(field, "pictures are not fetched from addresses: send the picture itself, as base64")
    if text[:5].lower() == "data:":
        text = text.partition(",")[2]
    try:
        return base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError):
        raise refuse_field(field, "this is not base64") from None


def open_picture(text: str, field: str) -> Image:
    """Return the picture in base64, turned upright. Raises `FieldErrors`."""
    from PIL import ImageOps

    data = decode_base64(text, field)
    try:
        with open_image(data, name=field) as opened:
            image = ImageOps.exif_transpose(opened)
            kept = "A" in image.getbands() or "transparency" in image.info
            return image.convert("RGBA" if kept else "RGB")
    except MediaError as error:
        raise refuse_field(field, str(error.problem.message)) from None


def store_picture(folders: Folders, picture: Image) -> str:
    """Put a picture where the worker can load it, under a name of its content; return the name for a LoadImage."""
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", compress_level=1)
    data = buffer.getvalue()
    name = f"{FOLDER}/{hashlib.sha256(data).hexdigest()[:32]}.png"
    path = new_path(folders, "temp", name)
    if not path.is_file():
        replace_file(path, data)
    return f"{name} [temp]"


def read_shown(folders: Folders, shown: Mapping[str, Any]) -> bytes | None:
    """Return the bytes of a file that a node showed; None where it is gone."""
    subfolder = str(shown.get("subfolder") or "").strip("/")
    name = f"{subfolder}/{shown['filename']}" if subfolder else str(shown["filename"])
    try:
        return folders.resolve(str(shown.get("type", "output")), name).read_bytes()
    except (PathError, OSError):
        return None


def as_base64(data: bytes) -> str:
    """Return base64 text."""
    return base64.b64encode(data).decode("ascii")


def texts_in(data: bytes, field: str) -> dict[str, str]:
    """Return the texts in a picture by key; what JPEG, WebP and GIF carry as a comment counts as ``parameters``.

    Raises `FieldErrors` when it is no picture.
    """
    try:
        with open_image(data, name=field) as opened:
            opened.load()
            texts = {
                str(key): value
                for key, value in opened.info.items()
                if isinstance(value, str) and len(value) <= MAX_TEXT
            }
            comment = opened.getexif().get_ifd(_EXIF_DIRECTORY).get(_USER_COMMENT)
            found = _comment_text(comment if comment is not None else opened.info.get("comment"))
    except MediaError as error:
        raise refuse_field(field, str(error.problem.message)) from None
    if found and "parameters" not in texts:
        texts["parameters"] = found
    return texts


def _comment_text(comment: object) -> str:
    """Read an EXIF comment with its header of 8 bytes, or a plain one."""
    if isinstance(comment, str):
        return comment
    if not isinstance(comment, bytes) or len(comment) > MAX_TEXT:
        return ""
    head, body = comment[:8], comment[8:]
    if head.startswith(b"UNICODE"):
        little = len(body) > 1 and body[1] == 0 and body[0] != 0
        return body.decode("utf-16-le" if little else "utf-16-be", "replace").lstrip("\ufeff")
    if head.startswith(b"ASCII") or head == bytes(8):
        comment = body
    return comment.decode("utf-8", "replace").rstrip("\0")
