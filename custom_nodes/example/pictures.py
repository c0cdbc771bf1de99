"""Native nodes: typed functions. The annotations are the sockets and widgets, the docstring is the help."""

from typing import Annotated

from engine.graph.declare import Choice, Float, Image, node

Amount = Annotated[float, Float(0.0, 1.0, step=0.01)]


@node("ExampleTint", display_name="Tint", category="examples")
def tint(*, image: Image, colour: Annotated[str, Choice(("sepia", "blue"))] = "sepia", amount: Amount = 0.5) -> Image:
    """Tint pictures.

    image: the pictures, [B, H, W, 3] in 0..1.
    colour: the tint.
    amount: 0 leaves the pictures as they are.
    """
    import torch

    weights = {"sepia": (1.0, 0.85, 0.65), "blue": (0.7, 0.85, 1.0)}[colour]
    grey = image.mean(dim=-1, keepdim=True) * torch.tensor(weights)
    return torch.lerp(image, grey, amount)


@node("ExampleVignette", display_name="Vignette", category="examples")
def vignette(*, image: Image, strength: Amount = 0.5) -> Image:
    """Darken pictures towards their corners.

    image: the pictures, [B, H, W, 3] in 0..1.
    strength: how dark the corners become; 1 is black.
    """
    import torch

    height, width = image.shape[1:3]
    y, x = torch.linspace(-1, 1, height)[:, None], torch.linspace(-1, 1, width)[None, :]
    return image * (1 - strength * (x**2 + y**2) / 2)[None, :, :, None]
