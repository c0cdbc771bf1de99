"""What a workflow is given and gives, by name: with these nodes in it, it can be called like a function."""

from __future__ import annotations

from typing import Annotated

from engine.graph.declare import Anything, Choice, Text, node
from engine.graph.node_types import NodeResult
from engine.graph.signature import PORT_TYPES

Name = Annotated[str, Text()]
Kind = Annotated[str, Choice(tuple(PORT_TYPES))]


@node("WorkflowInput", category="utils/workflow", display_name="Workflow Input", outputs=["value"])
def workflow_input(*, name: Name = "input", type: Kind = "any", value: Anything | None = None) -> Anything:
    """Take a value that whoever calls the workflow gives by name.

    name: what the value is called.
    type: what kind of value it is.
    value: used when the caller gives none; without it the caller has to.
    """
    return value


@node("WorkflowOutput", category="utils/workflow", display_name="Workflow Output", outputs=["value"], output_node=True)
def workflow_output(*, name: Name = "output", value: Anything) -> Anything:
    """Give a value back to whoever called the workflow, by name.

    name: what the value is called.
    value: what to give.
    """
    plain = isinstance(value, (str, int, float, bool))
    return NodeResult((value,), ui={"value": [value]}) if plain else value
