"""The shape of the code base, as tests: who may import whom, how long things may grow, what is never written.

The table is the one in docs/architecture.md. Exceptions stand in `EXCEPTIONS`, each with its reason; an exception
that is no longer needed fails too.
"""

from __future__ import annotations

import ast
import functools
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
MAX_FILE_LINES, MAX_FUNCTION_LINES = 400, 60

ROWS: list[list[str]] = [  # high to low: a module may import lower rows and its own package, nothing else
    ["main"],
    ["engine.cli"],
    ["engine.server"],
    ["engine.jobs"],
    ["engine.session", "nodes"],
    ["engine.compat"],
    ["engine.execution", "engine.training"],
    ["engine.families"],
    ["engine.memory", "engine.diffusion"],
    ["engine.weights"],
    ["engine.graph", "engine.networks", "engine.media", "engine.imaging"],
    ["engine.settings", "engine.paths"],
    ["engine.errors"],
]
RANK = {package: row for row, names in enumerate(ROWS) for package in names}

EXCEPTIONS: dict[str, str] = {}

# Calls that must have one home, so that a review of that file is a review of the risk.
ONE_HOME = {
    "torch.load": "engine/weights/files.py",
    "eval": None,
    "exec": None,
    "os.system": None,
}

# Packages that must answer `--help`, validation and the editor without torch.
TORCH_FREE = (
    "main",
    "engine.cli",
    "engine.errors",
    "engine.settings",
    "engine.paths",
    "engine.graph",
    "engine.media",
    "engine.execution",
    "engine.session",
    "engine.compat",
    "engine.jobs",
    "nodes",
)
COMPUTES = {"engine.compat.shims.comfy_model_management"}  # packs that import it are about to compute
HEAVY = {"torch", "transformers", "diffusers", "spandrel", "torchsde", "kornia"}


@functools.cache
def sources() -> dict[str, tuple[Path, str, ast.Module]]:
    """Map module names to their file, text and syntax tree."""
    found = {}
    for top in ("main.py", "engine", "nodes"):
        path = ROOT / top
        for file in [path] if path.is_file() else sorted(path.rglob("*.py")):
            parts = file.relative_to(ROOT).with_suffix("").parts
            name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
            text = file.read_text(encoding="utf-8")
            found[name] = (file, text, ast.parse(text))
    return found


def package_of(module: str) -> str | None:
    return next((p for p in RANK if module == p or module.startswith(p + ".")), None)


def imports(tree: ast.AST) -> Iterator[tuple[ast.stmt, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from ((node, f"{node.module}.{alias.name}") for alias in node.names)


def check(problems: list[str]) -> None:
    unexplained = [p for p in problems if p not in EXCEPTIONS]
    assert not unexplained, "\n".join(unexplained)


def test_every_module_is_in_the_table() -> None:
    homeless = [name for name in sources() if package_of(name) is None and name != "engine"]
    assert not homeless, f"not in the layer table: {homeless}"


def test_imports_go_downwards() -> None:
    problems = []
    for name, (file, _, tree) in sources().items():
        mine = package_of(name)
        for _, target in imports(tree):
            theirs = package_of(target)
            if mine and theirs and mine != theirs and RANK[theirs] <= RANK[mine]:
                problems.append(f"{file.relative_to(ROOT).as_posix()} imports {theirs}")
    check(problems)


def test_exceptions_are_needed() -> None:
    names = {
        f"{f.relative_to(ROOT).as_posix()} imports {package_of(t)}"
        for f, _, tree in sources().values()
        for _, t in imports(tree)
    }
    lengths = set(length_problems())
    assert set(EXCEPTIONS) <= names | lengths, set(EXCEPTIONS) - names - lengths


def length_problems() -> Iterator[str]:
    for file, text, tree in sources().values():
        where = file.relative_to(ROOT).as_posix()
        if text.count("\n") > MAX_FILE_LINES:
            yield f"{where} is longer than {MAX_FILE_LINES} lines"
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                length = (node.end_lineno or node.lineno) - node.lineno + 1
                if length > MAX_FUNCTION_LINES:
                    yield f"{where} {node.name} is longer than {MAX_FUNCTION_LINES} lines"


def test_files_and_functions_stay_short() -> None:
    check(list(length_problems()))


def test_what_is_never_written() -> None:
    problems = []
    for file, _, tree in sources().values():
        where = file.relative_to(ROOT).as_posix()
        for node in ast.walk(tree):
            line = f"{where}:{getattr(node, 'lineno', 0)}"
            if isinstance(node, ast.Global):
                problems.append(f"{line} global {', '.join(node.names)}")
            if isinstance(node, ast.ExceptHandler) and node.type is None:
                problems.append(f"{line} bare except")
            if isinstance(node, ast.ImportFrom) and any(a.name == "*" for a in node.names):
                problems.append(f"{line} star import")
            if isinstance(node, ast.Call):
                called = ast.unparse(node.func)
                if called in ONE_HOME and ONE_HOME[called] != where:
                    home = ONE_HOME[called] or "nowhere"
                    problems.append(f"{line} calls {called}, whose one home is {home}")
    check(problems)


def test_no_heavy_import_at_module_level() -> None:
    problems = []
    for name, (file, _, tree) in sources().items():
        if name in COMPUTES or not any(name == p or name.startswith(p + ".") for p in TORCH_FREE):
            continue
        for statement in tree.body:
            if not isinstance(statement, ast.Import | ast.ImportFrom):
                continue
            for node, target in imports(statement):
                if target.split(".")[0] in HEAVY:
                    problems.append(f"{file.relative_to(ROOT).as_posix()}:{node.lineno} imports {target}")
    check(problems)


def test_no_name_hides_a_missing_noun() -> None:
    banned = {"utils", "util", "helpers", "common", "misc", "manager", "base", "core"}
    problems = [f.relative_to(ROOT).as_posix() for f, _, _ in sources().values() if f.stem in banned]
    assert not problems, problems
