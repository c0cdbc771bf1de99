"""What dry runs predict: the tracked peak of a real call on a CPU to the byte, and peaks that others published."""

from __future__ import annotations

import weakref
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_checkpoint import write_tiny_checkpoint
from tiny_families import TinyFamily, write_tiny_family
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from engine.families.building import build_module, empty_module
from engine.families.control import load_controlnet
from engine.families.pipeline import load_checkpoint
from engine.families.profiles import NetworkCall, call_network, profile_call
from engine.families.taesd import load_tiny
from engine.families.upscalers import load_upscaler
from engine.memory.devices import DeviceInfo
from engine.memory.dry_run import dry_run
from engine.memory.profile import Profile, ProfileStore
from engine.networks.controlnet import ControlNet, ControlNetConfig
from engine.networks.t2i_adapter import T2IAdapter, T2IAdapterConfig
from engine.networks.tiny_autoencoder import TinyAutoencoder, TinyAutoencoderConfig
from engine.networks.unet import UNetConfig
from engine.weights.files import save_safetensors
from engine.weights.loading import empty_construction
from engine.weights.recipe import ModelRecipe, file_ref

CPU = DeviceInfo("cpu", "cpu", 8 << 30)
GIB = 1 << 30


def recipes(name: str, folder: Path) -> tuple[ModelRecipe, ModelRecipe, ModelRecipe]:
    path = folder / f"{name}.safetensors"
    if name == "sd1":
        write_tiny_checkpoint(path)
    else:
        family: TinyFamily = name  # type: ignore[assignment]
        write_tiny_family(path, family)
    return load_checkpoint(file_ref(path))


