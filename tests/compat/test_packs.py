"""Finding, trusting and loading packs: what a pack may do to itself, and never to the others."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pack_bench import Bench, node

from engine.cli import main
from engine.compat.packs import Pack, PackState, find_packs
from engine.compat.trust import FILE_NAME, read_approvals, tree_digest
from engine.errors import PathError
from engine.session import Session

OpenSession = Callable[..., Session]

NODE = """
class Node:
    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"value": ("INT", {"default": 1})}}
    RETURN_TYPES = ("INT",)
    FUNCTION = "go"
    CATEGORY = "test"
    def go(self, value):
        return (value + %d,)
NODE_CLASS_MAPPINGS = {"%s": Node}
"""


def code(id: str = "Mine", added: int = 1) -> str:
    return NODE % (added, id)


@pytest.fixture
def base(tmp_path: Path) -> Path:
    found = tmp_path / "base"
    (found / "models").mkdir(parents=True)
    (found / "custom_nodes").mkdir()
    return found


def write(base: Path, name: str, text: str = "", **files: str) -> Path:
    """Write a pack: a file where the name ends in .py, else a folder with ``files`` (``__`` is a dot)."""
    path = base / "custom_nodes" / name
    if name.endswith(".py"):
        path.write_text(text)
        return path
    path.mkdir()
    (path / "__init__.py").write_text(text)
    for file, content in files.items():
        (path / file.replace("__", ".")).write_text(content)
    return path


def packs(session: Session) -> dict[str, Pack]:
    found = session.all_packs()
    assert found is not None
    return {pack.name: pack for pack in found.packs}


def test_no_folder_of_packs_imports_nothing(tmp_path: Path) -> None:
    (tmp_path / "models").mkdir()
    script = (
        "import sys; from pathlib import Path\n"
        "from engine.session import Session; from engine.settings import Settings\n"
        f"Session(Settings(Path({str(tmp_path)!r}))).registry\n"
        "print(any(name.startswith('engine.compat') for name in sys.modules), 'torch' in sys.modules)"
    )
    made = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert made.stdout.split() == ["False", "False"]


def test_what_counts_as_a_pack(base: Path) -> None:
    write(base, "folder")
    write(base, "single.py")
    write(base, "off.disabled")
    write(base, "off.py.disabled", "")
    write(base, "__pycache__")
    write(base, ".hidden")
    (base / "custom_nodes" / "no_init").mkdir()
    (base / "custom_nodes" / "readme.txt").write_text("")
    assert [path.name for path in find_packs([base / "custom_nodes"])] == ["folder", "single.py"]
    assert find_packs([base / "nowhere"]) == []


def test_a_single_file_and_a_folder_load(base: Path, open_session: OpenSession) -> None:
    write(base, "single.py", code("Single"))
    write(base, "a.folder-1", "from .inner import NODE_CLASS_MAPPINGS", inner__py=code("Folder", 10))
    bench = Bench(open_session(base))
    assert bench.value({"1": node("Single", value=1)}) == 2
    assert bench.value({"1": node("Folder", value=1)}) == 11
    found = packs(bench.session)
    assert {name: str(pack.state) for name, pack in found.items()} == {"a.folder-1": "loaded", "single": "loaded"}
    assert found["single"].nodes == ("Single",)
    assert found["single"].seconds > 0
    types = bench.session.registry.types
    assert types["Single"].module == "custom_nodes.single"
    assert sys.modules["custom_nodes.single"].Node.RELATIVE_PYTHON_MODULE == "custom_nodes.single"


def test_both_styles_and_native_functions_in_one_pack(base: Path, open_session: OpenSession) -> None:
    text = """
from typing import Annotated
from comfy_api.v0_0_2 import io
from engine.graph.declare import Int, node

