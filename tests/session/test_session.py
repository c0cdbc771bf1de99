"""From a document to pictures through the Python face of the engine."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tiny_checkpoint import text_to_image

import engine
from engine.errors import Cancelled, DocumentError, GraphError, InputError, MediaError, OutputError, PathError
from engine.execution.cancel import CancelToken
from engine.execution.events import Event, NodeProgress
from engine.media.metadata import read_metadata
from engine.session import Session, open_workflow
from engine.settings import Settings


def test_a_workflow_gives_pictures_by_title_and_id(settings: Settings) -> None:
    result = open_workflow(text_to_image(), settings).run()
    (picture,) = result.images["Save"]
    assert picture.size == (64, 64)
    assert result.images["9"] == result.images["Save"]
    (file,) = result.files
    assert Path(file.path).name == "made_00001_.png"
    with Image.open(file.path) as saved:
        assert np.array_equal(np.asarray(saved), np.asarray(picture))


def test_set_changes_the_picture_and_chains(settings: Settings) -> None:
    workflow = open_workflow(text_to_image(), settings)
    first = np.asarray(workflow.run().images["Save"][0])
    again = workflow.set("Sampler.seed", 4).set("5.width", 128).run().images["Save"][0]
    assert again.size == (128, 64)
    back = workflow.set("3.seed", "3").set("Size.width", 64).run().images["Save"][0]
    assert np.array_equal(np.asarray(back), first)


def test_named_outputs_give_their_values(session: Session) -> None:
    result = session.open(text_to_image()).run(["Decode", "Sampler"])
    assert result.values["Decode"][0].shape == (1, 64, 64, 3)
    assert result.values["3"][0].samples.shape == (1, 4, 8, 8)
    assert result.images["Decode"][0].size == (64, 64)
    assert result.files == ()


@pytest.mark.parametrize(
    ("target", "value", "hint"),
    [("Sampler.sed", 1, "seed"), ("Smapler.seed", 1, "Sampler"), ("Sampler.steps", 0, "1"), ("Sampler", 1, "")],
)
def test_a_wrong_set_says_what_would_be_right(session: Session, target: str, value: object, hint: str) -> None:
    with pytest.raises(InputError) as caught:
        session.open(text_to_image()).set(target, value)
    assert hint in str(caught.value)


def test_the_second_run_computes_nothing(session: Session) -> None:
    workflow = session.open(text_to_image())
    workflow.run()
    again = workflow.run()
    assert {str(outcome.state) for outcome in again.made.nodes.values()} == {"cached"}
    Path(again.files[0].path).unlink()
    third = workflow.run()
    assert str(third.made.nodes["9"].state) == "done"
    assert Path(third.files[0].path).is_file()


def test_a_changed_input_picture_is_noticed(session: Session, base: Path) -> None:
    picture = base / "input/changing.png"
    Image.new("RGB", (16, 16), "red").save(picture)
    prompt = {
        "1": {"class_type": "LoadImage", "inputs": {"image": "changing.png"}},
        "2": {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": "x"}},
    }
    workflow = session.open(prompt)
    assert workflow.run().images["2"][0].getpixel((0, 0)) == (255, 0, 0)
    Image.new("RGB", (16, 16), "blue").save(picture)
    assert workflow.run().images["2"][0].getpixel((0, 0)) == (0, 0, 255)


def test_a_picture_repeats_itself(session: Session, settings: Settings) -> None:
    first = session.open(text_to_image()).run()
    path = Path(first.files[0].path)
    repeated = Session(dataclasses.replace(settings)).open(path).run()
    assert np.array_equal(np.asarray(repeated.images["9"][0]), np.asarray(first.images["9"][0]))
    assert repeated.files[0].path != first.files[0].path
    assert Path(repeated.files[0].path).read_bytes() == path.read_bytes()


def test_metadata_levels_of_saved_pictures(settings: Settings) -> None:
    for level, kept in (("none", set()), ("recipe", {"prompt"}), ("full", {"prompt"})):
        given = dataclasses.replace(settings, metadata=level)  # type: ignore[arg-type]
        result = open_workflow(text_to_image(), given).run()
        assert set(read_metadata(Path(result.files[0].path))) == kept


def test_progress_and_previews_are_reported(session: Session) -> None:
    events: list[Event] = []
    session.run(session.load(text_to_image()), listener=events.append)
    steps = [event for event in events if isinstance(event, NodeProgress) and event.node_id == "3"]
    assert [(event.step, event.total) for event in steps] == [(1, 2), (2, 2)]
    assert steps[0].preview().shape == (1, 8, 8, 3)


def test_cancelling_stops_within_a_step_and_saves_nothing(session: Session, settings: Settings) -> None:
    cancel = CancelToken()
    steps = 0

    def listen(event: Event) -> None:
        nonlocal steps
        if isinstance(event, NodeProgress):
            steps += 1
            cancel.cancel()

    result = session.run(session.load(text_to_image(Sampler__steps=50)), listener=listen, cancel=cancel)
    assert steps == 1
    assert result.made.cancelled
    with pytest.raises(Cancelled):
        result.raise_for_failure()
    assert settings.output_directory is not None
    assert not settings.output_directory.exists()


def test_all_problems_come_at_once_before_anything_runs(session: Session) -> None:
    with pytest.raises(GraphError) as caught:
        session.open(text_to_image(Sampler__steps=0, Checkpoint__ckpt_name="tny.safetensors")).run()
    text = str(caught.value)
    assert len(caught.value.problems) == 2
    assert "tiny.safetensors" in text
    assert '"Sampler"' in text


def test_a_failing_node_raises_its_own_error(session: Session, base: Path) -> None:
    (base / "input/fake.png").write_bytes(b"<svg/>")
    prompt = {
        "1": {"class_type": "LoadImage", "inputs": {"image": "fake.png"}},
        "2": {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": "x"}},
    }
    with pytest.raises(MediaError, match="not a picture") as caught:
        session.open(prompt).run()
    assert caught.value.problem.node_id == "1"


def test_a_prefix_that_leads_outside_is_refused(session: Session) -> None:
    with pytest.raises(PathError):
        session.open(text_to_image(Save__filename_prefix="../out")).run()


def test_a_blocked_output_folder_is_an_output_error(settings: Settings) -> None:
    assert settings.output_directory is not None
    settings.output_directory.write_text("in the way")
    with pytest.raises(OutputError):
        open_workflow(text_to_image(), settings).run()


@pytest.mark.parametrize("name", ["absent.json", "absent.png", "folder.json"])
def test_files_that_cannot_be_read(session: Session, tmp_path: Path, name: str) -> None:
    (tmp_path / "folder.json").mkdir()
    with pytest.raises(DocumentError):
        session.open(tmp_path / name)


def test_a_picture_without_a_recipe_is_a_document_error(session: Session, tmp_path: Path) -> None:
    Image.new("RGB", (4, 4)).save(tmp_path / "plain.png")
    with pytest.raises(DocumentError, match="carries no workflow"):
        session.open(tmp_path / "plain.png")


def test_the_package_offers_its_names_lazily() -> None:
    assert set(engine.__all__) <= set(dir(engine))
    assert engine.open_workflow is open_workflow
    assert all(getattr(engine, name) for name in engine.__all__)
    with pytest.raises(AttributeError):
        engine.no_such_name  # noqa: B018


def test_a_session_imports_no_torch_until_it_runs(base: Path, root: Path) -> None:
    script = """