class StorageMeter(TorchDispatchMode):
    """Follow the bytes of all storages that come into being, by weak references to them."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.before = {one.untyped_storage().data_ptr() for one in network.state_dict().values()}
        self.now = self.peak = 0
        self.seen: dict[int, weakref.ref[Any]] = {}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if torch.is_inference_mode_enabled() and func.namespace == "aten":  # as inside spandrel
            with self:
                parts = func.decompose(*args, **(kwargs or {}))
            if parts is not NotImplemented:
                return parts
        made = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(made):
            if isinstance(tensor, torch.Tensor):
                storage = tensor.untyped_storage()
                if id(storage) not in self.seen and storage.data_ptr() not in self.before:
                    nbytes = storage.nbytes()
                    self.seen[id(storage)] = weakref.ref(storage, partial(self.gone, id(storage), nbytes))
                    self.now += nbytes
        self.peak = max(self.peak, self.now)
        return made

    def gone(self, key: int, nbytes: int, _: object) -> None:
        self.now -= nbytes
        del self.seen[key]


def tracked(network: nn.Module, call: NetworkCall) -> int:
    """Run the real network and return the most bytes that tensors made meanwhile held.

    Not under inference_mode, which hides what is made inside operations that are made of others.
    """
    with torch.no_grad(), StorageMeter(network) as meter:
        result = call_network(network, call, torch.device("cpu"))
    del result
    return meter.peak


def same(recipe: ModelRecipe, call: NetworkCall, dtype: torch.dtype = torch.float32) -> None:
    made = profile_call(recipe, call, CPU, dtype, ProfileStore(None), "cpu")
    real = build_module(recipe, CPU, dtype)
    assert made.tensor_bytes == tracked(real, call) > 0
    weights = {name: tensor.numel() * tensor.element_size() for name, tensor in real.state_dict().items()}
    assert dict(made.tensors).items() <= weights.items()
    assert sum(flops for use in made.uses for flops, _ in use.work) > 0


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=["float32", "bfloat16"])
@pytest.mark.parametrize("family", ["sd1", "sd2", "sd2_inpaint", "sdxl", "sdxl_refiner"])
def test_peaks_of_whole_families(family: str, dtype: torch.dtype, tmp_path: Path) -> None:
    model, clip, vae = recipes(family, tmp_path)
    same(model, NetworkCall("denoise", 2, 16, 24), dtype)
    same(vae, NetworkCall("decode", 1, 16, 8), dtype)
    same(vae, NetworkCall("encode", 1, 64, 128), dtype)
    for kind in ("text_l", "text_g") if family == "sdxl" else ("text",):
        same(clip, NetworkCall(kind, 3), torch.float32)  # type: ignore[arg-type]


def test_peak_where_a_prompt_is_padded(tmp_path: Path) -> None:
    """Many pixels that listen to 77 tokens, in bfloat16: see `engine.networks.one_pass`."""
    same(recipes("sd1", tmp_path)[0], NetworkCall("denoise", 1, 64, 48), torch.bfloat16)


def test_peak_of_a_shipped_upscaler(root: Path) -> None:
    path = root / "models/upscale_models/realesr-animevideov3-x4.safetensors"
    same(load_upscaler(file_ref(path)), NetworkCall("upscale", 1, 24, 32))


def both(make: Any, call: NetworkCall) -> None:
    with torch.device("meta"), empty_construction():
        empty = make()
    made = dry_run(empty, lambda network, place: call_network(network, call, place), "cpu")
    assert made.tensor_bytes == tracked(make().eval(), call) > 0


def test_peaks_of_what_steers() -> None:
    sizes = UNetConfig(
        model_channels=32, channel_mult=(1, 2), num_res_blocks=(1, 1), transformer_depth=(0, 1), context_dim=32
    )
    both(lambda: ControlNet(ControlNetConfig(sizes)), NetworkCall("control", 2, 16, 16))
    both(lambda: ControlNet(ControlNetConfig(sizes)), NetworkCall("hint", 1, 128, 128))
    for light in (False, True):
        config = T2IAdapterConfig(3, 8, (32, 64), 2, light, 1, False)
        both(lambda config=config: T2IAdapter(config), NetworkCall("adapter", 1, 64, 128))


def test_peaks_of_a_tiny_autoencoder() -> None:
    both(lambda: TinyAutoencoder(TinyAutoencoderConfig()), NetworkCall("decode", 1, 8, 16))
    both(lambda: TinyAutoencoder(TinyAutoencoderConfig()), NetworkCall("encode", 1, 64, 64))


def test_a_steered_unet_holds_the_residuals_too(tmp_path: Path) -> None:
    model = recipes("sdxl", tmp_path)[0]
    same(model, NetworkCall("denoise", 2, 15, 17, residuals=True, features=(0, 1)))
    plain, steered = (
        profile_call(model, NetworkCall("denoise", 1, 16, 16, residuals=r), CPU, torch.float32, ProfileStore(None))
        for r in (False, True)
    )
    assert steered.live_bytes > plain.live_bytes


def test_profiles_are_kept_and_damaged_ones_made_anew(tmp_path: Path) -> None:
    model = recipes("sd1", tmp_path)[0]
    call = NetworkCall("denoise", 1, 8, 8)
    stores = [ProfileStore(tmp_path / "kept") for _ in range(3)]
    first = profile_call(model, call, CPU, torch.float32, stores[0])
    assert profile_call(model, call, CPU, torch.float32, stores[1]) == first
    assert (stores[0].made, stores[1].made) == (1, 0)
    next((tmp_path / "kept").iterdir()).write_text("{")
    assert profile_call(model, call, CPU, torch.float32, stores[2]) == first
    assert stores[2].made == 1


def test_empty_networks_are_those_that_are_built(tmp_path: Path) -> None:
    for recipe in recipes("sdxl", tmp_path):
        empty, built = empty_module(recipe, CPU, torch.bfloat16), build_module(recipe, CPU, torch.bfloat16)
        facts = [
            {name: (one.shape, one.dtype, one.stride()) for name, one in network.state_dict().items()}
            for network in (empty, built)
        ]
        assert facts[0] == facts[1]


def published(network: Any, call: Any) -> tuple[Profile, int]:
    with torch.device("meta"), empty_construction():
        empty = network().half()
    weights = sum(parameter.numel() * parameter.element_size() for parameter in empty.parameters())
    return dry_run(empty, call, "cuda"), weights


@pytest.mark.parametrize(
    ("kind", "side", "gib"),
    [("decode", 512, 1.274), ("decode", 1024, 4.369), ("decode", 2048, 16.754), ("encode", 512, 0.900),
     ("encode", 1024, 2.879), ("encode", 1536, 6.179)],
)  # fmt: skip
def test_allocated_bytes_that_were_measured_on_a_card(kind: str, side: int, gib: float) -> None:
    """Qwen-Image's VAE in float16 on an RTX 4090, weights included (InvokeAI, pull request 9305)."""
    models = pytest.importorskip("diffusers.models")

    def call(network: Any, place: torch.device) -> Any:
        shape = (1, 16, 1, side // 8, side // 8) if kind == "decode" else (1, 3, 1, side, side)
        return getattr(network, kind)(torch.zeros(shape, dtype=torch.float16, device=place))

    made, weights = published(models.AutoencoderKLQwenImage, call)
    assert (made.live_bytes + weights) / GIB == pytest.approx(gib, rel=0.005)
    if (kind, side) in RESERVED:
        assert made.reserved_bytes / GIB == pytest.approx(RESERVED[kind, side], rel=0.03)


RESERVED = {("decode", 1024): 5.254, ("decode", 2048): 20.799}
"""GiB that the allocator took meanwhile, from the same source."""


def test_reserved_bytes_that_were_measured_for_the_usual_vae() -> None:
    """2178 and 2200 bytes for each pixel and byte of a number, as two engines found (ComfyUI; InvokeAI 7674)."""
    diffusers = pytest.importorskip("diffusers")
    sizes = {"block_out_channels": (128, 256, 512, 512), "layers_per_block": 2}
    kinds = {"down_block_types": ("DownEncoderBlock2D",) * 4, "up_block_types": ("UpDecoderBlock2D",) * 4}
    latents = (1, 4, 128, 128)

    def call(network: Any, place: torch.device) -> Any:
        return network.decode(torch.zeros(latents, dtype=torch.float16, device=place))

    made, _ = published(lambda: diffusers.AutoencoderKL(**sizes, **kinds), call)
    assert made.reserved_bytes / (1024 * 1024 * 2) == pytest.approx(2178, rel=0.03)


def test_ours_needs_no_more_than_the_usual_vae(tmp_path: Path) -> None:
    """Attention over all pixels runs fused: at 2048 x 2048 the weights of the softmax alone would take 8 GiB."""
    from engine.networks.autoencoder import Autoencoder, AutoencoderConfig

    call = NetworkCall("decode", 1, 256, 256)
    made, _ = published(lambda: Autoencoder(AutoencoderConfig()), lambda n, place: call_network(n, call, place))
    assert made.live_bytes / GIB < 9.6  # four times that of 1024 x 1024


def test_a_tiny_half_is_read_from_its_header(tmp_path: Path) -> None:
    """A decoder alone has a profile, too."""
    torch.manual_seed(0)
    diffusers = pytest.importorskip("diffusers")
    tensors = {f"decoder.{name}": one for name, one in diffusers.AutoencoderTiny().decoder.state_dict().items()}
    save_safetensors(tmp_path / "taesd.safetensors", {name: one.contiguous() for name, one in tensors.items()})
    same(load_tiny([file_ref(tmp_path / "taesd.safetensors")]), NetworkCall("decode", 1, 8, 8))


def test_a_shipped_controlnet(root: Path) -> None:
    path = root / "models/controlnet/safelight-emoji-128-edges.safetensors"
    recipe = load_controlnet(file_ref(path)).model
    same(recipe, NetworkCall("control", 2, 16, 16))
