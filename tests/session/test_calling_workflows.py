"""A workflow called like a function: named, typed inputs and outputs."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from engine.errors import GraphError, InputError
from engine.session import Session, Workflow


def document(**nodes: tuple[str, dict[str, Any]]) -> dict[str, Any]:
    return {id: {"class_type": kind, "inputs": inputs} for id, (kind, inputs) in nodes.items()}


def workflow(session: Session) -> Workflow:
    """amount (with a default) and image (without) go in; the inverted image and a number come out."""
    return session.open(
        document(
            amount=("WorkflowInput", {"name": "amount", "type": "whole number", "value": 3}),
            image=("WorkflowInput", {"name": "image", "type": "image"}),
            invert=("ImageInvert", {"image": ["image", 0]}),
            repeat=("RepeatImageBatch", {"image": ["invert", 0], "amount": ["amount", 0]}),
            out=("WorkflowOutput", {"name": "pictures", "value": ["repeat", 0]}),
            count=("WorkflowOutput", {"name": "count", "value": ["amount", 0]}),
        )
    )


def test_it_takes_and_gives_values_by_name(session: Session) -> None:
    made = workflow(session)
    signature = made.signature
    assert [(port.name, port.type, port.required) for port in signature.inputs] == [
        ("amount", "INT", False),
        ("image", "IMAGE", True),
    ]
    assert [(port.name, port.type) for port in signature.outputs] == [("pictures", "IMAGE"), ("count", "*")]
    picture = torch.rand(1, 4, 5, 3)
    given = made.call(image=picture)
    assert given["count"] == 3 and torch.equal(given["pictures"], (1 - picture).repeat(3, 1, 1, 1))
    assert made.call(image=picture, amount="2")["pictures"].shape == (2, 4, 5, 3)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({}, "is not given"),
        ({"image": torch.zeros(1, 2, 2, 3), "amuont": 1}, "amount"),
        ({"image": torch.zeros(1, 2, 2, 3), "amount": "many"}, "whole number"),
        ({"image": "a.png"}, "IMAGE"),
    ],
)
def test_what_does_not_fit_is_refused(session: Session, given: dict[str, Any], says: str) -> None:
    with pytest.raises(InputError) as caught:
        workflow(session).call(**given)
    assert says in str(caught.value)


def test_names_that_clash_or_are_missing_are_problems(session: Session) -> None:
    made = session.open(
        document(
            a=("WorkflowInput", {"name": "x", "value": 1}),
            b=("WorkflowInput", {"name": "x", "value": 2}),
            c=("WorkflowOutput", {"name": "", "value": ["a", 0]}),
        )
    )
    with pytest.raises(GraphError) as caught:
        _ = made.signature
    assert len(caught.value.problems) == 2


def test_a_workflow_without_outputs_gives_nothing_back(session: Session) -> None:
    with pytest.raises(InputError, match="gives nothing back"):
        session.open(document(a=("WorkflowInput", {"name": "x", "value": 1}))).call()
