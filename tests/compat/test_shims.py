"""The modules that packs import, over our own engine."""

from __future__ import annotations

import asyncio
import importlib
import math
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from pack_bench import Bench, node

from engine.compat.shims import MODULES
from engine.errors import Cancelled, PathError
from engine.session import Session
from engine.weights.files import save_safetensors


@pytest.fixture
def session(tmp_path: Path, open_session: Callable[..., Session]) -> Session:
    """A session with one small pack, so that the modules are there and show this session's folders."""
    base = tmp_path / "base"
    (base / "models" / "loras" / "sub").mkdir(parents=True)
    (base / "custom_nodes").mkdir()
    (base / "custom_nodes" / "empty.py").write_text("NODE_CLASS_MAPPINGS = {}\n")
    for folder in ("input", "output"):
        (base / folder).mkdir()
    for name in ("a.safetensors", "sub/b.safetensors", "notes.txt"):
        (base / "models" / "loras" / name).write_bytes(b"")
    made = Session(open_session(base).settings.__class__(base, device="cpu", trust_packs=True))
    _ = made.registry
    return made


def module(name: str) -> Any:
    return importlib.import_module(name)


@pytest.mark.parametrize("name", sorted(MODULES))
def test_every_module_is_there(session: Session, name: str) -> None:
    found = module(name)
    assert found.__name__ == name
    with pytest.raises(AttributeError, match="does not offer"):
        _ = found.certainly_not_here


@pytest.mark.parametrize("name", ["comfy.sd", "comfy.ldm.models", "comfy_extras.nodes_x", "comfy_execution.caching"])
def test_a_module_that_is_not_offered(session: Session, name: str) -> None:
    with pytest.raises(ModuleNotFoundError, match="does not offer"):
        module(name)


def test_modules_within_a_package_are_there_without_being_imported(session: Session) -> None:
    comfy = module("comfy")
    assert comfy.utils.ProgressBar is module("comfy.utils").ProgressBar
    assert comfy.samplers.KSampler.SAMPLERS
    with pytest.raises(AttributeError, match="does not offer"):
        _ = comfy.sd


def test_where_modules_seem_to_lie(session: Session) -> None:
    assert Path(module("folder_paths").__file__).parent == session.folders.base
    assert Path(module("comfy.utils").__file__).parent == session.folders.base / "comfy"


def test_importing_all_names(session: Session) -> None:
    names: dict[str, Any] = {}
    for name in ("comfy.utils", "comfy_execution.graph_utils", "folder_paths"):
        names |= {one: getattr(module(name), one) for one in module(name).__all__}
    assert {"ProgressBar", "GraphBuilder", "get_filename_list"} <= names.keys()


# folder_paths


def test_folders(session: Session) -> None:
    paths = module("folder_paths")
    base = session.folders.base
    assert paths.base_path == str(base)
    assert paths.models_dir == str(base / "models")
    assert paths.get_input_directory() == str(base / "input") == paths.input_directory
    assert paths.get_output_directory() == str(base / "output")
    assert paths.get_temp_directory() == str(base / "temp")
    assert paths.get_user_directory() == str(base / "user")
    assert paths.get_directory_by_type("temp") == str(base / "temp")
    assert paths.get_directory_by_type("other") is None
    assert paths.get_folder_paths("loras") == [str(base / "models" / "loras")]
    assert paths.folder_names_and_paths["unet"] == paths.folder_names_and_paths["diffusion_models"]
    assert ".safetensors" in paths.folder_names_and_paths["loras"][1]
    assert "loras" in paths.folder_names_and_paths and "nothing" not in paths.folder_names_and_paths
    assert "custom_nodes" in list(paths.folder_names_and_paths)
    with pytest.raises(KeyError):
        paths.get_folder_paths("nothing")


