"""S39 to S50: what workflows hold, and what is kept of them."""

from __future__ import annotations

import ast
import contextlib
import copy
import getpass
import json
import random
import socket
import time
from collections.abc import Callable
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any

import pytest
from security_app import Server

from engine.errors import InputError, SafelightError
from engine.execution.cache import ResultCache
from engine.execution.executor import execute
from engine.families.prompt_weights import parse_weights
from engine.graph.declare import Text, node
from engine.graph.documents import load_document, parse_text
from engine.graph.dynamic_text import resolve_text
from engine.graph.mentions import named_files
from engine.graph.node_types import NodeResult
from engine.graph.registry import Registry
from engine.graph.secrets import public_extra_data, secret_values, without_values
from engine.media.metadata import read_metadata, recipe_for
from engine.session import Session
from engine.settings import Settings
from nodes.file_names import insert_values

MARKUP = ("innerHTML", "outerHTML", "insertAdjacentHTML", "dangerouslySetInnerHTML", "document.write", "srcdoc")
CODE = ("eval(", "new Function", "javascript:", "importScripts")


def test_s39_and_s40_the_editor_has_no_way_to_markup(root: Path) -> None:
    """That nothing runs is seen in a browser (`web/tests/journeys/hostile.journey.mjs`); here, that nothing could."""
    sources = [path for path in (root / "web" / "src").rglob("*.ts*") if path.is_file()]
    assert len(sources) > 50
    found = [f"{path.name}: {word}" for path in sources for word in MARKUP + CODE if word in path.read_text("utf-8")]
    assert not found


def test_s41_no_inline_code_in_our_pages(root: Path, server: Server) -> None:
    pages = [server.request("GET", path).body.decode() for path in ("/", "/login")]
    pages += [path.read_text(encoding="utf-8") for path in (root / "web").glob("*.html")]
    for page in pages:
        assert "<style" not in page and " style=" not in page and "javascript:" not in page
        assert page.count("<script") == page.count("<script src=") + page.count('<script type="module" src=')
    assert "unsafe" not in server.request("GET", "/").headers["content-security-policy"]


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Session:
    base = tmp_path_factory.mktemp("base")
    for folder in ("input", "models"):
        (base / folder).mkdir()
    return Session(Settings(base, device="cpu"))


def image(**inputs: Any) -> dict[str, Any]:
    given = {"width": 8, "height": 8, "batch_size": 1, "color": 0, **inputs}
    return {"class_type": "EmptyImage", "inputs": given}


def preview(source: Any) -> dict[str, Any]:
    return {"class_type": "PreviewImage", "inputs": {"images": source}}


