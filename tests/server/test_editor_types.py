"""The editor's types of the API are those of the server as it is."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from engine.server.app import all_routes
from engine.server.openapi import describe_api

ROOT = Path(__file__).resolve().parents[2]


def test_types_of_the_editor_are_up_to_date() -> None:
    spec = importlib.util.spec_from_file_location("types_of_the_api", ROOT / "web" / "scripts" / "api_types.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    made = module.text_of(describe_api(all_routes(), "0"))
    assert '"POST /prompt"' in made
    assert module.TARGET.read_text(encoding="utf-8") == made, "run: npm run types (in web/)"
