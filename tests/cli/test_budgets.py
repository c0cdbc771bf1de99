"""Budgets of memory on the command line: each is a number of bytes, the same for every command, refused in time."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tiny_checkpoint import make_base_directory, text_to_image
from tiny_families import write_tiny_family

from engine.cli.arguments import build_parser, settings_from
from engine.cli.entry import main
from engine.errors import InputError
from engine.jobs.records import settings_from as settings_of_worker
from engine.jobs.records import settings_record
from engine.memory.budgets import Budgets, budgets_of
from engine.settings import Settings, read_settings

GIB, MIB = 1 << 30, 1 << 20


def budgets(*flags: str, command: str = "run") -> Budgets:
    arguments = build_parser().parse_args([command, *([] if command == "serve" else ["x.json"]), *flags])
    return budgets_of(read_settings(settings_from(arguments), {}))


@pytest.mark.parametrize("command", ["run", "plan", "serve"])
def test_flags_are_budgets(command: str) -> None:
    assert budgets(command=command) == Budgets()
    assert budgets("--vram-budget", "6GiB", command=command).vram_bytes == 6 * GIB
    assert budgets("--ram-budget", "12GB", command=command).ram_bytes == 12_000_000_000
    assert budgets("--reserve-vram", "1.5", command=command).reserve_bytes == 3 * GIB // 2
    assert budgets("--reserve-vram", "600MiB", command=command).reserve_bytes == 600 * MIB
    assert budgets("--lowvram", command=command).weight_bytes == 2 * GIB
    assert budgets("--novram", command=command).weight_bytes == 512 * MIB
    assert budgets("--memory-bytes", "3GiB", command=command).weight_bytes == 3 * GIB


def test_flags_without_a_bound_are_taken() -> None:
    assert budgets("--highvram") == budgets("--gpu-only") == budgets("--normalvram") == Budgets()
    with pytest.raises(SystemExit):
        budgets("--reserve-vram", "much")
    with pytest.raises(InputError):
        budgets("--vram-budget", "much")
    with pytest.raises(InputError):
        Settings(Path(), vram_budget_bytes=-1)


def test_what_may_be_taken_of_a_card() -> None:
    assert Budgets().of_card(8 * GIB) == 8 * GIB
    assert Budgets(vram_bytes=6 * GIB).of_card(8 * GIB) == 6 * GIB
    assert Budgets(vram_bytes=6 * GIB, reserve_bytes=3 * GIB).of_card(8 * GIB) == 5 * GIB
    assert Budgets(reserve_bytes=9 * GIB).of_card(8 * GIB) == 0


def test_a_worker_is_told(tmp_path: Path) -> None:
    given = Settings(tmp_path, vram_budget_bytes=1, ram_budget_bytes=2, reserve_vram_bytes=3, memory_bytes=4)
    assert budgets_of(settings_of_worker(settings_record(given))) == Budgets(1, 3, 4, 2)


def told(base: Path, command: str, *flags: str, capsys: pytest.CaptureFixture[str]) -> tuple[int, dict[str, Any]]:
    options = [command, str(base / "prompt.json"), "--base-directory", str(base), "--json", *flags]
    return main(options), json.loads(capsys.readouterr().out)


def test_a_plan_within_a_budget_is_that_of_a_smaller_card(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    base = make_base_directory(tmp_path, root)
    (base / "prompt.json").write_text(json.dumps(text_to_image(Sampler__steps=2)))
    _, small = told(base, "plan", "--vram", "1GiB", capsys=capsys)
    for flags in (["--vram-budget", "1GiB"], ["--reserve-vram", "7"]):
        code, within = told(base, "plan", "--vram", "8GiB", *flags, capsys=capsys)
        assert code == 0
        assert {**within["card"], "name": ""} == {**small["card"], "name": ""}
        assert within["nodes"] == small["nodes"]
    _, bound = told(base, "plan", "--memory-bytes", "4MiB", capsys=capsys)
    assert all(node["resident_bytes"] <= 4 * MIB for node in bound["nodes"])
    code, _ = told(base, "plan", "--vram", "8GiB", "--vram-budget", "0.6GiB", capsys=capsys)
    assert code == 1


@pytest.mark.parametrize(
    ("flags", "hint"),
    [
        (["--device", "sim:200MiB", "--vram-budget", "10MiB"], "--vram-budget"),
        (["--device", "sim:200MiB", "--reserve-vram", "190MiB"], "--device sim:"),
        (["--device", "sim:200MiB", "--memory-bytes", "1MiB"], "--memory-bytes"),
    ],
)
def test_refused_before_anything_runs_with_the_smallest_that_can(
    flags: list[str], hint: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_tiny_family(tmp_path / "models/checkpoints/xl.safetensors", "sdxl")
    prompt = text_to_image(Checkpoint__ckpt_name="xl.safetensors", Sampler__steps=1)
    (tmp_path / "prompt.json").write_text(json.dumps(prompt))
    code, made = told(tmp_path, "run", *flags, capsys=capsys)
    assert code == 2
    (problem,) = made["errors"]
    assert hint in problem["hint"] and problem["expected"]
    assert not (tmp_path / "output").exists()
    number = problem["hint"].split(hint)[1].split()[0].strip(": ")
    enough = [*flags[:-1], number] if hint != "--device sim:" else ["--device", f"sim:{number}", *flags[2:]]
    code, made = told(tmp_path, "run", *enough, capsys=capsys)
    assert code == 0, made["errors"]
