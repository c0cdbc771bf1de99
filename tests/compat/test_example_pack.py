"""The pack that ships as an example, and the node that docs/nodes.md teaches, do what they say."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from pack_bench import Bench, node

from engine.compat.packs import PackState
from engine.session import Session

OpenSession = Callable[..., Session]


@pytest.fixture
def base(tmp_path: Path) -> Path:
    found = tmp_path / "base"
    (found / "models").mkdir(parents=True)
    (found / "custom_nodes").mkdir()
    return found


def test_the_example_runs(base: Path, root: Path, open_session: OpenSession) -> None:
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(root / "custom_nodes" / "example", base / "custom_nodes" / "example", ignore=ignored)
    bench = Bench(open_session(base))
    prompt = {
        "1": node("ExampleVignette", image=["2", 0], strength=1.0),
        "2": node("ExampleTint", image=["3", 0], colour="blue", amount=1.0),
        "3": node("EmptyImage", width=9, height=5, batch_size=2, color=0xFFFFFF),
        "4": node("ExampleWordCount", text="three small words"),
    }
    result = bench.run(prompt, ["1", "2", "4"])
    result.raise_for_failure()
    assert result.made.values["4"] == (3,)
    (picture,) = result.made.values["1"]
    assert picture.shape == (2, 5, 9, 3)
    assert torch.allclose(picture[0, 2, 4], torch.tensor([0.7, 0.85, 1.0]))
    assert torch.allclose(picture[0, 0, 0], torch.zeros(3), atol=1e-6)
    types = bench.session.registry.types
    assert types["ExampleTint"].module == "custom_nodes.example"
    assert types["ExampleWordCount"].display_name == "Count Words"


def test_the_example_is_not_loaded_before_it_is_trusted(base: Path, root: Path, open_session: OpenSession) -> None:
    shutil.copytree(root / "custom_nodes" / "example", base / "custom_nodes" / "example")
    found = open_session(base, trust_packs=False).all_packs()
    assert found is not None
    assert [pack.state for pack in found.packs] == [PackState.UNTRUSTED]


def test_the_node_of_the_page_works(base: Path, root: Path, open_session: OpenSession) -> None:
    text = (root / "docs" / "nodes.md").read_text()
    blocks = re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL)
    (base / "custom_nodes" / "brighten.py").write_text(blocks[0])
    bench = Bench(open_session(base))
    prompt = {"1": node("Brighten", image=["2", 0]), "2": node("EmptyImage", width=4, height=4, color=0x808080)}
    picture = bench.value(prompt)
    assert torch.allclose(picture, torch.full((1, 4, 4, 3), 128 / 255 * 1.2))
    assert bench.session.registry.types["Brighten"].by_name["by"].help.startswith("what each value")
    lines = [line for line in blocks[0].split("@node")[1].splitlines() if line.strip()]
    assert len(lines) <= 10


def test_an_edited_native_node_runs_anew(base: Path, open_session: OpenSession) -> None:
    """Also when what changed is a helper in another file, which the code of the node does not show."""
    pack = base / "custom_nodes" / "mine"
    pack.mkdir()
    (pack / "__init__.py").write_text("from .inner import mine\n")
    (pack / "helper.py").write_text("ADDED = 1\n")
    (pack / "inner.py").write_text(
        "from typing import Annotated\nfrom engine.graph.declare import Int, node\nfrom .helper import ADDED\n"
        '@node("Mine2", category="x")\ndef mine(*, a: Annotated[int, Int(0, 9)]) -> Annotated[int, Int(0, 99)]:\n'
        '    """Add.\n\n    a: a number.\n    """\n    return a + ADDED\n'
    )
    first = Bench(open_session(base))
    assert first.value({"1": node("Mine2", a=1)}) == 2
    (pack / "helper.py").write_text("ADDED = 5\n")
    second = Bench(open_session(base))
    second.session.__dict__["cache"] = first.session.cache
    assert second.value({"1": node("Mine2", a=1)}) == 6
