"""Nodes between pictures and latents: the VAE's two directions, and preparing a picture for inpainting."""

from __future__ import annotations

from typing import Annotated, Any

from engine.graph.declare import Boolean, Conditioning, Image, Int, Latent, Mask, Vae, node
from engine.graph.node_types import Smaller


def _decode_in_tiles(size: int) -> Smaller:
    def run(context: Any, *, samples: Any, vae: Any) -> Any:
        from engine.families import tiling

        return tiling.decode_tiled(
            context.models, vae, samples, tiling.Tiling(size, size // 8, like_whole=True), context.progress
        )

    return Smaller(f"in tiles of {size} pixels", run)


def _encode_in_tiles(size: int) -> Smaller:
    def run(context: Any, *, pixels: Any, vae: Any) -> Any:
        from engine.families import tiling

        return tiling.encode_tiled(
            context.models, vae, pixels, tiling.Tiling(size, size // 8, like_whole=True), context.progress
        )

    return Smaller(f"in tiles of {size} pixels", run)


TILE_SIZES = (1024, 512, 256)
"""Tried in turn when a picture does not fit into memory whole."""


@node(
    "VAEDecode",
    display_name="VAE Decode",
    category="latent",
    uses_model=("vae",),
    smaller=[_decode_in_tiles(size) for size in TILE_SIZES],
)
def decode(context: Any, *, samples: Latent, vae: Vae) -> Image:
    """Turn latents into pictures.

    samples: the latents.
    vae: the VAE that belongs to them.
    """
    from engine.families import pipeline

    return pipeline.decode_latent(context.models, vae, samples)


@node(
    "VAEEncode",
    display_name="VAE Encode",
    category="latent",
    uses_model=("vae",),
    smaller=[_encode_in_tiles(size) for size in TILE_SIZES],
)
def encode(context: Any, *, pixels: Image, vae: Vae) -> Latent:
    """Turn pictures into latents, to change them with a sampler.

    pixels: the pictures; sides that are no multiple of 8 are cut.
    vae: the VAE of the model that will sample.
    """
    from engine.families import pipeline

    return pipeline.encode_pixels(context.models, vae, pixels)


TemporalSize = Annotated[int, Int(8, 4096, step=4)]
TemporalOverlap = Annotated[int, Int(4, 4096, step=4)]
Overlap = Annotated[int, Int(0, 4096, step=32)]


@node("VAEDecodeTiled", display_name="VAE Decode (Tiled)", category="_for_testing", uses_model=("vae",))
def decode_tiled(
    context: Any,
    *,
    samples: Latent,
    vae: Vae,
    tile_size: Annotated[int, Int(64, 4096, step=32)] = 512,
    overlap: Overlap = 64,
    temporal_size: TemporalSize = 64,
    temporal_overlap: TemporalOverlap = 8,
) -> Image:
    """Turn latents into pictures tile by tile: slower, with a tile's memory, and very nearly the same.

    Tiles of 256 pixels and more are normalised like the whole picture; smaller ones can differ in tone.

    samples: the latents.
    vae: the VAE that belongs to them.
    tile_size: side of a tile in pixels.
    overlap: pixels over which tiles fade into each other; at most a quarter of a tile counts.
    temporal_size: frames at a time; only for VAEs of video.
    temporal_overlap: frames that overlap; only for VAEs of video.
    """
    from engine.families import tiling

    return tiling.decode_tiled(context.models, vae, samples, tiling.Tiling(tile_size, overlap), context.progress)


@node("VAEEncodeTiled", display_name="VAE Encode (Tiled)", category="_for_testing", uses_model=("vae",))
def encode_tiled(
    context: Any,
    *,
    pixels: Image,
    vae: Vae,
    tile_size: Annotated[int, Int(64, 4096, step=64)] = 512,
    overlap: Overlap = 64,
    temporal_size: TemporalSize = 64,
    temporal_overlap: TemporalOverlap = 8,
) -> Latent:
    """Turn pictures into latents tile by tile: slower, with a tile's memory, and very nearly the same.

    Tiles of 256 pixels and more are normalised like the whole picture; smaller ones can differ in tone.

    pixels: the pictures; sides that are no multiple of 8 are cut.
    vae: the VAE of the model that will sample.
    tile_size: side of a tile in pixels.
    overlap: pixels over which tiles fade into each other; at most a quarter of a tile counts.
    temporal_size: frames at a time; only for VAEs of video.
    temporal_overlap: frames that overlap; only for VAEs of video.
    """
    from engine.families import tiling

    return tiling.encode_tiled(context.models, vae, pixels, tiling.Tiling(tile_size, overlap), context.progress)


@node("VAEEncodeForInpaint", display_name="VAE Encode (for Inpainting)", category="latent/inpaint", uses_model=("vae",))
def encode_for_inpaint(
    context: Any, *, pixels: Image, vae: Vae, mask: Mask, grow_mask_by: Annotated[int, Int(0, 64, step=1)] = 6
) -> Latent:
    """Turn pictures into latents whose masked part is grey, to be filled anew; sample them with denoise 1.

    pixels: the pictures.
    vae: the VAE of the model that will sample.
    mask: 1 where the picture is to be filled, 0 where it is to stay.
    grow_mask_by: how many pixels wide the seam is that is also changed.
    """
    import dataclasses

    from torch.nn.functional import interpolate

    from engine.families import pipeline
    from engine.imaging.batches import mask_batch

    planes = interpolate(mask_batch(mask).unsqueeze(1), size=pixels.shape[1:3], mode="bilinear")
    pixels, planes = _cut_to_multiples(pixels, planes, 8)
    inside = planes.round()
    keep = (1.0 - inside).movedim(1, -1)
    latent = pipeline.encode_pixels(context.models, vae, (pixels[..., :3] - 0.5) * keep + 0.5)
    return dataclasses.replace(latent, noise_mask=_grown(inside, grow_mask_by))


@node(
    "InpaintModelConditioning",
    category="conditioning/inpaint",
    outputs=("positive", "negative", "latent"),
    uses_model=("vae",),
)
def condition_inpainting(
    context: Any,
    *,
    positive: Conditioning,
    negative: Conditioning,
    vae: Vae,
    pixels: Image,
    mask: Mask,
    noise_mask: Annotated[bool, Boolean()] = True,
) -> tuple[Conditioning, Conditioning, Latent]:
    """Tell an inpainting model what to paint over: the picture with a grey hole, and where the hole is.

    positive: what the picture should show.
    negative: what it should not show.
    vae: the VAE of the inpainting model.
    pixels: the picture.
    mask: 1 where to paint, 0 where the picture is to stay.
    noise_mask: also keep the sampler from changing what lies outside the mask.
    """
    import dataclasses

    from torch.nn.functional import interpolate

    from engine.diffusion.conditioning import set_extra
    from engine.families import pipeline
    from engine.families.inpainting import CONCAT_LATENT, CONCAT_MASK
    from engine.imaging.batches import mask_batch

    planes = interpolate(mask_batch(mask).unsqueeze(1), size=pixels.shape[1:3], mode="bilinear")
    height, width = pixels.shape[1] // 8 * 8, pixels.shape[2] // 8 * 8
    y, x = (pixels.shape[1] - height) // 2, (pixels.shape[2] - width) // 2
    planes = planes[:, :, y : y + height, x : x + width]
    picture = pixels[:, y : y + height, x : x + width, :3]
    keep = (1.0 - planes.round()).movedim(1, -1)
    around = pipeline.encode_pixels(context.models, vae, (picture - 0.5) * keep + 0.5)
    latent = pipeline.encode_pixels(context.models, vae, picture)
    told = {CONCAT_LATENT: around.samples, CONCAT_MASK: planes}
    start = dataclasses.replace(latent, noise_mask=planes) if noise_mask else latent
    return set_extra(positive, **told), set_extra(negative, **told), start


def _cut_to_multiples(pixels: Any, planes: Any, factor: int) -> tuple[Any, Any]:
    """Cut the middle of [B, H, W, C]; the mask [B, 1, H, W] is cut at its end, as saved workflows expect."""
    height, width = pixels.shape[1] // factor * factor, pixels.shape[2] // factor * factor
    y, x = (pixels.shape[1] - height) // 2, (pixels.shape[2] - width) // 2
    return pixels[:, y : y + height, x : x + width], planes[:, :, :height, :width]


def _grown(mask: Any, by: int) -> Any:
    """Widen the ones of a 0-or-1 mask [B, 1, H, W] by a square of side ``by``."""
    from torch.nn.functional import max_pool2d

    if by < 2:
        return mask
    return max_pool2d(mask, by, stride=1, padding=by // 2)[:, :, : mask.shape[2], : mask.shape[3]]
