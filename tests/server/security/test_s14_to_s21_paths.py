"""S14 to S21: names of files. The resolver itself is held in tests/test_paths.py; here its ways in are."""

from __future__ import annotations

import os
import threading
import urllib.parse
from pathlib import Path

import pytest
from PIL import Image
from security_app import Server, running

from engine.errors import PathError, SafelightError
from engine.graph.node_types import FolderChoices
from engine.paths import make_folders, next_output_names
from engine.paths.opening import open_inside
from engine.session import Session
from engine.settings import Settings

SECRET = b"SECRET-CONTENT"

HOSTILE = [
    "..",
    "../secret.png",
    "../../secret.png",
    "a/../../secret.png",
    "a/../secret.png",
    "./../secret.png",
    "sub/../../secret.png",
    "..\\secret.png",
    "a\\..\\..\\secret.png",
    "%2e%2e/secret.png",
    "%2e%2e%2fsecret.png",
    "%252e%252e%252fsecret.png",
    "..%2fsecret.png",
    "..%5csecret.png",
    "..%c0%afsecret.png",
    "..;/secret.png",
    "....//secret.png",
    "..././secret.png",
    "．．/secret.png",
    "․․/secret.png",
    "…/secret.png",
    "‥/secret.png",
    "/etc/passwd",
    "//etc/passwd",
    "/secret.png",
    "file:///etc/passwd",
    "http://127.0.0.1/x.png",
    "C:\\secret.png",
    "C:secret.png",
    "c:/secret.png",
    "\\\\host\\share\\x.png",
    "\\\\?\\C:\\secret.png",
    "//host/share/x.png",
    "\\secret.png",
    "~/secret.png",
    "~root/secret.png",
    "$HOME/secret.png",
    "secret.png\0",
    "secret.png\0.jpg",
    "\0",
    "x\n.png",
    "x\r\n.png",
    "x\t.png",
    "\x1b[2J.png",
    "\x7f.png",
    "\u0085.png",
    "CON",
    "con.png",
    "NUL",
    "aux.txt",
    "COM1",
    "LPT9.png",
    "com¹",
    "CONIN$",
    "x.",
    "x ",
    "x. .",
    "...",
    "a./x.png",
    "a /x.png",
    "x.png:stream",
    "x.png::$DATA",
    ":stream",
    "x" * 256 + ".png",
    "x/" * 600 + "x.png",
    "\ud800.png",
    "",
    " ",
    ".",
    "/",
    ".safelight/tokens.json",
    "custom_nodes/pack/__init__.py",
    "../user/.safelight/tokens.json",
    "../custom_nodes/x.py",
]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    base = tmp_path_factory.mktemp("place")
    (base / "secret.png").write_bytes(SECRET)
    for folder in ("custom_nodes/pack", "user/.safelight", "user/default", "input/sub", "output", "temp", "models/vae"):
        (base / folder).mkdir(parents=True)
    (base / "custom_nodes/pack/__init__.py").write_bytes(SECRET)
    (base / "user/.safelight/tokens.json").write_bytes(SECRET)
    (base / "input/here.png").write_bytes(b"\x89PNG\r\n\x1a\nhere")
    return base


@pytest.fixture(scope="module")
def files(place: Path) -> object:
    with running(place) as server:
        yield server


def snapshot(base: Path) -> set[tuple[str, int]]:
    return {(str(path), path.stat().st_size) for path in base.rglob("*") if path.is_file()}