def deep(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = [value]
    return value


TEXTS: dict[str, Callable[[], bytes]] = {
    "depth": lambda: b'{"1": ' + b"[" * 10**5 + b"]" * 10**5 + b"}",
    "depth of objects": lambda: b'{"a":' * 10**5 + b"1" + b"}" * 10**5,
    "nan": lambda: b'{"1": {"class_type": "EmptyImage", "inputs": {"width": NaN}}}',
    "infinity": lambda: b'{"1": {"class_type": "EmptyImage", "inputs": {"width": -Infinity}}}',
    "large number": lambda: b'{"1": {"class_type": "EmptyImage", "inputs": {"width": 1e999}}}',
    "digits": lambda: b'{"1": {"class_type": "EmptyImage", "inputs": {"width": ' + b"9" * 10**5 + b"}}}",
    "twice": lambda: b'{"1": {"class_type": "A"}, "1": {"class_type": "B"}}',
    "half a document": lambda: b'{"1": {"class_type": "Emp',
    "no text": lambda: b"\xff\xfe\x00",
    "nothing": lambda: b"",
    "a lone surrogate": lambda: b'{"1": {"class_type": "\\ud800"}}',
    "a list": lambda: b"[1, 2]",
    "null": lambda: b"null",
}
DOCUMENTS: dict[str, Callable[[], Any]] = {
    "million nodes": lambda: {str(n): {"class_type": "X", "inputs": {}} for n in range(10**6)},
    "proto": lambda: {"__proto__": preview(["__class__", 0]), "constructor": image()},
    "class": lambda: {"__class__": {"class_type": "__class__", "inputs": {"__init__": 1}}},
    "cycle": lambda: {"1": preview(["2", 0]), "2": {"class_type": "ImageInvert", "inputs": {"image": ["2", 0]}}},
    "long cycle": lambda: (
        {str(n): {"class_type": "ImageInvert", "inputs": {"image": [str((n + 1) % 5000), 0]}} for n in range(5000)}
        | {"p": preview(["0", 0])}
    ),
    "self": lambda: {"1": preview(["1", 0])},
    "unknown type": lambda: {"1": {"class_type": "<img src=x onerror=alert(1)>", "inputs": {}}},
    "type of numbers": lambda: {"1": {"class_type": 3, "inputs": {}}},
    "inputs of lists": lambda: {"1": {"class_type": "EmptyImage", "inputs": [1]}},
    "node of text": lambda: {"1": "EmptyImage"},
    "missing node": lambda: {"1": preview(["9", 0])},
    "missing output": lambda: {"1": image(), "2": preview(["1", 7])},
    "negative output": lambda: {"1": image(), "2": preview(["1", -1])},
    "output of text": lambda: {"1": image(), "2": preview(["1", "0"])},
    "long link": lambda: {"1": image(), "2": preview(["1", 0, 0])},
    "wrong kind": lambda: {"1": image(), "2": preview("text")},
    "huge number": lambda: {"1": image(width=10**300), "2": preview(["1", 0])},
    "wrong type": lambda: {"1": image(width={"a": 1}), "2": preview(["1", 0])},
    "nested too deep": lambda: {"1": image(width=deep(500)), "2": preview(["1", 0])},
    "extra input": lambda: {"1": image(**{"__class__": 1, "../x": 2}), "2": preview(["1", 0])},
    "long id": lambda: {"x" * 10**5: image()},
    "empty id": lambda: {"": image(), "1": preview(["", 0])},
    "editor of nonsense": lambda: {"nodes": [1, None, "x", {"id": {}}], "links": [[1]], "version": "x"},
    "editor that loops": lambda: {
        "nodes": [{"id": 1, "type": "Reroute", "inputs": [{"link": 1}], "outputs": [{"links": [1]}]}],
        "links": [[1, 1, 0, 1, 0, "*"]],
        "version": 0.4,
    },
    "nothing": dict,
}


@pytest.mark.parametrize("name", TEXTS)
def test_s42_texts_that_are_no_workflow(session: Session, name: str) -> None:
    text = TEXTS[name]()
    started = time.perf_counter()
    with pytest.raises(InputError):
        load_document(parse_text(text, "it"), session.interfaces)
    assert time.perf_counter() - started < 3


@pytest.mark.parametrize("name", TEXTS)
def test_s42_texts_are_400_to_a_client(server: Server, name: str) -> None:
    answer = server.request("POST", "/prompt", {"Content-Type": "application/json"}, TEXTS[name]())
    assert answer.status in ((200,) if name in ("a list", "null", "nothing") else (400,))


@pytest.mark.parametrize("name", DOCUMENTS)
def test_s42_workflows_that_cannot_run_give_problems(session: Session, name: str) -> None:
    document = DOCUMENTS[name]()
    started = time.perf_counter()
    try:
        problems = session.problems(session.load(document))
    except InputError as error:
        problems = list(error.problems)
    if name != "extra input":  # which is a warning in the ecosystem's files and does nothing
        assert problems
    assert all(problem.code and problem.message for problem in problems)
    assert time.perf_counter() - started < 10


def mutated(draw: random.Random, document: Any) -> Any:
    """Change one to four things anywhere in a document."""
    values = [None, -1, 2**70, 1e308, "", "x" * 5000, [], {}, ["1", 0], [["1", 0]], True, "__proto__", "../x", "\0"]
    document = copy.deepcopy(document)
    for _ in range(draw.randint(1, 4)):
        place, path = document, 0
        while isinstance(place, dict | list) and place and path < draw.randint(1, 6):
            key = draw.choice(list(place) if isinstance(place, dict) else range(len(place)))
            inner = place[key]
            if not isinstance(inner, dict | list) or not inner or draw.random() < 0.3:
                kind = draw.random()
                if kind < 0.6:
                    place[key] = copy.deepcopy(draw.choice(values))
                elif kind < 0.8:
                    del place[key]
                elif isinstance(place, dict):
                    place[draw.choice(["1", "nodes", "inputs", "class_type", "__class__"])] = inner
                else:
                    place.append(inner)
                break
            place, path = inner, path + 1
    return document


def fuzz(session: Session, root: Path, count: int) -> None:
    names = ("text_to_image_api.json", "subgraph.json", "reroutes_and_primitive.json", "bypass_and_mute.json")
    sources = [json.loads((root / "workflows" / name).read_text()) for name in names]
    slowest = 0.0
    for number in range(count):
        draw = random.Random(number)
        document = mutated(draw, draw.choice(sources))
        started = time.perf_counter()
        try:
            session.problems(session.load(document))
        except InputError as error:
            assert error.problems
        slowest = max(slowest, time.perf_counter() - started)
    assert slowest < 2


def test_s43_mutated_workflows(session: Session, root: Path) -> None:
    fuzz(session, root, 1000)


@pytest.mark.slow
def test_s43_ten_thousand_mutated_workflows(session: Session, root: Path) -> None:
    fuzz(session, root, 10_000)


def nested(levels: int, width: int) -> dict[str, Any]:
    """An editor's workflow whose subgraphs hold `width` of the next level each."""
    definitions = []
    for level in range(levels):
        inner = f"g{level + 1}" if level + 1 < levels else "EmptyImage"
        nodes = [{"id": n, "type": inner, "inputs": [], "outputs": []} for n in range(1, width + 1)]
        definitions.append({"id": f"g{level}", "name": "x", "nodes": nodes, "links": [], "inputs": [], "outputs": []})
    top = [{"id": 1, "type": "g0", "inputs": [], "outputs": []}]
    return {"version": 1, "nodes": top, "links": [], "definitions": {"subgraphs": definitions}}


def test_s44_subgraphs_cannot_unfold_without_end(session: Session) -> None:
    for document in (nested(30, 10), nested(5000, 1)):
        started = time.perf_counter()
        with pytest.raises(InputError):
            session.load(document)
        assert time.perf_counter() - started < 10
    itself = nested(2, 1)
    itself["definitions"]["subgraphs"][1]["nodes"][0]["type"] = "g0"
    with pytest.raises(InputError):
        session.load(itself)


def test_s45_loading_starts_nothing(session: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def ran(*arguments: object, **named: object) -> None:
        raise AssertionError("it ran")

    monkeypatch.setattr("engine.execution.executor.execute", ran)
    prompt = {"1": image(), "2": {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": "x"}}}
    (tmp_path / "x.json").write_text(json.dumps(prompt))
    assert session.problems(session.load(tmp_path / "x.json")) == []
    picture = tmp_path / "x.png"
    picture.write_bytes(png_with_texts({"prompt": json.dumps(prompt)}))
    assert session.problems(session.load(picture)) == []
    assert not (session.settings.base_directory / "output").exists()


def png_with_texts(texts: dict[str, str]) -> bytes:
    import numpy as np

    from engine.media.images import encode_png

    return encode_png(np.zeros((4, 4, 3), np.float32), texts)


def test_s46_no_value_is_ever_code(root: Path) -> None:
    banned = {"eval", "exec", "compile", "__import__", "os.system", "os.popen", "ast.literal_eval"}
    for folder in ("engine", "nodes"):
        for path in sorted((root / folder).rglob("*.py")):
            for item in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(item, ast.Call):
                    called = ast.unparse(item.func)
                    where = f"{path.relative_to(root)}:{item.lineno}"
                    assert called not in banned, where
                    assert not (called.startswith("subprocess.") and "shell=True" in ast.unparse(item)), where
                    # `text.format(…)` reaches attributes: only literals of ours may be formats.
                    if isinstance(item.func, ast.Attribute) and item.func.attr in ("format", "format_map"):
                        known = isinstance(item.func.value, ast.Constant | ast.Name | ast.Attribute)
                        assert known, where


REGULAR = [
    "(" * 50_000,
    "((((a:1.1)" * 10_000,
    "{" * 50_000,
    "{a|" * 20_000,
    "/*" * 50_000,
    "/* " * 50_000,
    "//" * 50_000,
    "embedding:" * 10_000,
    "embedding:-+." + "1" * 50_000,
    "embedding:(" + " " * 50_000,
    "%a." * 20_000,
    "%" + "." * 50_000,
    "\\(" * 30_000,
    " " * 100_000 + "[",
    "[input" * 20_000,
    "a [" * 20_000 + "input",
]


@pytest.mark.parametrize("text", REGULAR, ids=[repr(text[:12]) for text in REGULAR])
def test_s46_no_text_takes_long_to_read(session: Session, text: str) -> None:
    readers: list[Callable[[str], object]] = [
        lambda given: resolve_text(given, lambda choices: choices[0]),
        parse_weights,
        named_files,
        lambda given: insert_values(given, {}),
        lambda given: session.folders.resolve("input", given),
    ]
    for read in readers:
        started = time.perf_counter()
        with contextlib.suppress(SafelightError):
            read(text)
        assert time.perf_counter() - started < 1, read


def test_s47_what_a_recipe_tells(session: Session) -> None:
    """The graph and file names, nothing of the machine or who uses it."""
    prompt = {
        "1": image(width=64),
        "2": {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": "sub/x"}},
    }
    result = session.run(session.load(prompt))
    (saved,) = result.files
    texts = read_metadata(Path(saved.path))
    assert set(texts) == {"prompt"}
    document = json.dumps(texts)
    assert str(session.settings.base_directory) not in document
    for private in (getpass.getuser() if getpass.getuser() != "root" else "no-such-user", socket.gethostname()):
        assert private not in document
    assert recipe_for(prompt, {"nodes": []}, "none") == {}
    assert set(recipe_for(prompt, {"nodes": []}, "recipe")) == {"prompt"}


KEY = "sk-verysecret-0123456789"


@node("CallService", category="test", output_node=True)
def call_service(
    context: Any, *, text: Annotated[str, Text()] = "", api_key: Annotated[str, Text(secret=True)] = ""
) -> NodeResult:
    """Write what it can see of the documents, as a node that saves pictures does."""
    return NodeResult(ui={"seen": [json.dumps([context.prompt, context.workflow])], "had": [str(len(api_key))]})


@node("Words", category="test")
def words(*, value: Annotated[str, Text()] = "") -> Annotated[str, Text()]:
    """Give a text."""
    return value


SERVICE = Registry(MappingProxyType({"CallService": call_service.node_type, "Words": words.node_type}))


@pytest.mark.parametrize("linked", [False, True])
def test_s48_a_secret_stays_out_of_documents(linked: bool) -> None:
    from engine.graph.interfaces import Interfaces

    prompt = {
        "1": {"class_type": "CallService", "inputs": {"text": "hello", "api_key": ["2", 0] if linked else KEY}},
        "2": {"class_type": "Words", "inputs": {"value": KEY if linked else "open"}},
    }
    workflow = {
        "nodes": [{"id": 1, "type": "CallService", "widgets_values": ["hello", KEY]}],
        "extra": {"note": f"x{KEY}"},
    }
    request = {"prompt": prompt, "extra_data": {"extra_pnginfo": {"workflow": workflow}}}
    graph = load_document(request, Interfaces.from_registry(SERVICE))
    assert secret_values(graph, SERVICE) == {KEY}
    made = execute(graph, SERVICE, cache=ResultCache(0))
    shown = made.nodes["1"].ui
    assert shown["had"] == [str(len(KEY))]  # the node itself has it
    assert KEY not in shown["seen"][0]
    assert "hello" in shown["seen"][0]
    assert KEY not in repr(made.nodes)
    assert KEY not in json.dumps(without_values(request, frozenset({KEY})))
    assert without_values(workflow, frozenset()) is workflow


def test_s48_tokens_that_clients_send_along_are_not_kept() -> None:
    given = {"client_id": "x", "auth_token_comfy_org": KEY, "api_key_comfy_org": KEY, "extra_pnginfo": {"a": 1}}
    assert public_extra_data(given) == {"client_id": "x", "extra_pnginfo": {"a": 1}}


# S49 is with the pictures: test_s49_what_the_camera_wrote_is_gone.
