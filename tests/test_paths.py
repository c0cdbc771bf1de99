"""Names become paths in one place, and files appear whole under names of their own."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from engine.errors import InputError, OutputError, PathError
from engine.paths import Folders, check_name, make_folders, next_output_names, write_new_file

HOSTILE = [
    "",
    ".",
    "/",
    "..",
    "../x.png",
    "a/../../x.png",
    "a/../x.png",
    "/etc/passwd",
    "//host/share/x.png",
    "\\\\host\\share\\x.png",
    "..\\x.png",
    "a\\..\\..\\x.png",
    "C:\\x.png",
    "C:x.png",
    "c:/x.png",
    "x.png:stream",
    "~/x.png",
    "~root/x.png",
    "x\0.png",
    "x.png\n",
    "\x1b[2Jx.png",
    "CON",
    "con.png",
    "a/NUL.txt",
    "aux",
    "COM1",
    "lpt9.png",
    "CONIN$",
    "x.",
    "x ",
    "a./x.png",
    "a /x.png",
    "...",
    "…/../x.png",
    "a/.. /x.png",
    "x" * 256,
    "a/" * 600 + "x",
    "\ud800.png",
    "file:///etc/passwd",
    "http://example.com/x.png",
    "../x.png [output]",
    "/etc/passwd [input]",
    "C:\\x.png [temp]",
]


@pytest.fixture
def folders(tmp_path: Path) -> Folders:
    for name in ("a.safetensors", "sub/b.safetensors", "sub/readme.txt", "c.ckpt"):
        path = tmp_path / "models/checkpoints" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"weights")
    (tmp_path / "input").mkdir()
    (tmp_path / "input/picture.png").write_bytes(b"picture")
    (tmp_path / "secret.png").write_bytes(b"secret")
    return make_folders(tmp_path)


@pytest.mark.parametrize("key", ["checkpoints", "input", "output", "loras"])
@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_are_refused(folders: Folders, key: str, name: str) -> None:
    with pytest.raises(PathError):
        folders.resolve(key, name)


@pytest.mark.parametrize("value", [None, 3, ["a"], b"a.safetensors", {"name": "a"}])
def test_what_is_no_text_is_refused(folders: Folders, value: object) -> None:
    with pytest.raises(PathError):
        folders.resolve("checkpoints", value)  # type: ignore[arg-type]


def test_files_are_listed_with_slashes_and_without_other_kinds(folders: Folders) -> None:
    assert folders.list_files("checkpoints") == ("a.safetensors", "c.ckpt", "sub/b.safetensors")
    assert folders.list_files("input") == ("picture.png",)
    assert folders.list_files("vae") == ()
    assert folders.list_files("clip") == folders.list_files("text_encoders")


def test_every_listed_file_resolves(folders: Folders) -> None:
    for name in folders.list_files("checkpoints"):
        assert folders.resolve("checkpoints", name).read_bytes() == b"weights"


def test_names_of_models_saved_on_windows_resolve(folders: Folders, tmp_path: Path) -> None:
    assert folders.resolve("checkpoints", "sub\\b.safetensors").name == "b.safetensors"


def test_an_annotation_names_another_folder(folders: Folders, tmp_path: Path) -> None:
    (tmp_path / "output/deep").mkdir(parents=True)
    (tmp_path / "output/deep/made.png").write_bytes(b"made")
    assert folders.resolve("input", "deep/made.png [output]").read_bytes() == b"made"
    assert folders.resolve("input", "picture.png [input]").read_bytes() == b"picture"
    with pytest.raises(PathError):  # models have no annotations
        folders.resolve("checkpoints", "deep/made.png [output]")


def test_a_missing_file_names_the_nearest(folders: Folders) -> None:
    with pytest.raises(PathError) as caught:
        folders.resolve("checkpoints", "a.safetensor")
    assert "a.safetensors" in str(caught.value)
    with pytest.raises(PathError) as caught:
        folders.resolve("vae", "mine.safetensors")
    assert "models/vae" in str(caught.value)


def test_an_unknown_folder_is_an_error(folders: Folders) -> None:
    for key in ("custom_nodes", "engine", "../input", ""):
        with pytest.raises(PathError):
            folders.list_files(key)


def test_links_that_leave_the_folder_are_refused_and_not_listed(folders: Folders, tmp_path: Path) -> None:
    try:
        (tmp_path / "input/link.png").symlink_to(tmp_path / "secret.png")
        (tmp_path / "input/up").symlink_to(tmp_path, target_is_directory=True)
        (tmp_path / "input/loop.png").symlink_to(tmp_path / "input/loop.png")
        (tmp_path / "input/inside.png").symlink_to(tmp_path / "input/picture.png")
    except OSError:
        pytest.skip("this system does not let us make symbolic links")
    for name in ("link.png", "up/secret.png", "loop.png"):
        with pytest.raises(PathError):
            folders.resolve("input", name)
    assert folders.list_files("input") == ("inside.png", "picture.png")
    assert folders.resolve("input", "inside.png").read_bytes() == b"picture"


def test_a_folder_that_is_itself_a_link_works(tmp_path: Path) -> None:
    real = tmp_path / "disk/checkpoints"
    real.mkdir(parents=True)
    (real / "x.safetensors").write_bytes(b"")
    (tmp_path / "models").mkdir()
    try:
        (tmp_path / "models/checkpoints").symlink_to(real, target_is_directory=True)
    except OSError:
        pytest.skip("this system does not let us make symbolic links")
    assert make_folders(tmp_path).list_files("checkpoints") == ("x.safetensors",)


def test_the_listing_follows_the_disk(folders: Folders, tmp_path: Path) -> None:
    assert folders.list_files("input") == ("picture.png",)
    (tmp_path / "input/new.png").write_bytes(b"")
    assert folders.list_files("input") == ("new.png", "picture.png")
    (tmp_path / "input/new.png").unlink()
    assert folders.list_files("input") == ("picture.png",)


def test_an_unchanged_folder_is_not_scanned_again(folders: Folders, tmp_path: Path) -> None:
    for path in (tmp_path / "models/checkpoints", tmp_path / "models/checkpoints/sub"):
        os.utime(path, ns=(10**18, 10**18))
    first = folders.list_files("checkpoints")
    assert folders.list_files("checkpoints") is first


def test_identity_follows_content(folders: Folders, tmp_path: Path) -> None:
    before = folders.identity("input", "picture.png")
    (tmp_path / "input/copy.png").write_bytes(b"picture")
    assert folders.identity("input", "copy.png") == before
    (tmp_path / "input/picture.png").write_bytes(b"another")
    assert folders.identity("input", "picture.png") != before


def test_extra_model_paths(tmp_path: Path) -> None:
    (tmp_path / "more/first").mkdir(parents=True)
    (tmp_path / "more/second").mkdir()
    (tmp_path / "models/loras").mkdir(parents=True)
    (tmp_path / "more/first/style.safetensors").write_bytes(b"first")
    (tmp_path / "more/second/other.pt").write_bytes(b"second")
    (tmp_path / "models/loras/style.safetensors").write_bytes(b"ours")
    config = tmp_path / "extra.yaml"
    text = "a:\n  base_path: more\n  {default}loras: |\n    first\n    second\n  unet: nets\n  custom_nodes: packs\n"
    config.write_text(text.replace("{default}", ""))
    folders = make_folders(tmp_path, extra_model_paths=[config])
    assert folders.list_files("loras") == ("other.pt", "style.safetensors")
    assert folders.resolve("loras", "style.safetensors").read_bytes() == b"ours"
    assert tmp_path / "more/nets" in folders.directories("diffusion_models")
    assert "custom_nodes" not in folders.roots
    config.write_text(text.replace("{default}", "is_default: true\n  "))
    folders = make_folders(tmp_path, extra_model_paths=[config])
    assert folders.resolve("loras", "style.safetensors").read_bytes() == b"first"


@pytest.mark.parametrize("text", ["- a\n- b\n", "a: [1, 2]\n", "a: {b: [\n", "!!python/object/apply:os.getcwd []\n"])
def test_a_wrong_extra_model_paths_file_is_an_input_error(tmp_path: Path, text: str) -> None:
    config = tmp_path / "extra.yaml"
    config.write_text(text)
    with pytest.raises(InputError, match=r"extra\.yaml"):
        make_folders(tmp_path, extra_model_paths=[config])


def test_output_names_count_on(folders: Folders, tmp_path: Path) -> None:
    output = tmp_path / "output"
    (output / "run").mkdir(parents=True)
    for name in ("pic_00007_.png", "pic_00003_.png", "picture_00099_.png", "pic_x_.png"):
        (output / "run" / name).write_bytes(b"")
    names = next_output_names(folders, "output", "run/pic", 2, suffix=".png")
    assert [one.filename for one in names] == ["pic_00008_.png", "pic_00009_.png"]
    assert {one.subfolder for one in names} == {"run"}


def test_output_names_expand_placeholders(folders: Folders) -> None:
    prefix = "%width%x%height%/%year%-b%batch_num%"
    (name, _) = next_output_names(folders, "output", prefix, 2, suffix=".png", size=(64, 32))
    assert name.subfolder == "64x32"
    assert name.stem.startswith("20")
    assert name.stem.endswith("-b0")
    (name,) = next_output_names(folders, "output", "%date:yyyy-MM-dd%/a", 1, suffix=".png")
    assert len(name.subfolder) == 10


@pytest.mark.parametrize("prefix", [name for name in HOSTILE if name not in ("", ".", "/")])
def test_hostile_prefixes_are_refused(folders: Folders, tmp_path: Path, prefix: str) -> None:
    with pytest.raises(PathError):
        next_output_names(folders, "output", prefix, 1, suffix=".png")
    assert not (tmp_path / "output").exists()


def test_a_linked_output_sub_folder_may_not_lead_outside(folders: Folders, tmp_path: Path) -> None:
    (tmp_path / "output").mkdir()
    try:
        (tmp_path / "output/out").symlink_to(tmp_path / "models", target_is_directory=True)
    except OSError:
        pytest.skip("this system does not let us make symbolic links")
    with pytest.raises(PathError):
        next_output_names(folders, "output", "out/x", 1, suffix=".png")


def test_writers_in_a_race_lose_nothing(folders: Folders, tmp_path: Path) -> None:
    barrier = threading.Barrier(8)

    def write(index: int) -> None:
        (name,) = next_output_names(folders, "output", "race", 1, suffix=".txt")
        barrier.wait()
        write_new_file(name, lambda file: file.write(str(index).encode()))

    threads = [threading.Thread(target=write, args=(index,)) for index in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    files = sorted((tmp_path / "output").iterdir())
    assert [path.name for path in files] == [f"race_{index:05}_.txt" for index in range(1, 9)]
    assert sorted(path.read_text() for path in files) == [str(index) for index in range(8)]


def test_a_failing_writer_leaves_nothing(folders: Folders, tmp_path: Path) -> None:
    (name,) = next_output_names(folders, "output", "x", 1, suffix=".bin")

    def write(file: object) -> None:
        file.write(b"half")  # type: ignore[attr-defined]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_new_file(name, write)
    assert list((tmp_path / "output").iterdir()) == []


@pytest.mark.skipif(sys.platform == "win32", reason="file size limits are set by POSIX calls")
def test_a_full_disk_leaves_nothing(tmp_path: Path, root: Path) -> None:
    script = """
