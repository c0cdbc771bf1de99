"""Train a style LoRA (Hu et al., 2021, arXiv:2106.09685) for a finished U-Net, in the kohya file layout."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from engine.training.diffusion_training import PromptedUNet, add_noise, diffusion_loss
from engine.training.loop import train_until_spent
from engine.training.state import TimedRun
from engine.training.tokens import Tokenizer
from engine.weights.safetensors_format import save_safetensors

__all__ = ["Adapters", "LoraRun", "attached", "export_lora", "train_lora"]

PREFIX = "lora_unet_"


@dataclass(frozen=True, slots=True)
class LoraRun:
    """How to train: minutes in all, rank of the adapters, highest learning rate, pictures a step."""

    minutes: float
    rank: int = 8
    peak_rate: float = 2e-3
    batch: int = 32


class Adapters(nn.Module):
    """A low-rank change for every linear layer and convolution of a network; all start at no change.

    Names are the layers' own with `_` for `.`. The scale alpha / rank is 1 throughout.
    """

    def __init__(self, network: nn.Module, rank: int) -> None:
        super().__init__()
        self.rank = rank
        self.layers = nn.ModuleDict()
        for name, layer in _adaptable(network):
            down, up = _factors(layer, rank)
            nn.init.zeros_(up.weight)
            self.layers[name.replace(".", "_")] = nn.ModuleDict({"down": down, "up": up})

    def change(self, name: str, value: Tensor) -> Tensor:
        """Return what is added to the output of a layer that is given `value`."""
        pair = self.layers[name.replace(".", "_")]
        assert isinstance(pair, nn.ModuleDict)
        changed: Tensor = pair["up"](pair["down"](value))
        return changed


def _adaptable(network: nn.Module) -> Iterator[tuple[str, nn.Linear | nn.Conv2d]]:
    for name, layer in network.named_modules():
        if isinstance(layer, (nn.Linear, nn.Conv2d)):
            yield name, layer


def _factors(layer: nn.Linear | nn.Conv2d, rank: int) -> tuple[nn.Linear | nn.Conv2d, nn.Linear | nn.Conv2d]:
    """Return the two halves: for a convolution the first has its kernel and stride, the second is 1x1."""
    if isinstance(layer, nn.Linear):
        return nn.Linear(layer.in_features, rank, bias=False), nn.Linear(rank, layer.out_features, bias=False)
    assert not isinstance(layer.padding, str)
    kernel, stride, padding = (_pair(sides) for sides in (layer.kernel_size, layer.stride, layer.padding))
    down = nn.Conv2d(layer.in_channels, rank, kernel, stride, padding, bias=False)
    return down, nn.Conv2d(rank, layer.out_channels, 1, bias=False)


def _pair(sides: tuple[int, ...]) -> tuple[int, int]:
    return sides[0], sides[1]


class attached:
    """Let adapters act on a network while the block runs."""

    def __init__(self, adapters: Adapters, network: nn.Module) -> None:
        self._adapters, self._network = adapters, network
        self._hooks: list[torch.utils.hooks.RemovableHandle] = []

    def __enter__(self) -> None:
        for name, layer in _adaptable(self._network):
            self._hooks.append(layer.register_forward_hook(self._hook(name)))

    def __exit__(self, *_: object) -> None:
        for hook in self._hooks:
            hook.remove()

    def _hook(self, name: str):  # type: ignore[no-untyped-def]  # torch's own type of a hook says nothing either
        def add(layer: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
            return output + self._adapters.change(name, inputs[0])

        return add


def train_lora(
    model: PromptedUNet, latents: Tensor, captions: tuple[str, ...], state_file: Path, run: LoraRun
) -> Adapters:
    """Train on latents [N, C, h, w] of unit spread and their captions; return the averaged adapters."""
    model = model.requires_grad_(False).eval()
    adapters = Adapters(model.unet, run.rank)
    optimiser = torch.optim.AdamW(adapters.parameters(), lr=run.peak_rate, betas=(0.9, 0.99), weight_decay=1e-2)
    timed = TimedRun(state_file, adapters, optimiser, run.minutes)
    tokenizer = Tokenizer()

    def losses(progress: float) -> tuple[Tensor, Tensor]:
        chosen = torch.randint(len(latents), (run.batch,), generator=timed.generator)
        noised = add_noise(timed.generator, latents[chosen])
        tokens = tokenizer([captions[index] for index in chosen.tolist()])
        with torch.autocast("cpu", dtype=torch.bfloat16), attached(adapters, model.unet):
            errors = diffusion_loss(model, noised.latents, noised.noise, noised.timesteps, tokens)
        return noised.velocity_loss(errors), errors.mean()

    averaged = train_until_spent(timed, run.peak_rate, losses, ("loss", "noise error"))
    assert isinstance(averaged, Adapters)
    return averaged


def export_lora(adapters: Adapters, out: Path, title: str, description: str) -> None:
    """Write adapters under kohya's names, as fp16, alpha equal to the rank."""
    tensors: dict[str, Tensor] = {}
    for name, pair in adapters.layers.items():
        assert isinstance(pair, nn.ModuleDict)
        for half in ("down", "up"):
            tensors[f"{PREFIX}{name}.lora_{half}.weight"] = pair.state_dict()[f"{half}.weight"].half().contiguous()
        tensors[f"{PREFIX}{name}.alpha"] = torch.tensor(float(adapters.rank), dtype=torch.float16)
    metadata = {
        "ss_network_module": "networks.lora",
        "ss_network_dim": str(adapters.rank),
        "ss_network_alpha": str(float(adapters.rank)),
        "modelspec.sai_model_spec": "1.0.0",
        "modelspec.architecture": "stable-diffusion-v1/lora",
        "modelspec.implementation": "safelight",
        "modelspec.title": title,
        "modelspec.description": description,
        "modelspec.license": "Apache-2.0 AND MIT",
    }
    save_safetensors(out, tensors, metadata)