import json, sys
from engine import open_workflow, Settings
from pathlib import Path
workflow = open_workflow(json.loads(sys.argv[2]), Settings(Path(sys.argv[1])))
assert workflow.problems() == [], workflow.problems()
print(sorted({"torch", "transformers", "PIL", "numpy", "rich", "spandrel"} & set(sys.modules)))
"""
    command = [sys.executable, "-c", script, str(base), json.dumps(text_to_image())]
    done = subprocess.run(command, capture_output=True, text=True, cwd=root, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("name", ["../secret.png", "/etc/passwd", "a\\b.png", "C:\\x.png", "x\0.png", "CON"])
def test_a_file_name_that_arrives_by_a_link_is_checked_too(session: Session, base: Path, name: str) -> None:
    Image.new("RGB", (4, 4)).save(base / "secret.png")
    prompt = {
        "1": {"class_type": "PrimitiveString", "inputs": {"value": name}},
        "2": {"class_type": "LoadImage", "inputs": {"image": ["1", 0]}},
        "3": {"class_type": "SaveImage", "inputs": {"images": ["2", 0], "filename_prefix": "x"}},
    }
    with pytest.raises(PathError) as caught:
        session.open(prompt).run()
    assert caught.value.problem.node_id == "2"
    assert str(base) not in str(caught.value)
    prompt["2"]["inputs"]["image"] = name
    with pytest.raises(GraphError):
        session.open(prompt).run()


def test_a_file_name_may_arrive_by_a_link(session: Session) -> None:
    prompt = {
        "1": {"class_type": "PrimitiveString", "inputs": {"value": "red_circle.png"}},
        "2": {"class_type": "LoadImage", "inputs": {"image": ["1", 0]}},
        "3": {"class_type": "SaveImage", "inputs": {"images": ["2", 0], "filename_prefix": "x"}},
    }
    assert session.open(prompt).run().images["3"][0].size == (128, 128)