def test_files_of_folders(session: Session) -> None:
    paths = module("folder_paths")
    base = session.folders.base
    assert paths.get_filename_list("loras") == ["a.safetensors", "sub/b.safetensors"]
    assert paths.get_full_path("loras", "sub/b.safetensors") == str(base / "models/loras/sub/b.safetensors")
    assert paths.get_full_path("loras", "none.safetensors") is None
    assert paths.get_full_path("loras", "../../custom_nodes/empty.py") is None
    with pytest.raises(FileNotFoundError):
        paths.get_full_path_or_raise("loras", "none.safetensors")
    assert paths.filter_files_extensions(["a.PNG", "b.txt"], [".png"]) == ["a.PNG"]
    assert paths.filter_files_content_types(["a.png", "b.mp4", "c.glb", "d"], ["image", "model"]) == ["a.png", "c.glb"]


def test_folders_that_packs_add(session: Session, tmp_path: Path) -> None:
    paths = module("folder_paths")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "x.onnx").write_bytes(b"")
    paths.add_model_folder_path("mine", str(tmp_path / "mine"))
    assert paths.get_filename_list("mine") == ["x.onnx"]
    assert paths.get_full_path("mine", "x.onnx") == str(tmp_path / "mine" / "x.onnx")
    paths.folder_names_and_paths["other"] = ([str(tmp_path / "mine")], {".bin"})
    assert paths.get_filename_list("other") == []
    paths.add_model_folder_path("loras", str(tmp_path / "mine"), is_default=True)
    assert paths.get_folder_paths("loras")[0] == str(tmp_path / "mine")
    assert paths.get_filename_list("loras") == ["a.safetensors", "sub/b.safetensors"]


def test_annotated_names(session: Session) -> None:
    paths = module("folder_paths")
    base = session.folders.base
    (base / "output" / "p.png").write_bytes(b"")
    assert paths.get_annotated_filepath("p.png") == str(base / "input" / "p.png")
    assert paths.get_annotated_filepath("p.png [output]") == str(base / "output" / "p.png")
    assert paths.annotated_filepath("p.png [temp]") == ("p.png", str(base / "temp"))
    assert paths.exists_annotated_filepath("p.png [output]")
    assert not paths.exists_annotated_filepath("p.png")
    assert not paths.exists_annotated_filepath("../models/x [output]")
    with pytest.raises(PathError):
        paths.get_annotated_filepath("../models/x")


def test_places_to_save(session: Session) -> None:
    paths = module("folder_paths")
    output = paths.get_output_directory()
    folder, name, counter, subfolder, prefix = paths.get_save_image_path("sub/pic_%width%", output, 64, 32)
    assert (folder, name, counter, subfolder) == (f"{output}/sub", "pic_64", 1, "sub")
    assert prefix == "sub/pic_64"
    Path(folder, "pic_64_00007_.png").write_bytes(b"")
    assert paths.get_save_image_path("sub/pic_64", output)[2] == 8
    with pytest.raises(PathError):
        paths.get_save_image_path("../out", output)


# graph_utils


def test_building_a_graph(session: Session) -> None:
    utils = module("comfy_execution.graph_utils")
    builder = utils.GraphBuilder("9.0.0.")
    first = builder.node("A", value=1)
    second = builder.node("B", "named", link=first.out(1), gone=2)
    second.set_input("gone", None)
    second.set_input("more", 3)
    second.set_override_display_id("9")
    assert builder.lookup_node("named") is second
    assert builder.node("B", "named") is second
    assert second.get_input("more") == 3 and second.get_input("gone") is None
    assert builder.finalize() == {
        "9.0.0.1": {"class_type": "A", "inputs": {"value": 1}},
        "9.0.0.named": {
            "class_type": "B",
            "inputs": {"link": ["9.0.0.1", 1], "more": 3},
            "override_display_id": "9",
        },
    }
    builder.replace_node_output("9.0.0.1", 1, ["5", 0])
    assert second.get_input("link") == ["5", 0]
    builder.remove_node("9.0.0.1")
    assert list(builder.finalize()) == ["9.0.0.named"]


def test_prefixes_of_graphs(session: Session) -> None:
    utils = module("comfy_execution.graph_utils")
    utils.GraphBuilder.set_default_prefix("7", 2)
    assert [utils.GraphBuilder().prefix for _ in range(2)] == ["7.2.0.", "7.2.1."]
    assert utils.GraphBuilder.alloc_prefix("a", 1, 2) == "a.1.2."


