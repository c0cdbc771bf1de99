"""Nodes that join, repeat, pick and split batches of pictures."""

from __future__ import annotations

from typing import Annotated

from engine.graph.declare import Image, Int, node

Amount = Annotated[int, Int(1, 4096)]


@node("ImageBatch", display_name="Batch Images", category="image")
def join(*, image1: Image, image2: Image) -> Image:
    """Put pictures into one batch.

    image1: the pictures that come first; all get their size.
    image2: the pictures that come after them; those of another size are resized and their middle is cut out.
    """
    import torch

    from engine.imaging.batches import match_channels
    from nodes.images import scale

    height, width = image1.shape[1:3]
    if image2.shape[1:3] != (height, width):
        image2 = scale(image=image2, upscale_method="bilinear", width=width, height=height, crop="center")
    channels = max(image1.shape[-1], image2.shape[-1])
    return torch.cat([match_channels(image1, channels), match_channels(image2, channels).to(image1)])


@node("ImageFromBatch", category="image/batch")
def pick(*, image: Image, batch_index: Annotated[int, Int(0, 4095)] = 0, length: Amount = 1) -> Image:
    """Take pictures out of a batch.

    image: the batch.
    batch_index: the first picture to take, counted from 0; beyond the end takes the last one.
    length: how many to take, at most to the end.
    """
    start = min(batch_index, image.shape[0] - 1)
    return image[start : start + length].clone()


@node("RepeatImageBatch", category="image/batch")
def repeat(*, image: Image, amount: Amount = 1) -> Image:
    """Repeat a batch of pictures.

    image: the batch.
    amount: how many times it is there afterwards.
    """
    return image.repeat(amount, 1, 1, 1)


@node("ImageRGBToYUV", category="image/batch", outputs=("Y", "U", "V"))
def split_yuv(*, image: Image) -> tuple[Image, Image, Image]:
    """Split pictures into brightness and two colour differences, each as grey pictures.

    image: the pictures.
    """
    from engine.imaging.colour import rgb_to_yuv

    y, u, v = (plane.unsqueeze(-1).repeat(1, 1, 1, 3) for plane in rgb_to_yuv(image))
    return y, u, v


@node("ImageYUVToRGB", category="image/batch")
def join_yuv(*, Y: Image, U: Image, V: Image) -> Image:
    """Join what ImageRGBToYUV split.

    Where a picture has colours, their mean counts.

    Y: brightness.
    U: blue difference, 0.5 where there is none.
    V: red difference, 0.5 where there is none.
    """
    from engine.imaging.batches import match_batches
    from engine.imaging.colour import yuv_to_rgb

    return yuv_to_rgb(*match_batches(*(plane.mean(dim=-1) for plane in (Y, U, V))))


@node("RebatchImages", display_name="Rebatch Images", category="image/batch", input_is_list=True)
def rebatch(*, images: Image, batch_size: Amount = 1) -> list[Image]:
    """Deal the pictures of a list of batches out to batches of another size, in order.

    images: the batches; a picture that differs in size from the one before begins a new batch.
    batch_size: how many pictures each batch has at most.
    """
    import torch

    singles = [batch[place : place + 1] for batch in images for place in range(len(batch))]
    groups: list[list[torch.Tensor]] = []
    for one in singles:
        if not groups or len(groups[-1]) == batch_size[0] or groups[-1][0].shape != one.shape:
            groups.append([])
        groups[-1].append(one)
    return [torch.cat(group) for group in groups]