class Schema(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return io.Schema(node_id="Own", display_name="Own title", inputs=[], outputs=[io.Int.Output()])
    @classmethod
    def execute(cls):
        return io.NodeOutput(2)

@node("Native", category="x")
def native(*, a: Annotated[int, Int(0, 9)] = 3) -> Annotated[int, Int(0, 9)]:
    '''Give a number.

    a: the number.
    '''
    return a
"""
    mapping = 'NODE_CLASS_MAPPINGS = {"Older": Node, "Mapped": Schema}\nNODE_DISPLAY_NAME_MAPPINGS = {"Mapped": "T"}\n'
    write(base, "mixed.py", code() + text + mapping)
    bench = Bench(open_session(base))
    values = {id: bench.value({"1": node(id)}) for id in ("Older", "Mapped", "Native")}
    assert values == {"Older": 2, "Mapped": 2, "Native": 3}
    assert bench.session.registry.types["Mapped"].display_name == "T"
    assert "Own" not in bench.session.registry.types


def test_more_roots_from_the_paths_file(base: Path, tmp_path: Path, open_session: OpenSession) -> None:
    (tmp_path / "more" / "packs").mkdir(parents=True)
    (tmp_path / "more" / "packs" / "extra.py").write_text(code("Extra"))
    config = tmp_path / "paths.yaml"
    config.write_text(f"mine:\n  base_path: {tmp_path / 'more'}\n  custom_nodes: packs\n")
    write(base, "here.py", code("Here"))
    session = open_session(base, extra_model_paths=(config,))
    assert set(packs(session)) == {"here", "extra"}
    assert {"Here", "Extra"} <= session.registry.types.keys()
    assert session.folders.pack_roots == (base / "custom_nodes", tmp_path / "more" / "packs")


@pytest.mark.parametrize(
    "text, error",
    [
        ("raise ValueError('no good')", "ValueError: no good"),
        ("import sys; sys.exit(3)", "SystemExit: it tried to end the program"),
        ("import no_such_module_at_all", "No module named 'no_such_module_at_all'"),
        ("def broken(:", "SyntaxError"),
        ("x = 1", "it declares no nodes"),
        ("NODE_CLASS_MAPPINGS = 5", "NODE_CLASS_MAPPINGS is a int"),
        ("import comfy.ldm.modules", "pack 'bad' asks for the module 'comfy.ldm'"),
        ("from comfy.utils import nothing_like_it", "nothing_like_it"),
        ("import comfy.utils; comfy.utils.nothing_like_it", "pack 'bad' asks for comfy.utils.nothing_like_it"),
        ("import nodes; nodes.nothing_like_it", "pack 'bad' asks for nodes.nothing_like_it"),
        ("comfy_entrypoint = lambda: 5", "comfy_entrypoint returned a int"),
        ("raise BaseException('even this')", "even this"),
    ],
)
def test_a_broken_pack_stops_nothing(base: Path, open_session: OpenSession, text: str, error: str) -> None:
    write(base, "bad.py", text)
    write(base, "good.py", code("Good"))
    bench = Bench(open_session(base))
    assert bench.value({"1": node("Good", value=1)}) == 2
    bad = packs(bench.session)["bad"]
    assert bad.state is PackState.FAILED
    assert error in str(bad.error)
    assert "custom_nodes.bad" not in sys.modules


def test_what_a_pack_prints_does_not_reach_the_output(
    base: Path, open_session: OpenSession, capsys: pytest.CaptureFixture[str]
) -> None:
    write(base, "loud.py", "print('hello')\n" + code())
    assert packs(open_session(base))["loud"].state is PackState.LOADED
    assert capsys.readouterr().out == ""


def test_a_slow_pack_is_named(base: Path, open_session: OpenSession, monkeypatch: pytest.MonkeyPatch) -> None:
    write(base, "slow.py", "import time; time.sleep(0.05)\n" + code())
    monkeypatch.setattr("engine.compat.packs.SLOW_SECONDS", 0.05)
    assert packs(open_session(base))["slow"].seconds >= 0.05


def test_no_pack_replaces_a_node_of_another(base: Path, open_session: OpenSession) -> None:
    write(base, "a.py", code("Same", 1))
    write(base, "b.py", code("Same", 2))
    write(base, "c.py", code("SaveImage", 3))
    bench = Bench(open_session(base))
    assert bench.value({"1": node("Same", value=1)}) == 2
    found = packs(bench.session)
    assert found["b"].problems == ("Same: the node is refused, because this id is declared by pack 'a' already",)
    assert found["c"].problems == ("SaveImage: the node is refused, because this id is a built-in node already",)
    assert bench.session.registry.types["SaveImage"].module == "nodes.images"


def test_two_packs_of_one_name(base: Path, tmp_path: Path, open_session: OpenSession) -> None:
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "a.py").write_text(code("Other"))
    config = tmp_path / "paths.yaml"
    config.write_text(f"mine:\n  custom_nodes: {tmp_path / 'more'}\n")
    write(base, "a.py", code("First"))
    session = open_session(base, extra_model_paths=(config,))
    assert "First" in session.registry.types and "Other" not in session.registry.types
    all_packs = session.all_packs()
    assert all_packs is not None
    assert [pack.state for pack in all_packs.packs] == [PackState.LOADED, PackState.FAILED]


def test_the_script_before_the_start_runs_first(base: Path, open_session: OpenSession) -> None:
    script = "import os; os.environ['SAFELIGHT_TEST_ORDER'] = os.environ.get('SAFELIGHT_TEST_ORDER', '') + 'p'"
    read = "import os; os.environ['SAFELIGHT_TEST_ORDER'] += 'i'\n"
    os.environ.pop("SAFELIGHT_TEST_ORDER", None)
    write(base, "a", read + code("A"), prestartup_script__py=script)
    write(base, "b", read + code("B"), prestartup_script__py=script)
    write(base, "c", code("C"), prestartup_script__py="raise OSError('early')")
    found = packs(open_session(base))
    assert os.environ.pop("SAFELIGHT_TEST_ORDER") == "ppii"
    assert "prestartup_script.py: OSError: early" in str(found["c"].error)


def test_the_script_before_the_start_runs_before_torch(base: Path) -> None:
    check = "import sys; assert 'torch' not in sys.modules"
    write(base, "a", code("A"), prestartup_script__py=check)
    made = subprocess.run(
        [sys.executable, "main.py", "packs", "--json", "--base-directory", str(base), "--trust-packs"],
        capture_output=True, text=True, check=True, cwd=Path(__file__).resolve().parents[2],
    )  # fmt: skip
    assert [one["state"] for one in json.loads(made.stdout)["packs"]] == ["loaded"]


def test_folders_for_the_editor(base: Path, open_session: OpenSession) -> None:
    for name, text in (("a", "./js"), ("b", "../a/js"), ("c", "missing")):
        path = write(base, name, f"WEB_DIRECTORY = {text!r}\nNODE_CLASS_MAPPINGS = {{}}")
        (path / "js").mkdir()
    project = write(base, "d", "NODE_CLASS_MAPPINGS = {}", pyproject__toml='[tool.comfy]\nweb = "ui"\n')
    (project / "ui").mkdir()
    found = packs(open_session(base))
    assert found["a"].web == base / "custom_nodes" / "a" / "js"
    assert found["b"].web is None and found["c"].web is None
    assert "no folder of the pack" in found["b"].problems[0]
    assert found["d"].web == project / "ui"


# Trust


def test_a_pack_that_was_not_approved_is_not_imported(base: Path, open_session: OpenSession) -> None:
    marker = base / "ran"
    write(base, "a", f"open({str(marker)!r}, 'w')\n" + code(), prestartup_script__py=f"open({str(marker)!r}, 'w')")
    session = open_session(base, trust_packs=False)
    assert packs(session)["a"].state is PackState.UNTRUSTED
    assert not marker.exists()
    assert "Mine" not in session.registry.types


def approve(session: Session, name: str) -> None:
    user = session.folders.directories("user")[0]
    path = next(one for one in find_packs(session.folders.pack_roots) if one.stem == name or one.name == name)
    read_approvals(user).with_pack(name, tree_digest(path)).save()


@pytest.mark.parametrize("file", ["__init__.py", "data.bin", "scripts/tool.sh", ".hidden", "new.txt", "inner/x.pyc"])
def test_any_change_takes_the_approval_away(base: Path, open_session: OpenSession, file: str) -> None:
    path = write(base, "a", code())
    for name in ("scripts", "inner"):
        (path / name).mkdir()
    for name in ("data.bin", "scripts/tool.sh", ".hidden", "inner/x.pyc"):
        (path / name).write_text("1")
    session = open_session(base, trust_packs=False)
    approve(session, "a")
    assert packs(open_session(base, trust_packs=False))["a"].state is PackState.LOADED
    with (path / file).open("a") as opened:
        opened.write("\n# more")
    assert packs(open_session(base, trust_packs=False))["a"].state is PackState.CHANGED


def test_what_does_not_count_as_a_change(base: Path, open_session: OpenSession) -> None:
    path = write(base, "a", code())
    approve(open_session(base, trust_packs=False), "a")
    for name in (".git", "__pycache__"):
        (path / name).mkdir()
        (path / name / "x").write_text("x")
    assert packs(open_session(base, trust_packs=False))["a"].state is PackState.LOADED


def test_names_and_contents_cannot_be_shifted(base: Path) -> None:
    first, second = write(base, "a", "", x="yz"), write(base, "b", "", xy="z")
    assert tree_digest(first) != tree_digest(second)
    (first / "sub").mkdir()
    assert tree_digest(first) == tree_digest(first)


def test_byte_code_beside_the_source_is_not_run(base: Path, open_session: OpenSession, tmp_path: Path) -> None:
    """A cached file of byte code is no part of the digest, so it must not be what is loaded."""
    import importlib.util
    import py_compile

    marker = tmp_path / "marker"
    path = write(base, "a", "from .inner import NODE_CLASS_MAPPINGS", inner__py=code())
    evil = tmp_path / "evil.py"
    source = code()
    evil.write_text(f"open({str(marker)!r}, 'w')\n{source}")
    inner = path / "inner.py"
    cached = Path(importlib.util.cache_from_source(str(inner)))
    py_compile.compile(str(evil), str(cached), doraise=True)
    data = bytearray(cached.read_bytes())
    stat = inner.stat()
    data[8:16] = int(stat.st_mtime).to_bytes(4, "little") + stat.st_size.to_bytes(4, "little")
    cached.write_bytes(bytes(data))
    assert packs(open_session(base))["a"].state is PackState.LOADED
    assert not marker.exists()


def test_an_untrusted_pack_cannot_be_imported_by_another(base: Path, open_session: OpenSession) -> None:
    write(base, "a", "import custom_nodes.b\n" + code("A"))
    write(base, "b", code("B"))
    approve(open_session(base, trust_packs=False), "a")
    found = packs(open_session(base, trust_packs=False))
    assert found["a"].state is PackState.FAILED
    assert "custom_nodes.b" in str(found["a"].error)


def test_the_file_of_approvals(base: Path, tmp_path: Path, open_session: OpenSession) -> None:
    write(base, "a", code())
    session = open_session(base, trust_packs=False)
    file = session.folders.directories("user")[0] / FILE_NAME
    approve(session, "a")
    assert list(json.loads(file.read_text())["packs"]) == ["a"]
    assert session.folders.list_files("user") == ()
    with pytest.raises(PathError, match="the engine's own"):
        session.folders.resolve("user", FILE_NAME)
    for text in ("", "[]", '{"packs": 5}', '{"packs": {"a": {}}}'):
        file.write_text(text)
        assert packs(open_session(base, trust_packs=False))["a"].state is PackState.UNTRUSTED


def test_results_of_an_edited_pack_are_not_reused(base: Path, open_session: OpenSession) -> None:
    path = write(base, "edited", "from .part import NODE_CLASS_MAPPINGS", part__py=code("Edited", 1))
    bench = Bench(open_session(base))
    assert bench.value({"1": node("Edited", value=1)}) == 2
    cache = bench.session.cache
    (path / "part.py").write_text(code("Edited", 5))
    again = Bench(open_session(base))
    again.session.__dict__["cache"] = cache
    assert again.value({"1": node("Edited", value=1)}) == 6


def test_disabling_packs(base: Path, open_session: OpenSession) -> None:
    write(base, "a", code("A"))
    write(base, "b.py", code("B"))
    found = packs(open_session(base, disable_all_custom_nodes=True))
    assert {pack.state for pack in found.values()} == {PackState.DISABLED}
    found = packs(open_session(base, disable_all_custom_nodes=True, whitelist_custom_nodes=("b.py",)))
    assert [found[name].state for name in "ab"] == [PackState.DISABLED, PackState.LOADED]


@pytest.mark.parametrize(
    "text, settings, hint",
    [
        (code(), {"trust_packs": False}, "main.py packs trust a"),
        (code() + "\nraise OSError('gone')", {}, "did not load: OSError: gone"),
        (code(), {"disable_all_custom_nodes": True}, "--whitelist-custom-nodes a"),
        (code().replace('FUNCTION = "go"', 'FUNCTION = "nothing"'), {}, "pack 'a' has it, but: Mine: ContractError"),
    ],
)
def test_a_workflow_that_needs_a_pack_is_told_which(
    base: Path, open_session: OpenSession, text: str, settings: dict[str, Any], hint: str
) -> None:
    write(base, "a", "from .inner import NODE_CLASS_MAPPINGS", inner__py=text)
    found = Bench(open_session(base, **settings)).problem({"1": node("Mine", value=1)})
    assert found.code == "E-UNKNOWN-NODE"
    assert hint in str(found.hint)


def test_the_command_line(
    base: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    write(base, "mine", code(), notes__txt="x")
    workflow = tmp_path / "workflow.json"
    workflow.write_text(json.dumps({"1": node("Mine", value=3)}))

    def call(*arguments: str) -> tuple[int, str, str]:
        code = main([*arguments, "--base-directory", str(base)])
        said = capsys.readouterr()
        return code, said.out, said.err

    assert "not trusted" in call("packs")[1]
    assert call("validate", str(workflow))[0] == 2
    status, out, _ = call("packs", "trust", "mine")
    assert status == 0 and "notes.txt" in out
    assert "1 node" in call("packs", "list")[1]
    assert call("nodes", "Mine")[0] == 0
    assert call("packs", "untrust", "mine")[0] == 0
    assert call("packs", "untrust", "mine")[0] == 2
    assert "not trusted" in call("packs")[1]
    assert json.loads(call("packs", "--trust-packs", "--json")[1])["packs"][0]["state"] == "loaded"
    monkeypatch.setenv("SAFELIGHT_TRUST_PACKS", "1")
    assert json.loads(call("packs", "--json")[1])["packs"][0]["nodes"] == ["Mine"]
    assert "disabled" in call("packs", "--disable-all-custom-nodes")[1]
    assert "1 node" in call("packs", "--disable-all-custom-nodes", "--whitelist-custom-nodes", "mine")[1]
    assert call("packs", "trust", "other")[0] == 2
    assert call("packs", "trust")[0] == 2


def test_a_run_with_packs_of_another_folder(
    base: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "more").mkdir()
    loud = code("Far").replace("        return", "        print('hello')\n        return")
    (tmp_path / "more" / "far.py").write_text(loud)
    config = tmp_path / "paths.yaml"
    config.write_text(f"mine:\n  custom_nodes: {tmp_path / 'more'}\n")
    show = {"1": node("PreviewImage", images=["2", 0]), "2": node("EmptyImage", width=["3", 0], height=8)}
    workflow = tmp_path / "workflow.json"
    workflow.write_text(json.dumps({**show, "3": node("Far", value=15)}))
    monkeypatch.setenv("SAFELIGHT_TRUST_PACKS", "1")
    folders = ["--base-directory", str(base), "--temp-directory", str(tmp_path / "temp")]
    status = main(
        ["run", str(workflow), "--json", *folders, "--extra-model-paths-config", str(config), "--device", "cpu"]
    )
    said = capsys.readouterr()
    report = json.loads(said.out)
    assert status == 0 and report["ok"]
    assert "hello" in said.err
    assert {one["type"]: one["state"] for one in report["nodes"]}["Far"] == "done"
