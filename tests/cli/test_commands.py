"""The command line, called in this process: what it prints and which code it returns."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from tiny_checkpoint import text_to_image

from engine.cli import main
from engine.weights.files import open_weights, save_safetensors

ATTENTION = "input_blocks.3.1.transformer_blocks.0.attn2.to_k.weight"


class Cli:
    """Calls the command line on one base directory and keeps what it printed."""

    def __init__(self, base: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
        self.folder = tmp_path
        self.base = base
        self.output = tmp_path / "output"
        self.capfd = capfd
        self.out = self.err = ""

    def __call__(self, command: str, *arguments: str) -> int:
        folders = ["--base-directory", str(self.base), "--output-directory", str(self.output)]
        code = main([command, *arguments, *folders])
        self.out, self.err = self.capfd.readouterr()
        return code

    def workflow(self, document: Any, name: str = "workflow.json") -> str:
        path = self.folder / name
        path.write_text(document if isinstance(document, str) else json.dumps(document))
        return str(path)

    def report(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.out)
        return found


@pytest.fixture
def cli(base: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> Cli:
    return Cli(base, tmp_path, capfd)


def test_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    assert "run" in capsys.readouterr().out
    assert main(["run", "--help"]) == 0
    assert main(["nonsense"]) == 2
    assert main(["run"]) == 2


def test_run_says_where_the_picture_is(cli: Cli) -> None:
    assert cli("run", cli.workflow(text_to_image())) == 0
    path = Path(cli.out.strip())
    assert path == cli.output / "made_00001_.png"
    assert path.is_file()
    assert cli.err == ""


def test_run_with_json_prints_one_object(cli: Cli) -> None:
    assert cli("run", cli.workflow(text_to_image()), "--json", "--set", "Sampler.seed=8") == 0
    report = cli.report()
    (output,) = report["outputs"]
    (file,) = output["files"]
    data = Path(file["path"]).read_bytes()
    assert file["sha256"] == hashlib.sha256(data).hexdigest()
    assert file["bytes"] == len(data)
    assert (file["filename"], file["subfolder"], file["type"]) == ("made_00001_.png", "", "output")
    assert report["ok"] is True
    assert report["errors"] == []
    assert {node["state"] for node in report["nodes"]} == {"done"}
    assert all(node["seconds"] >= 0 for node in report["nodes"])
    assert report["peak_memory_bytes"] > 10 << 20
    assert cli.err == ""


def test_what_fits_nothing_of_a_lora_is_shown(cli: Cli, base: Path) -> None:
    path = base / "models/loras/mixed.safetensors"
    path.parent.mkdir(exist_ok=True)
    stem = "lora_unet_" + ATTENTION.removesuffix(".weight").replace(".", "_")
    file = Path(base / "models/checkpoints/tiny.safetensors")
    with open_weights(file) as opened:
        rows, columns = opened.shapes["model.diffusion_model." + ATTENTION]
    tensors = {f"{stem}.lora_up.weight": torch.ones(rows, 1), f"{stem}.lora_down.weight": torch.ones(1, columns)}
    save_safetensors(path, tensors | {"lora_unet_nowhere.lora_up.weight": torch.ones(4, 1)})
    prompt = text_to_image(Sampler__model=["20", 0])
    inputs = {"model": ["4", 0], "lora_name": "mixed.safetensors", "strength_model": 1.0}
    prompt["20"] = {"class_type": "LoraLoaderModelOnly", "inputs": inputs, "_meta": {"title": "Style"}}
    said = "mixed.safetensors: 1 of 3 tensors fit nothing here and are left out: lora_unet_nowhere"
    assert cli("run", cli.workflow(prompt)) == 0
    assert cli.err.startswith(f"note: Style: {said}")
    assert cli("run", cli.workflow(prompt), "--json") == 0
    (notes,) = [node["notes"] for node in cli.report()["nodes"] if node["title"] == "Style"]
    assert notes[0].startswith(said)
    path.unlink()  # other tests list the models of this base directory


def test_a_picture_runs_again_to_the_same_bytes(cli: Cli) -> None:
    assert cli("run", cli.workflow(text_to_image())) == 0
    first = Path(cli.out.strip())
    assert cli("run", str(first)) == 0
    second = Path(cli.out.strip())
    assert second.name == "made_00002_.png"
    assert second.read_bytes() == first.read_bytes()


def test_set_by_title_id_and_type(cli: Cli) -> None:
    for name in ("Sampler.steps=1", "3.steps=1", "KSampler.steps=1"):
        assert cli("run", cli.workflow(text_to_image()), "--set", name, "--json") == 0
    assert {path.name for path in cli.output.iterdir()} == {f"made_0000{index}_.png" for index in (1, 2, 3)}
    assert len({path.read_bytes() for path in cli.output.iterdir()}) == 1


@pytest.mark.parametrize(
    ("assignment", "said"),
    [
        ("Sampler.steps", "NODE.INPUT=VALUE"),
        ("Sampler=3", "NODE.INPUT=VALUE"),
        ("Sampler.stps=3", "steps"),
        ("Samplr.steps=3", "Sampler"),
        ("Sampler.steps=many", "whole number"),
        ("Sampler.steps=0", "10000"),
        ("Sampler.sampler_name=eular", "euler"),
        ("Checkpoint.ckpt_name=tiny.safetensor", "tiny.safetensors"),
        ("Sampler.model=x", "MODEL"),
    ],
)
def test_a_wrong_set_is_refused(cli: Cli, assignment: str, said: str) -> None:
    assert cli("run", cli.workflow(text_to_image()), "--set", assignment) == 2
    assert said in cli.err
    assert cli.out == ""
    assert not cli.output.exists()


def bad_files(cli: Cli) -> dict[str, tuple[str, str]]:
    """Map a case to (file, what the message must say)."""
    picture = cli.folder / "plain.png"
    Image.new("RGB", (2, 2)).save(picture)
    fake = cli.folder / "fake.png"
    fake.write_bytes(b"<html>")
    cycle = text_to_image()
    cycle["5"]["inputs"]["width"] = ["5", 0]
    return {
        "absent": (str(cli.folder / "absent.json"), "absent.json"),
        "a folder": (str(cli.folder), "workflow"),
        "no JSON": (cli.workflow("{not json", "a.json"), "JSON"),
        "NaN": (cli.workflow('{"1": {"class_type": "A", "inputs": {"x": NaN}}}', "b.json"), "NaN"),
        "deep": (cli.workflow("[" * 100_000, "c.json"), "deep"),
        "a list": (cli.workflow("[]", "d.json"), "list"),
        "empty": (cli.workflow("{}", "e.json"), "empty"),
        "no node types": (cli.workflow({"1": {"inputs": {}}}, "f.json"), ""),
        "unknown node": (cli.workflow({"1": {"class_type": "KSamplr", "inputs": {}}}, "g.json"), "KSampler"),
        "no output": (cli.workflow({"1": text_to_image()["4"]}, "h.json"), "SaveImage"),
        "picture without recipe": (str(picture), "no workflow"),
        "fake picture": (str(fake), "fake.png"),
        "missing model": (cli.workflow(text_to_image(Checkpoint__ckpt_name="tiny.ckpt"), "i.json"), "tiny.safetensors"),
        "out of range": (cli.workflow(text_to_image(Size__width=0), "j.json"), "16"),
        "cycle": (cli.workflow(cycle, "k.json"), "5"),
        "hostile model": (cli.workflow(text_to_image(Checkpoint__ckpt_name="../../x"), "l.json"), "checkpoints"),
    }


def test_bad_files_are_refused_with_what_to_do(cli: Cli) -> None:
    for case, (file, said) in bad_files(cli).items():
        for command in ("validate", "run"):
            assert cli(command, file) == 2, case
            assert said in cli.err, (case, cli.err)
            assert "Traceback" not in cli.err, case
            assert cli("run", file, "--json") == 2, case
            assert cli.report()["ok"] is False
            assert cli.report()["errors"][0]["message"], case
    assert not cli.output.exists()


def test_damage_found_while_running(cli: Cli, base: Path) -> None:
    whole = (base / "models/checkpoints/tiny.safetensors").read_bytes()
    (base / "models/checkpoints/cut.safetensors").write_bytes(whole[: len(whole) // 2])
    (base / "models/checkpoints/none.safetensors").write_bytes(b"")
    (base / "models/checkpoints/upscaler.safetensors").write_bytes(
        (base / "models/upscale_models/realesr-animevideov3-x4.safetensors").read_bytes()
    )
    for name, said in (("cut", "truncated"), ("none", "none.safetensors"), ("upscaler", "family")):
        assert cli("run", cli.workflow(text_to_image(Checkpoint__ckpt_name=f"{name}.safetensors"))) == 2
        assert said in cli.err
        assert 'node 4 "Checkpoint"' in cli.err
    assert not cli.output.exists()


def test_not_a_picture_among_the_inputs(cli: Cli, base: Path) -> None:
    (base / "input/text.png").write_bytes(b"just text")
    prompt = {
        "1": {"class_type": "LoadImage", "inputs": {"image": "text.png"}},
        "2": {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": "x"}},
    }
    assert cli("run", cli.workflow(prompt), "--json") == 2
    report = cli.report()
    assert report["errors"][0]["code"] == "E-MEDIA"
    assert report["errors"][0]["node_id"] == "1"
    assert [node["state"] for node in report["nodes"]] == ["failed", "skipped"]


def test_an_output_folder_in_the_way_fails_the_save(cli: Cli) -> None:
    cli.output.write_text("a file")
    assert cli("run", cli.workflow(text_to_image())) == 1
    assert "not saved" in cli.err
    assert cli.output.read_text() == "a file"


def test_one_failure_does_not_stop_the_other_output(cli: Cli, base: Path) -> None:
    (base / "input/broken.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    prompt = text_to_image()
    prompt["20"] = {"class_type": "LoadImage", "inputs": {"image": "broken.png"}}
    prompt["21"] = {"class_type": "SaveImage", "inputs": {"images": ["20", 0], "filename_prefix": "x"}}
    assert cli("run", cli.workflow(prompt)) == 2
    assert Path(cli.out.strip()).name == "made_00001_.png"
    assert "broken.png" in cli.err


def test_validate(cli: Cli) -> None:
    file = cli.workflow(text_to_image())
    assert cli("validate", file) == 0
    assert '9 "Save"' in cli.out
    assert cli("validate", file, "--json") == 0
    assert cli.report() == {"ok": True, "nodes": 7, "outputs": ["9"], "errors": []}


def test_convert_prints_the_api_prompt(cli: Cli, root: Path) -> None:
    assert cli("convert", str(root / "workflows/text_to_image.json")) == 0
    converted = cli.report()
    expected = json.loads((root / "workflows/text_to_image_api.json").read_text())
    assert converted == expected
    titles = {entry["_meta"]["title"] for entry in converted.values()}
    assert {"Prompt", "Negative prompt"} <= titles


def test_convert_with_the_interfaces_of_other_nodes(cli: Cli) -> None:
    document = {
        "version": 0.4,
        "nodes": [
            {"id": 1, "type": "TheirNode", "widgets_values": [3, "b"], "inputs": [], "outputs": []},
        ],
        "links": [],
    }
    entry = {"id": "TheirNode", "input": {"required": {"n": ["INT"], "c": [["a", "b"]]}}, "output": []}
    interfaces = cli.workflow(entry, "interfaces.jsonl")
    assert cli("convert", cli.workflow(document), "--interfaces", interfaces) == 0
    assert cli.report()["1"]["inputs"] == {"n": 3, "c": "b"}


def test_nodes(cli: Cli) -> None:
    assert cli("nodes") == 0
    assert "KSampler " in cli.out
    assert cli("nodes", "KSampler") == 0
    assert "seed: a whole number between 0 and 18446744073709551615, default 0" in cli.out
    assert "uni_pc_bh2" in cli.out
    assert cli("nodes", "CheckpointLoaderSimple") == 0
    assert "tiny.safetensors" in cli.out
    assert cli("nodes", "KSamplr") == 2
    assert "KSampler" in cli.err
    assert cli("nodes", "--json") == 0
    assert cli.report()["KSampler"]["inputs"][1]["name"] == "seed"


def test_models(cli: Cli) -> None:
    assert cli("models") == 0
    assert "tiny.safetensors  5.7 MB  Stable Diffusion 1" in cli.out
    assert cli("models", "--json") == 0
    assert cli.report()["checkpoints"]["files"][0]["bytes"] > 0
    assert cli.report()["loras"]["files"] == []


def test_settings_that_are_wrong(cli: Cli, tmp_path: Path) -> None:
    file = cli.workflow(text_to_image())
    assert cli("run", file, "--device", "abacus") == 2
    assert "cpu" in cli.err
    assert cli("run", file, "--threads", "0") == 2
    assert main(["validate", file, "--base-directory", str(tmp_path / "nowhere")]) == 2
    assert cli("run", file, "--dtype", "int3") == 2
    assert cli("run", file, "--extra-model-paths-config", str(tmp_path / "none.yaml")) == 2


def test_verbose_shows_the_traceback(cli: Cli) -> None:
    assert cli("validate", str(cli.folder / "absent.json"), "--verbose") == 2
    assert "Traceback" in cli.err


def test_inputs_of_a_workflow_are_given_by_name(cli: Cli) -> None:
    file = cli.workflow(
        {
            "a": {"class_type": "WorkflowInput", "inputs": {"name": "width", "type": "whole number"}},
            "b": {"class_type": "EmptyImage", "inputs": {"width": ["a", 0], "height": 16, "batch_size": 1, "color": 0}},
            "c": {"class_type": "SaveImage", "inputs": {"images": ["b", 0], "filename_prefix": "named"}},
        }
    )
    assert cli("run", file, "--input", "width=24") == 0
    (saved,) = cli.output.iterdir()
    with Image.open(saved) as picture:
        assert picture.size == (24, 16)
    assert cli("run", file, "--input", "height=3") == 2 and "no input 'height'" in cli.err
    assert cli("run", file, "--input", "width=wide") == 2 and "whole number" in cli.err
    assert cli("run", file, "--input", "width") == 2 and "NAME=VALUE" in cli.err
