"""What a killed job had written is removed, and nothing else ever is."""

from __future__ import annotations

import hashlib
import json
import os
import threading
from pathlib import Path

import pytest

from engine.errors import OutputError
from engine.jobs.write_list import listing_writes
from engine.server.written_files import WrittenFiles


def line(path: Path, data: bytes) -> str:
    return json.dumps({"path": str(path), "sha256": hashlib.sha256(data).hexdigest()}) + "\n"


def test_only_files_with_the_listed_bytes_inside_the_folders_are_removed(tmp_path: Path) -> None:
    output, queue = tmp_path / "output", tmp_path / "queue"
    output.mkdir()
    written = WrittenFiles(queue, [output])
    for name in ("mine.png", "changed.png", "kept.png"):
        (output / name).write_bytes(b"x")
    (tmp_path / "outside.png").write_bytes(b"x")
    (output / "link.png").symlink_to(tmp_path / "outside.png")
    listed = [output / "mine.png", tmp_path / "outside.png", output / "link.png", output / ".." / "outside.png"]
    text = "".join(line(path, b"x") for path in listed) + line(output / "changed.png", b"y")
    written.file("job").write_text(text + line(output / "none.png", b"x") + '{"path": "cut sho')
    (output / "older.png").write_bytes(b"x")
    os.utime(output / "older.png", (1, 1))
    listing = written.file("begun")
    with listing_writes(str(listing)) as announce:
        assert announce is not None
        announce(output / "older.png", hashlib.sha256(b"x").hexdigest())
    written.undo(["job", "begun", "unknown"])
    assert (output / "older.png").exists() and not listing.exists()
    (output / "older.png").unlink()
    assert sorted(path.name for path in output.iterdir()) == ["changed.png", "kept.png", "link.png"]
    assert (tmp_path / "outside.png").exists() and not written.file("job").exists()
    written.undo(["job"])  # there is nothing any more, and that is in order


def test_the_list_of_a_job_lies_in_its_folder_whatever_the_id_is(tmp_path: Path) -> None:
    written = WrittenFiles(tmp_path / "queue", [])
    names = {written.file(id).name for id in ("../../x", "a/b", "", ".", "x" * 300, "job-1", "job-2")}
    assert len(names) == 7 and any(name.startswith("job-1.") for name in names)
    assert all(written.file(id).parent == tmp_path / "queue" for id in ("../../x", "a/b", "\0"))
    written.file("old").write_text("")
    written.settle_all()
    assert [path.name for path in (tmp_path / "queue").iterdir()] == ["epoch"]


def test_a_worker_that_lives_on_is_waited_for_and_one_that_comes_late_writes_nothing(tmp_path: Path) -> None:
    before = WrittenFiles(tmp_path / "queue", [tmp_path])
    early, late = tmp_path / "early.png", tmp_path / "late.png"
    sha256 = hashlib.sha256(b"x").hexdigest()
    with (
        listing_writes(str(before.file("late"))) as announce_late,
        listing_writes(str(before.file("job"))) as announce,
    ):
        assert announce is not None and announce_late is not None
        announce(early, sha256)
        early.write_bytes(b"x")
        after = WrittenFiles(tmp_path / "queue", [tmp_path])
        undone = threading.Thread(target=after.undo, args=(["job", "late"],))
        undone.start()
        undone.join(0.1)
        assert undone.is_alive(), "the list was undone while a worker could still write"
        with pytest.raises(OutputError, match="taken back"):
            announce_late(late, sha256)
        announce(late, sha256)
        late.write_bytes(b"x")
    undone.join(5)
    assert not undone.is_alive() and not early.exists() and not late.exists()
    assert not list((tmp_path / "queue").glob("*.writes"))
    with listing_writes(str(after.file("job"))) as announce:
        assert announce is not None
        announce(early, sha256)
    assert after.file("job").exists()