@pytest.mark.parametrize(
    "value, expected",
    [(["1", 0], True), (["1", 2.0], True), ([1, 0], False), (["1"], False), ("1", False), (["1", "0"], False)],
)
def test_what_a_link_is(session: Session, value: Any, expected: bool) -> None:
    assert module("comfy_execution.graph_utils").is_link(value) is expected


def test_prefixing_a_graph(session: Session) -> None:
    graph = {"1": {"class_type": "A", "inputs": {"x": ["2", 0], "y": ["out", 0]}}, "2": {"class_type": "B"}}
    made, outputs = module("comfy_execution.graph_utils").add_graph_prefix(graph, (["1", 0], 5), "p.")
    assert made["p.1"]["inputs"] == {"x": ["p.2", 0], "y": ["out", 0]}
    assert outputs == (["p.1", 0], 5)


# server


def test_the_server_collects_what_packs_register(session: Session) -> None:
    server = module("server").PromptServer.instance
    before = len(server.routes)

    @server.routes.get("/mine/{name}")
    async def answer(request: Any) -> Any: ...

    @server.routes.post("/mine")
    async def take(request: Any) -> Any: ...

    assert [(one.method, one.path) for one in list(server.routes)[before:]] == [
        ("GET", "/mine/{name}"),
        ("POST", "/mine"),
    ]
    assert answer is list(server.routes)[before].handler
    server.send_sync("event", {"a": 1})
    heard: list[Any] = []
    silent, server.deliver = server.deliver, lambda event, data, sid: heard.append((event, data, sid))
    try:
        server.send_sync("event", {"a": 1}, server.client_id)
        server.send_progress_text("half", "4")
        asyncio.run(server.send("later", {}, "me"))
    finally:
        server.deliver = silent
    assert heard[0] == ("event", {"a": 1}, None)
    assert heard[2] == ("later", {}, "me")
    assert server.prompt_queue.get_tasks_remaining() == 0
    server.add_on_prompt_handler(lambda data: {**data, "seen": True})
    assert server.trigger_on_prompt({"a": 1}) == {"a": 1, "seen": True}
    server.app.add_routes([])
    assert server.last_node_id is None


# comfy


def test_upscaling(session: Session) -> None:
    utils = module("comfy.utils")
    pixels = torch.rand(1, 3, 8, 16)
    for method in ("nearest-exact", "bilinear", "area", "bicubic", "bislerp", "lanczos"):
        assert utils.common_upscale(pixels, 4, 6, method, "center").shape == (1, 3, 6, 4)
    assert utils.common_upscale(torch.rand(1, 3, 2, 8, 8), 4, 4, "bilinear", "disabled").shape == (1, 3, 2, 4, 4)


def test_tensors_of_files(session: Session, tmp_path: Path) -> None:
    utils = module("comfy.utils")
    tensors = {"a.x": torch.arange(4.0), "b.y": torch.ones(2, 2)}
    save_safetensors(tmp_path / "t.safetensors", tensors, {"k": "v"})
    found, metadata = utils.load_torch_file(str(tmp_path / "t.safetensors"), return_metadata=True)
    assert torch.equal(found["a.x"], tensors["a.x"]) and metadata == {"k": "v"}
    utils.save_torch_file(tensors, tmp_path / "u.safetensors")
    assert utils.calculate_parameters(utils.load_torch_file(tmp_path / "u.safetensors")) == 8
    assert set(utils.state_dict_prefix_replace(dict(tensors), {"a.": "c."})) == {"c.x", "b.y"}
    assert set(utils.state_dict_prefix_replace(dict(tensors), {"a.": "c."}, filter_keys=True)) == {"c.x"}
    assert utils.repeat_to_batch_size(torch.arange(3), 7).tolist() == [0, 1, 2, 0, 1, 2, 0]
    assert utils.repeat_to_batch_size(torch.arange(3), 2).tolist() == [0, 1]