@pytest.mark.parametrize("name", HOSTILE)
def test_s14_names_in_requests(files: Server, place: Path, name: str) -> None:
    before = snapshot(place)
    text = name.encode("utf-8", "surrogatepass")
    quoted = urllib.parse.quote(text, safe="")
    gone = files.request("GET", "/view?filename=not-here.png")
    assert gone.status == 404
    for folder in ("input", "output", "temp", "user", "vae"):
        answer = files.request("GET", f"/view?type={folder}&filename={quoted}")
        assert answer.status == 404
        assert answer.body == gone.body  # S20: nobody learns whether it is there
    assert files.request("GET", f"/api/userdata/{quoted}").status in (400, 404)
    if all(33 <= byte < 127 and byte not in b"?#%\\" for byte in text):  # also as it stands, for whoever decodes twice
        assert files.request("GET", f"/userdata/{name}").status in (400, 404)
    disposition = b'form-data; name="image"; filename="' + text.replace(b"\r", b"").replace(b"\n", b"") + b'"'
    body = b"--x\r\nContent-Disposition: " + disposition + b"\r\n\r\n" + PNG + b"\r\n--x--\r\n"
    answer = files.request("POST", "/upload/image", {"Content-Type": "multipart/form-data; boundary=x"}, body)
    created = snapshot(place) - before
    assert all(Path(path).is_relative_to(place / "input") for path, _ in created)
    assert answer.status in ((200,) if created else (400, 404, 413))
    assert SECRET not in answer.body
    for path, _ in created:
        Path(path).unlink()


def make_png() -> bytes:
    import io

    buffer = io.BytesIO()
    Image.new("RGB", (2, 2)).save(buffer, "PNG")
    return buffer.getvalue()


PNG = make_png()


def test_s14_there_are_sixty_names() -> None:
    assert len(set(HOSTILE)) >= 60


@pytest.mark.parametrize("name", HOSTILE)
def test_s16_names_in_workflows(place: Path, name: str) -> None:
    """Every input of a built-in node that names a file goes through the resolver before the node sees it."""
    session = Session(Settings(place))
    inputs = [
        (node.id, one.name, one.choices.folder)
        for node in session.registry
        for one in node.inputs
        if isinstance(one.choices, FolderChoices)
    ]
    assert len(inputs) >= 10
    assert {folder for _, _, folder in inputs} >= {"input", "checkpoints", "loras", "vae"}
    for folder in sorted({folder for _, _, folder in inputs}):
        with pytest.raises(PathError):
            session.folders.resolve(folder, name)
    prompt = {
        "1": {"class_type": "LoadImage", "inputs": {"image": name}},
        "2": {"class_type": "PreviewImage", "inputs": {"images": ["1", 0]}},
    }
    before = snapshot(place)
    with pytest.raises(SafelightError) as caught:
        session.run(session.load(prompt))
    assert caught.value.exit_code == 2  # before anything runs
    assert snapshot(place) == before


def test_s15_links_that_lead_out(place: Path, files: Server) -> None:
    try:
        (place / "input/out.png").symlink_to(place / "secret.png")
        (place / "input/up").symlink_to(place, target_is_directory=True)
        (place / "input/fine.png").symlink_to(place / "input/here.png")
    except OSError:
        pytest.skip("this system does not let us make symbolic links")
    try:
        assert files.request("GET", "/view?filename=out.png").status == 404
        assert files.request("GET", "/view?filename=up/secret.png").status == 404
        assert files.request("GET", "/view?filename=fine.png").status == 200
        body = (
            b'--x\r\nContent-Disposition: form-data; name="image"; filename="up/new.png"\r\n\r\n'
            + PNG
            + b"\r\n--x--\r\n"
        )
        kind = {"Content-Type": "multipart/form-data; boundary=x"}
        assert files.request("POST", "/upload/image", kind, body).status == 404
        assert not (place / "new.png").exists()
        (place / "web/link.js").symlink_to(place / "secret.png")
        assert files.request("GET", "/web/link.js").status in (403, 404)
        for path in ("/web/../secret.png", "/web/%2e%2e/secret.png", "/web/..%2fsecret.png", "/web//etc/passwd"):
            assert files.request("GET", path).status in (403, 404)
        assert "out.png" not in make_folders(place).list_files("input")
    finally:
        for name in ("input/out.png", "input/up", "input/fine.png", "web/link.js"):
            (place / name).unlink(missing_ok=True)


