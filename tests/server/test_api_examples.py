"""docs/api.md: its shell and Python examples are run against a server, in their order."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from server_client import ROOT, ServerProcess

EXAMPLE = re.compile(r"^```(sh|python)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_the_examples_of_the_page_work(tmp_path: Path) -> None:
    page = (ROOT / "docs" / "api.md").read_text()
    examples = EXAMPLE.findall(page)
    assert len(examples) >= 12
    place = tmp_path / "place"
    place.mkdir()
    for name in ("workflows", "input"):
        shutil.copytree(ROOT / name, place / name)
    prompt = place / "workflows" / "text_to_image_api.json"
    prompt.write_text(prompt.read_text().replace('"steps": 20', '"steps": 1'))
    folders = ["--input-directory", str(place / "input"), "--output-directory", str(tmp_path / "output")]
    printed = []
    with ServerProcess(ROOT, *folders, "--user-directory", str(tmp_path / "user"), real=True) as server:
        environ = {**os.environ, "SERVER": server.url}
        for language, text in examples:
            run = ["sh", "-eu", "-c", text] if language == "sh" else [sys.executable, "-c", text]
            done = subprocess.run(run, cwd=place, env=environ, capture_output=True, text=True, check=False, timeout=60)
            assert done.returncode == 0, (text, done.stdout, done.stderr)
            printed.append(done.stdout)
        server.wait_idle()
    whole = "\n".join(printed)
    for expected in (
        '"prompt_id": "first"', '"status_str": "success"', "step 1 of 1", ".png", '"n": 1', '"jobs": [{',
        '"path": "/view?filename=', '"subfolder": "mine"', "image/webp", "200", '"status": "ok"',
        '"batch_id": "seeds"', '"total": 4', '"values": {"Prompt.text": "a star"', 'state="completed"',
    ):  # fmt: skip
        assert expected in whole, (expected, whole)
