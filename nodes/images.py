"""Nodes that load, save and resize pictures. Pictures are float32 [B, H, W, C] in 0..1."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Any

from engine.graph.declare import Choice, Float, FolderChoices, Image, Int, Mask, Text, node
from engine.graph.node_types import NodeResult
from engine.media.images import SUFFIXES
from nodes.file_names import insert_values

PictureFile = Annotated[str, Choice(FolderChoices("input", suffixes=SUFFIXES), image_upload=True)]
Method = Annotated[str, Choice(("nearest-exact", "bilinear", "area", "bicubic", "lanczos"))]
Side = Annotated[int, Int(0, 16384, step=1)]


@node("LoadImage", display_name="Load Image", category="image")
def load_image(context: Any, *, image: PictureFile) -> tuple[Image, Mask]:
    """Load a picture from the input folder; an animated one becomes a batch.

    The mask is 1 where the picture is transparent. Without transparency it is 64 x 64 zeros.

    image: a file of the input folder; "name [output]" takes one from the output folder.
    """
    import torch

    from engine.media.images import MAX_FILE_BYTES, decode_image
    from engine.paths.opening import read_inside

    picture = decode_image(read_inside(context.folders, "input", image, MAX_FILE_BYTES), name=image)
    pixels = torch.from_numpy(picture.pixels)
    if picture.alpha is None:
        return pixels, torch.zeros(pixels.shape[0], 64, 64)
    return pixels, 1.0 - torch.from_numpy(picture.alpha)


@node("SaveImage", display_name="Save Image", category="image", output_node=True)
def save_image(context: Any, *, images: Image, filename_prefix: Annotated[str, Text()] = "ComfyUI") -> NodeResult:
    """Save pictures as PNG in the output folder, each with the workflow that made it.

    images: the pictures to save.
    filename_prefix: start of the file names. May hold sub-folders and %width% %height% %year% %month% %day% %hour%
        %minute% %second% %date:yyyy-MM-dd% %batch_num%, and values of other nodes such as %KSampler.seed%.
    """
    return _save(context, images, "output", filename_prefix)


@node("SaveImageWithParameters", display_name="Save Image (with Parameters)", category="image", output_node=True)
def save_image_with_parameters(
    context: Any,
    *,
    images: Image,
    parameters: Annotated[str, Text(multiline=True)] = "",
    filename_prefix: Annotated[str, Text()] = "image",
    folder: Annotated[str, Choice(("output", "temp"))] = "output",
) -> NodeResult:
    """Save pictures as PNG with their workflow and, under "parameters", a text that other programs read settings from.

    images: the pictures to save.
    parameters: the text: the prompt, the negative prompt, and a line such as "Steps: 20, Sampler: Euler, Seed: 1".
    filename_prefix: start of the file names, as of Save Image.
    folder: output keeps the pictures, temp only shows them.
    """
    return _save(context, images, folder, filename_prefix, more={"parameters": parameters} if parameters else {})


@node("PreviewImage", display_name="Preview Image", category="image", output_node=True)
def preview_image(context: Any, *, images: Image) -> NodeResult:
    """Show pictures without keeping them: they go to the folder of temporary files.

    images: the pictures to show.
    """
    return _save(context, images, "temp", "preview", compress_level=1)


@node("ImageScale", display_name="Upscale Image", category="image/upscaling")
def scale(
    *,
    image: Image,
    upscale_method: Method,
    width: Side = 512,
    height: Side = 512,
    crop: Annotated[str, Choice(("disabled", "center"))],
) -> Image:
    """Resize pictures to a size.

    image: the pictures to resize.
    upscale_method: how pixels between the old ones are found.
    width: new width in pixels; 0 follows the height.
    height: new height in pixels; 0 follows the width.
    crop: center cuts the middle out so that nothing is stretched.
    """
    old_height, old_width = image.shape[1:3]
    if width == 0 and height == 0:
        return image
    if width == 0:
        width = max(1, round(old_width * height / old_height))
    elif height == 0:
        height = max(1, round(old_height * width / old_width))
    return _resize(image, width, height, upscale_method, crop)


@node("ImageScaleBy", display_name="Upscale Image By", category="image/upscaling")
def scale_by(
    *, image: Image, upscale_method: Method, scale_by: Annotated[float, Float(0.01, 8.0, step=0.01)] = 1.0
) -> Image:
    """Resize pictures by a factor.

    image: the pictures to resize.
    upscale_method: how pixels between the old ones are found.
    scale_by: 2 doubles width and height.
    """
    height, width = image.shape[1:3]
    return _resize(image, max(1, round(width * scale_by)), max(1, round(height * scale_by)), upscale_method)


def _resize(image: Any, width: int, height: int, method: str, crop: str = "disabled") -> Any:
    import torch

    from engine.diffusion.latents import resize_latent

    if method != "lanczos":
        return resize_latent(image.movedim(-1, 1), width, height, method, crop).movedim(1, -1).contiguous()
    from engine.media.images import resize_lanczos

    if crop == "center":
        image = _cut_middle(image, width / height)
    return torch.from_numpy(resize_lanczos(image.cpu().numpy(), width, height))


def _cut_middle(image: Any, aspect: float) -> Any:
    """Cut the middle of [B, H, W, C] with ``aspect`` = width / height."""
    height, width = image.shape[1:3]
    x = round((width - height * aspect) / 2) if width / height > aspect else 0
    y = round((height - width / aspect) / 2) if width / height < aspect else 0
    return image[:, y : height - y, x : width - x]


def _save(
    context: Any,
    images: Any,
    folder: str,
    prefix: str,
    compress_level: int = 4,
    more: Mapping[str, str] = MappingProxyType({}),
) -> NodeResult:
    from engine.graph.node_types import SavedFile
    from engine.media.images import encode_png
    from engine.media.metadata import recipe_for
    from engine.paths import next_output_names, write_new_file

    recipe = recipe_for(context.prompt, context.workflow, context.settings.metadata, context.in_parts)
    texts = {**more, **recipe} if context.settings.metadata != "none" else recipe
    height, width = images.shape[1:3]
    prefix = insert_values(prefix, context.prompt)
    names = next_output_names(context.folders, folder, prefix, len(images), suffix=".png", size=(width, height))
    files = []
    for name, pixels in zip(names, images, strict=True):
        context.check_cancelled()
        data = encode_png(pixels.cpu().float().numpy(), texts, compress_level=compress_level)
        written, sha256 = write_new_file(name, lambda file, data=data: file.write(data))
        files.append((written, SavedFile(str(written.path), folder, written.subfolder, sha256)))
    shown = [{"filename": one.filename, "subfolder": one.subfolder, "type": folder} for one, _ in files]
    return NodeResult(ui={"images": shown}, files=tuple(saved for _, saved in files))
