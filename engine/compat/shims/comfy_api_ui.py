"""``comfy_api.latest.ui``: what a node shows, and saving the pictures that it shows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from engine.compat.calling import current_call
from engine.compat.saving import save_pictures
from engine.compat.schema_types import FolderType
from engine.errors import NodeFailure

__all__ = [
    "FolderType",
    "ImageSaveHelper",
    "PreviewAudio",
    "PreviewImage",
    "PreviewMask",
    "PreviewText",
    "PreviewUI3D",
    "PreviewVideo",
    "SavedAudios",
    "SavedImages",
    "SavedResult",
]


class SavedResult(dict[str, Any]):
    """A file that was saved, as clients are told of it."""

    def __init__(self, filename: str, subfolder: str, type: FolderType | str) -> None:
        super().__init__(filename=filename, subfolder=subfolder, type=str(type))

    @property
    def filename(self) -> str:
        """The name of the file."""
        return str(self["filename"])

    @property
    def subfolder(self) -> str:
        """The folder below the root."""
        return str(self["subfolder"])

    @property
    def type(self) -> FolderType:
        """The folder that the root is."""
        return FolderType(self["type"])


class _Shown:
    """What a node shows."""

    def as_dict(self) -> dict[str, Any]:
        """Return it as clients get it."""
        raise NotImplementedError


class SavedImages(_Shown):
    """Pictures that were saved."""

    def __init__(self, results: Sequence[SavedResult], is_animated: bool = False) -> None:
        self.results = list(results)
        self.is_animated = is_animated

    def as_dict(self) -> dict[str, Any]:
        """Return the pictures."""
        shown: dict[str, Any] = {"images": [dict(one) for one in self.results]}
        return shown | ({"animated": (True,)} if self.is_animated else {})


class SavedAudios(_Shown):
    """Sounds that were saved."""

    def __init__(self, results: Sequence[SavedResult]) -> None:
        self.results = list(results)

    def as_dict(self) -> dict[str, Any]:
        """Return the sounds."""
        return {"audio": [dict(one) for one in self.results]}


class ImageSaveHelper:
    """Saves pictures [B, H, W, C] as PNG, each with the workflow that made it."""

    @staticmethod
    def save_images(
        images: Any, filename_prefix: str, folder_type: FolderType, cls: Any = None, compress_level: int = 4
    ) -> list[SavedResult]:
        """Save and return the files. Raises `OutputError` where that fails."""
        saved = save_pictures(_context(), images, str(folder_type), filename_prefix, compress_level)
        return [SavedResult(one.filename, one.subfolder, one.folder) for one in saved]

    @staticmethod
    def get_save_images_ui(images: Any, filename_prefix: str, cls: Any = None, compress_level: int = 4) -> SavedImages:
        """Save into the output folder and return what to show."""
        return SavedImages(ImageSaveHelper.save_images(images, filename_prefix, FolderType.output, cls, compress_level))


def _context() -> Any:
    call = current_call()
    if call is None:
        raise NodeFailure("pictures can only be shown by a node that runs")
    return call.context


class PreviewImage(_Shown):
    """Pictures to look at; they go to the folder of temporary files."""

    def __init__(self, image: Any, animated: bool = False, cls: Any = None, **more: Any) -> None:
        self.values = ImageSaveHelper.save_images(image, "preview", FolderType.temp, cls, 1)
        self.animated = animated

    def as_dict(self) -> dict[str, Any]:
        """Return the pictures."""
        return {"images": [dict(one) for one in self.values], "animated": (self.animated,)}


class PreviewMask(PreviewImage):
    """A mask [B, H, W] to look at, in grey."""

    def __init__(self, mask: Any, animated: bool = False, cls: Any = None, **more: Any) -> None:
        grey = mask.reshape(-1, 1, mask.shape[-2], mask.shape[-1]).movedim(1, -1).expand(-1, -1, -1, 3)
        super().__init__(grey, animated, cls)


class PreviewText(_Shown):
    """Text to look at."""

    def __init__(self, value: str, **more: Any) -> None:
        self.value = value

    def as_dict(self) -> dict[str, Any]:
        """Return the text."""
        return {"text": (self.value,)}


class PreviewVideo(_Shown):
    """Videos that were saved, to look at."""

    def __init__(self, values: Sequence[SavedResult], **more: Any) -> None:
        self.values = list(values)

    def as_dict(self) -> dict[str, Any]:
        """Return the videos."""
        return {"images": [dict(one) for one in self.values], "animated": (True,)}


class PreviewUI3D(_Shown):
    """A model file to look at from all sides."""

    def __init__(self, model_file: str, camera_info: Any = None, **more: Any) -> None:
        self.shown = [model_file, camera_info]

    def as_dict(self) -> dict[str, Any]:
        """Return the file and the camera."""
        return {"result": self.shown}


class PreviewAudio(_Shown):
    """Sound to look at. Raises `NodeFailure`: saving sound is not offered yet."""

    def __init__(self, audio: Any, cls: Any = None, **more: Any) -> None:
        raise NodeFailure("showing sound is not offered yet", hint="save it with a node of a pack")
