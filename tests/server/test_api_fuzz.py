"""Requests made from the API's own description: no fault of the server, no hang, and answers as they are described."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from server_client import ServerProcess, simple

CHECKS = (
    "not_a_server_error,status_code_conformance,content_type_conformance,response_headers_conformance,"
    "response_schema_conformance"
)
SEED = os.environ.get("FUZZ_SEED", "1")
SECONDS = os.environ.get("FUZZ_SECONDS", "30")
MOST_GROWTH = 200 << 20


@pytest.mark.skipif(importlib.util.find_spec("schemathesis") is None, reason="not installed: pip install '.[fuzz]'")
def test_requests_made_from_the_description_find_no_fault(tmp_path: Path) -> None:
    with ServerProcess(tmp_path) as server:
        for id in ("0", "null"):  # ids that are tried
            assert server.post("/prompt", {"prompt": simple(), "prompt_id": id})[0] == 200
            assert server.post(f"/userdata/{id}", {})[0] == 200
        server.wait_idle()
        held = server.held_bytes()
        program = [
            sys.executable, "-m", "schemathesis.cli", "run", f"{server.url}/openapi.json", "--url", server.url,
            "--phases", "coverage,fuzzing", "--checks", CHECKS, "--max-time", SECONDS,
            "--request-timeout", "10", "--seed", SEED, "--workers", "2", "--continue-on-failure", "--no-shrink",
            "--generation-database", "none", "--no-color", "--warnings", "off",
        ]  # fmt: skip
        done = subprocess.run(
            program, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=200 + int(SECONDS)
        )
        assert done.returncode == 0, f"{done.stdout[-20_000:]}\n{done.stderr}"
        tested = re.search(r"(\d+) generated, (\d+) passed", done.stdout)
        assert tested is not None and int(tested[1]) > 500, done.stdout
        server.wait_idle()
        assert server.get("/healthz")["status"] == "ok"
        assert not server.faults()
        assert server.held_bytes() - held < MOST_GROWTH
