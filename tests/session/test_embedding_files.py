"""A prompt that names an embedding: checked before it runs, and computed again when the file's content changes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_checkpoint import WIDTH, make_base_directory, text_to_image

from engine.errors import GraphError, WeightError
from engine.session import Session
from engine.settings import Settings
from engine.weights.files import save_safetensors


@pytest.fixture
def darkroom(tmp_path: Path, root: Path) -> Session:
    """A session whose base directory this test may change."""
    base = make_base_directory(tmp_path / "base", root)
    write(base, "cat.pt", WIDTH, 1)
    return Session(Settings(base, output_directory=tmp_path / "output", device="cpu"))


def write(base: Path, name: str, width: int, seed: int) -> None:
    path = base / "models/embeddings" / name
    path.parent.mkdir(exist_ok=True)
    torch.save({"string_to_param": {"*": torch.randn(2, width, generator=torch.Generator().manual_seed(seed))}}, path)


def linked(prompt: dict[str, object]) -> dict[str, object]:
    """Let the prompt come by a link."""
    text = prompt["6"]["inputs"]["text"]  # type: ignore[index]
    prompt["6"]["inputs"]["text"] = ["20", 0]  # type: ignore[index]
    return prompt | {"20": {"class_type": "PrimitiveString", "inputs": {"value": text}}}


@pytest.mark.parametrize("by_link", [False, True])
def test_another_content_of_the_file_is_another_picture(darkroom: Session, by_link: bool) -> None:
    prompt = text_to_image(Prompt__text="a (embedding:cat:1.2), red")
    workflow = darkroom.open(linked(prompt) if by_link else prompt)
    first = workflow.run(["Decode"])
    again = workflow.run(["Decode"])
    assert again.values["Decode"][0] is first.values["Decode"][0]
    write(darkroom.folders.base, "cat.pt", WIDTH, 2)
    changed = workflow.run(["Decode"])
    assert not np.array_equal(changed.values["Decode"][0], first.values["Decode"][0])


def test_the_kind_of_file_makes_no_difference(darkroom: Session) -> None:
    folder = darkroom.folders.base / "models/embeddings"
    vectors = torch.load(folder / "cat.pt")["string_to_param"]["*"]
    save_safetensors(folder / "tom.safetensors", {"emb_params": vectors})

    def draw(prompt: str) -> np.ndarray:
        pixels: np.ndarray = (
            darkroom.open(text_to_image(Prompt__text=prompt)).run(["Decode"]).values["Decode"][0].numpy()
        )
        return pixels

    pictures = [draw(f"a (embedding:{name}:1.2), red") for name in ("cat", "tom", "tom.safetensors")]
    assert np.array_equal(pictures[0], pictures[1]) and np.array_equal(pictures[0], pictures[2])
    assert not np.array_equal(pictures[0], draw("a , red"))


def test_a_missing_embedding_is_named_before_anything_runs(darkroom: Session) -> None:
    with pytest.raises(GraphError) as caught:
        darkroom.open(text_to_image(Prompt__text="embedding:cat and embedding:cap")).run()
    (problem,) = caught.value.problems
    assert problem.code == "E-FILE" and problem.input == "text"
    assert "'cap'" in problem.message and "cat.pt" in (problem.hint or "")


def test_a_missing_embedding_of_a_linked_text_is_named_when_it_runs(darkroom: Session) -> None:
    workflow = darkroom.open(linked(text_to_image(Prompt__text="embedding:cap")))
    with pytest.raises(Exception, match=r"there is no 'cap' in embeddings.*\n.*did you mean cat\.pt"):
        workflow.run()


def test_a_wrong_width_names_the_embedding_and_the_node(darkroom: Session) -> None:
    write(darkroom.folders.base, "large.pt", 1024, 1)
    with pytest.raises(WeightError, match=r"node 6.*embedding large was made for another kind of model") as caught:
        darkroom.open(text_to_image(Prompt__text="embedding:large")).run()
    assert "32 wide" in str(caught.value) and "1024 wide" in str(caught.value)