def test_progress_outside_a_node_is_told_to_the_hook(session: Session) -> None:
    utils = module("comfy.utils")
    heard: list[Any] = []
    utils.set_progress_bar_global_hook(lambda value, total, preview, node_id=None: heard.append((value, total)))
    bar = utils.ProgressBar(4)
    bar.update(3)
    bar.update(3)
    bar.update_absolute(1, 10)
    utils.set_progress_bar_global_hook(None)
    bar.update(1)
    assert heard == [(3, 4), (4, 4), (1, 10)]


def test_devices(session: Session) -> None:
    management = module("comfy.model_management")
    assert management.get_torch_device() == torch.device("cpu")
    assert management.intermediate_device() == torch.device("cpu")
    assert management.get_total_memory() >= management.get_free_memory() > 0
    assert management.cpu_state is management.CPUState.CPU
    assert management.is_device_cpu("cpu") and not management.is_nvidia()
    assert management.unet_dtype() in (torch.float32, torch.bfloat16)
    assert management.should_use_fp16() is False
    management.soft_empty_cache()
    management.unload_all_models()
    management.throw_exception_if_processing_interrupted()
    assert management.processing_interrupted() is False
    assert management.InterruptProcessingException is Cancelled


def test_names_of_samplers(session: Session) -> None:
    sampler = module("comfy.samplers").KSampler
    assert "euler" in sampler.SAMPLERS and "karras" in sampler.SCHEDULERS


def test_types(session: Session) -> None:
    types = module("comfy.comfy_types")
    assert types.IO.ANY == "*" and not types.IO.ANY != "IMAGE"  # noqa: SIM202
    assert not types.IO.NUMBER != "INT" and types.IO.NUMBER != "STRING"  # noqa: SIM202

    class Lazy(types.CheckLazyMixin): ...

    assert Lazy().check_lazy_status(a=1, b=None) == ["b"]
    assert module("comfy.comfy_types.node_typing").IO is types.IO


def test_options_of_the_start(session: Session) -> None:
    args = module("comfy.cli_args").args
    assert args.cpu is True and args.disable_metadata is False
    with pytest.raises(AttributeError, match="no option"):
        _ = args.nothing_like_it


def test_small_helpers(session: Session) -> None:
    helpers = module("node_helpers")
    old = [[torch.zeros(1), {"a": [1]}]]
    assert helpers.conditioning_set_values(old, {"a": [2], "b": 3}, append=True)[0][1] == {"a": [1, 2], "b": 3}
    assert old[0][1] == {"a": [1]}
    assert helpers.string_to_torch_dtype("bf16") is torch.bfloat16
    one, two = helpers.image_alpha_fix(torch.zeros(1, 2, 2, 3), torch.zeros(1, 2, 2, 4))
    assert one.shape == two.shape
    kept: dict[str, Any] = {}
    module("latent_preview").prepare_callback(None, 4, kept)(0, "x0", "x", 4)
    assert kept == {"x0": "x0"}


# nodes


def test_built_in_nodes_as_classes(session: Session) -> None:
    nodes = module("nodes")
    assert nodes.MAX_RESOLUTION == 16384
    mappings = nodes.NODE_CLASS_MAPPINGS
    assert "KSampler" in mappings and "Nothing" not in mappings
    assert mappings["ImageInvert"] is nodes.ImageInvert
    declared = nodes.KSampler.INPUT_TYPES()["required"]
    assert declared["steps"][0] == "INT" and declared["steps"][1]["default"] == 20
    assert "euler" in declared["sampler_name"][0]
    assert nodes.KSampler.FUNCTION == "sample" and nodes.KSampler.RETURN_TYPES == ("LATENT",)
    (inverted,) = nodes.ImageInvert().invert(torch.full((1, 2, 2, 3), 0.25))
    assert torch.allclose(inverted, torch.full((1, 2, 2, 3), 0.75))
    (latent,) = nodes.EmptyLatentImage().generate(width=64, height=32)
    assert latent["samples"].shape == (1, 4, 4, 8)
    (bigger,) = nodes.LatentUpscaleBy().upscale(latent, "bilinear", 2.0)
    assert bigger["samples"].shape == (1, 4, 8, 16)
    with pytest.raises(TypeError, match="no input"):
        nodes.ImageInvert().invert(nothing=1)
    mappings["KSampler"] = object
    assert mappings["KSampler"] is nodes.KSampler