def test_s15_a_link_swapped_between_check_and_open(tmp_path: Path) -> None:
    """While another process swaps a file for a link that leads out, what the resolver gives never opens the target."""
    (tmp_path / "input").mkdir()
    (tmp_path / "secret.png").write_bytes(SECRET)
    target, spare = tmp_path / "input/x.png", tmp_path / "input/spare"
    stop = threading.Event()

    def swap() -> None:
        while not stop.is_set():
            spare.write_bytes(b"fine")
            os.replace(spare, target)  # noqa: PTH105 - one call, as fast as can be
            spare.symlink_to(tmp_path / "secret.png")
            os.replace(spare, target)  # noqa: PTH105

    thread = threading.Thread(target=swap)
    thread.start()
    folders = make_folders(tmp_path)
    read, refused = 0, 0
    try:
        for _ in range(3000):
            try:
                with open_inside(folders, "input", "x.png") as file:
                    assert file.read() in (b"fine", b"")
                    read += 1
            except PathError:
                refused += 1
    finally:
        stop.set()
        thread.join()
    assert refused > 0


@pytest.mark.parametrize("name", [name for name in HOSTILE if name not in ("", " ", ".", "/")])
@pytest.mark.parametrize("pattern", ["%year%/{}", "{}", "%date:yyyy%{}"])
def test_s17_prefixes_cannot_escape(tmp_path: Path, name: str, pattern: str) -> None:
    folders = make_folders(tmp_path)
    try:
        (made,) = next_output_names(folders, "output", pattern.format(name), 1, suffix=".png")
    except PathError:
        return
    assert made.path.resolve().is_relative_to((tmp_path / "output").resolve())
    assert ".." not in made.path.relative_to(tmp_path).parts


def test_s17_values_put_into_a_prefix_are_checked_after_it(place: Path) -> None:
    session = Session(Settings(place))
    for text in ("../../x", "/tmp/x", "..\\x", "a\0b"):
        prompt = {
            "1": {"class_type": "EmptyImage", "inputs": {"width": 8, "height": 8, "batch_size": 1, "color": 0}},
            "2": {
                "class_type": "SaveImage",
                "inputs": {"images": ["1", 0], "filename_prefix": "%Note.value%/x"},
            },
            "3": {"class_type": "PrimitiveString", "inputs": {"value": text}, "_meta": {"title": "Note"}},
        }
        before = snapshot(place)
        report = run_or_error(session, prompt)
        created = snapshot(place) - before
        assert all(Path(path).is_relative_to(place / "output") for path, _ in created), (text, created)
        assert report is not None


def run_or_error(session: Session, prompt: object) -> object:
    try:
        return session.run(session.load(prompt))
    except SafelightError as error:
        return error


def test_s18_nothing_is_made_where_code_lies(place: Path) -> None:
    folders = make_folders(place)
    for key in ("custom_nodes", "engine", "nodes", "web", "settings", "..", "input/..", ""):
        with pytest.raises(PathError):
            folders.directories(key)
        with pytest.raises(PathError):
            folders.resolve(key, "x.py")


def test_s20_listings_stay_below_their_roots(place: Path) -> None:
    folders = make_folders(place)
    assert folders.list_files("user") == ()
    (place / "user/default/workflow.json").write_text("{}")
    try:
        assert folders.list_files("user") == ("default/workflow.json",)
    finally:
        (place / "user/default/workflow.json").unlink()


@pytest.mark.parametrize(
    "name", [".safelight/tokens.json", "./.safelight/tokens.json", ".safelight//tokens.json", ".safelight/x"]
)
def test_s21_the_tokens_are_out_of_reach(files: Server, place: Path, name: str) -> None:
    with pytest.raises(PathError):
        make_folders(place).resolve("user", name)
    assert files.request("GET", f"/userdata/{name}").status == 404
    assert files.request("GET", f"/view?type=user&filename={name}").status == 404