import resource, sys
from pathlib import Path
from engine.errors import OutputError
from engine.paths import make_folders, next_output_names, write_new_file
folders = make_folders(Path(sys.argv[1]))
(name,) = next_output_names(folders, "output", "x", 1, suffix=".bin")
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
try:
    write_new_file(name, lambda file: file.write(bytes(5000)))
except OutputError as error:
    print(error.problem.message, error.exit_code)
"""
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)], capture_output=True, text=True, cwd=root, check=True
    )
    assert "not saved" in done.stdout
    assert list((tmp_path / "output").iterdir()) == []


@pytest.mark.skipif(sys.platform == "win32" or os.geteuid() == 0, reason="permissions do not bind this user")
def test_no_permission_is_an_output_error(folders: Folders, tmp_path: Path) -> None:
    (tmp_path / "output").mkdir(mode=0o500)
    with pytest.raises(OutputError):
        next_output_names(folders, "output", "new/x", 1, suffix=".bin")


def test_an_output_folder_that_is_a_file_is_an_output_error(folders: Folders, tmp_path: Path) -> None:
    (tmp_path / "output").write_text("in the way")
    with pytest.raises(OutputError):
        next_output_names(folders, "output", "x", 1, suffix=".bin")


def test_ordinary_names_are_accepted() -> None:
    for name in ("a.png", "sub/ä 漢字.png", "v1.5-pruned.safetensors", "emoji 🍎.png", "console.png", "a..b.png"):
        assert check_name(name)