def test_a_pack_saves_by_the_built_in_node(session: Session, open_session: Callable[..., Session]) -> None:
    text = """
import torch
import nodes

class Keep(nodes.PreviewImage):
    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"size": ("INT", {"default": 8})}, "hidden": {"prompt": "PROMPT"}}
    RETURN_TYPES = ()
    FUNCTION = "keep"
    OUTPUT_NODE = True
    CATEGORY = "test"
    def keep(self, size, prompt=None):
        return self.save_images(torch.zeros(1, size, size, 3), prompt=prompt)

NODE_CLASS_MAPPINGS = {"Keep": Keep}
"""
    (session.folders.base / "custom_nodes" / "keep.py").write_text(text)
    bench = Bench(open_session(session.folders.base))
    result = bench.run({"1": node("Keep", size=16)})
    result.raise_for_failure()
    assert [one.size for one in result.images["1"]] == [(16, 16)]


LATENTS = """
import torch

class Double:
    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"latent": ("LATENT",), "text": ("CONDITIONING",)}}
    RETURN_TYPES = ("LATENT", "CONDITIONING")
    FUNCTION = "go"
    CATEGORY = "test"
    def go(self, latent, text):
        made = [[one, {**facts, "strength": 0.5, "mine": 1}] for one, facts in text]
        return ({**latent, "samples": latent["samples"] * 2 + 1, "more": "kept"}, made)

class Source:
    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {}}
    RETURN_TYPES = ("CONDITIONING",)
    FUNCTION = "go"
    CATEGORY = "test"
    def go(self):
        facts = {"pooled_output": torch.ones(1, 4), "area": ("percentage", 0.5, 0.5, 0.0, 0.25)}
        return ([[torch.zeros(1, 3, 4), facts]],)

class AnyType(str):
    def __ne__(self, other):
        return False

class Look:
    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"value": (AnyType("*"),)}}
    RETURN_TYPES = (AnyType("*"), "STRING")
    FUNCTION = "go"
    CATEGORY = "test"
    def go(self, value):
        return (value, f"{type(value).__name__} {sorted(value) if isinstance(value, dict) else len(value)}")

NODE_CLASS_MAPPINGS = {"Double": Double, "Source": Source, "Look": Look}
"""


def test_latents_and_conditionings_pass_between_packs_and_the_engine(
    session: Session, open_session: Callable[..., Session]
) -> None:
    (session.folders.base / "custom_nodes" / "latents.py").write_text(LATENTS)
    bench = Bench(open_session(session.folders.base))
    prompt = {
        "1": node("LatentUpscaleBy", samples=["6", 0], upscale_method="nearest-exact", scale_by=2.0),
        "2": node("Double", latent=["3", 0], text=["4", 0]),
        "3": node("EmptyLatentImage", width=64, height=64, batch_size=1),
        "4": node("ConditioningSetAreaStrength", conditioning=["5", 0], strength=0.7),
        "5": node("Source"),
        "6": node("Look", value=["2", 0]),
        "7": node("Look", value=["4", 0]),
        "8": node("Look", value=["1", 0]),
    }
    result = bench.run(prompt, ["1", "2", "4", "6", "7", "8"])
    result.raise_for_failure()
    (latent,) = result.made.values["1"]
    assert latent.samples.shape == (1, 4, 16, 16) and bool((latent.samples == 1).all())
    assert [result.made.values[id][1] for id in "678"] == [
        "dict ['more', 'samples']",
        "list 1",
        "dict ['more', 'samples']",
    ]
    (entry,) = result.made.values["4"][0]
    assert (entry.strength, entry.area.relative, entry.area.x) == (0.7, True, 0.25)
    (entry,) = result.made.values["2"][1]
    assert entry.strength == 0.5 and entry.extra == {"mine": 1}
    assert math.isclose(float(entry.pooled.sum()), 4.0)


def test_names_are_only_put_in_place_for_packs(tmp_path: Path) -> None:
    import subprocess

    script = "import engine.session, engine.compat.packs, sys; print({'comfy', 'server'} & set(sys.modules))"
    made = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert made.stdout.strip() == "set()"
