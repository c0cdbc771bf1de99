"""``cache``: what it shows, removes and pins, through the command line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from engine.cli import main
from engine.execution.cache import Result
from engine.execution.tiered_cache import open_disk_cache
from engine.session import Session
from engine.settings import read_settings


class Shell:
    """Calls ``cache ...`` on one directory and keeps what it printed."""

    def __init__(self, folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
        self.place = {"base_directory": folder, "cache_directory": folder / "cache"}
        self.capfd = capfd
        self.out = self.err = ""

    def __call__(self, *arguments: str) -> int:
        places = [text for name, path in self.place.items() for text in (f"--{name.replace('_', '-')}", str(path))]
        code = main(["cache", *arguments, *places])
        self.out, self.err = self.capfd.readouterr()
        return code

    def json(self, *arguments: str) -> Any:
        assert self(*arguments, "--json") == 0
        return json.loads(self.out)

    def keys(self) -> list[str]:
        return sorted(one["key"] for one in self.json("list"))

    def store(self, key: str, label: str, seconds: float = 1.0, floats: int = 20_000) -> None:
        settings = read_settings(self.place | {"disk_cache_bytes": 1 << 24})
        disk = open_disk_cache(settings, Session(settings).folders)
        disk.put(Result((torch.rand(floats),), key, seconds=seconds), [key, f"origin-{key}"], label, 1000)
        disk.close()


@pytest.fixture
def shell(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> Shell:
    made = Shell(tmp_path, capfd)
    made.store("aa11", "KSampler", 4.0)
    made.store("aa22", "KSampler", 2.0)
    made.store("bb33", "VAEDecode", 1.0)
    return made


def test_stats_and_list(shell: Shell) -> None:
    stats = shell.json("stats")
    assert (stats["entries"], stats["pinned"], stats["hits"]) == (3, 0, 0)
    assert 3 * 80_000 < stats["bytes"] < 3 * 82_000
    assert {node: row["entries"] for node, row in stats["nodes"].items()} == {"KSampler": 2, "VAEDecode": 1}
    assert stats["oldest"] <= stats["newest"]
    first = shell.json("list")[0]
    assert (first["key"], first["node"], first["seconds"], first["pinned"]) == ("bb33", "VAEDecode", 1.0, False)
    assert first["current"] is True
    assert shell("list") == 0
    assert "aa11" in shell.out and "KSampler" in shell.out and "4.00 s" in shell.out
    assert shell("stats") == 0
    assert "3 results" in shell.out and "VAEDecode: 1 results" in shell.out


def test_clear_by_node_and_age_and_all(shell: Shell) -> None:
    assert shell.json("clear", "--older-than", "1h") == {"removed": 0, "bytes": 0}
    assert shell.json("clear", "--node", "VAEDecode")["removed"] == 1
    assert shell.keys() == ["aa11", "aa22"]
    assert shell.json("clear", "--older-than", "0s")["removed"] == 2
    assert shell.keys() == []
    assert not list((shell.place["cache_directory"] / "blobs").rglob("*.safetensors"))
    assert shell("clear") == 0
    assert "removed 0 results" in shell.out
    assert shell("clear", "--older-than", "soon") == 2
    assert "7d" in shell.err


def test_pinned_results_stay_until_they_are_named(shell: Shell) -> None:
    assert shell.json("pin", "aa1", "bb") == {"pin": ["aa11", "bb33"]}
    assert shell.json("stats")["pinned"] == 2
    assert shell.json("clear")["removed"] == 1
    assert shell.keys() == ["aa11", "bb33"]
    assert shell.json("unpin", "origin-bb33") == {"unpin": ["bb33"]}
    assert shell.json("clear")["removed"] == 1
    assert shell.json("clear", "--pinned")["removed"] == 1
    assert shell.keys() == []


def test_a_prefix_must_name_one_result(shell: Shell) -> None:
    assert shell("pin", "aa") == 2
    assert "2 stored results" in shell.err
    assert shell("pin", "zz") == 2
    assert "no stored results" in shell.err


def test_a_directory_that_cannot_be_used_is_an_error(shell: Shell) -> None:
    (shell.place["base_directory"] / "file").write_text("")
    shell.place["cache_directory"] = shell.place["base_directory"] / "file" / "cache"
    assert shell("stats") == 1
    assert "cannot be opened" in shell.err


def test_the_modes_are_options_of_run(shell: Shell, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "x.json", "--cache-none", "--cache-classic"]) == 2
    assert (
        main(["run", "nowhere.json", "--cache-lru", "-1", "--base-directory", str(shell.place["base_directory"])]) == 2
    )
    assert "cache_lru is too small" in capfd.readouterr().err
