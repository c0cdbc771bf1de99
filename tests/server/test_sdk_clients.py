"""Clients that others published run against the real program, unchanged, each as a program of its own.

Their versions are those of the ``clients`` extra. A client that is not installed is skipped; CI installs all.
"""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from server_client import ROOT, ServerProcess

PROGRAMS = Path(__file__).parent / "clients"
CLIENTS = {"comfy_api_simplified": 1, "comfykit": 2, "comfyuiclient": 2, "comfy_script": 1}
"""Name of each client's module, and how many pictures its program fetches."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("clients")
    places = {name: folder / name for name in ("user", "output", "input", "temp")}
    for place in places.values():
        place.mkdir()
    flags = [text for name, place in places.items() for text in (f"--{name}-directory", str(place))]
    with ServerProcess(ROOT, "--listen", "127.0.0.1", "--disable-all-custom-nodes", *flags, real=True) as started:
        yield started


@pytest.mark.parametrize("client", CLIENTS)
def test_a_published_client_queues_watches_and_fetches(server: ServerProcess, client: str, tmp_path: Path) -> None:
    if importlib.util.find_spec(client) is None:
        pytest.skip(f"{client} is not installed: pip install '.[clients]'")
    graph = json.loads((ROOT / "workflows" / "text_to_image_api.json").read_text())
    graph["5"]["inputs"]["steps"] = 2
    workflow, fetched = tmp_path / "workflow.json", tmp_path / "fetched"
    workflow.write_text(json.dumps(graph))
    fetched.mkdir()
    program = [sys.executable, str(PROGRAMS / f"with_{client}.py"), server.url, str(workflow), str(fetched)]
    environ = {**os.environ, "HOME": str(tmp_path), "NO_PROXY": "*"}
    done = subprocess.run(program, cwd=tmp_path, env=environ, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}\n--- server\n{server.text()}"
    pictures = sorted(fetched.iterdir())
    assert len(pictures) == CLIENTS[client], pictures
    for path in pictures:
        with Image.open(path) as picture:
            assert (picture.format, picture.size) == ("PNG", (128, 128)), path
            assert picture.convert("L").getextrema()[1] > 0
