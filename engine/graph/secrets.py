"""Keep secrets out of what is kept: the values of inputs declared secret, wherever they stand in a document.

A key for a service is typed into a node and is then part of the workflow, which goes into pictures, the history and the
answers of the server. So whoever stores or shows a document takes these values out of it by value: an editor's document
has them in another place than the API prompt.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from engine.graph.model import Graph, Link
from engine.graph.registry import Registry

HIDDEN = ""
PRIVATE_EXTRAS = frozenset({"auth_token_comfy_org", "api_key_comfy_org", "auth_token", "api_key"})
"""Fields of a request's ``extra_data`` that clients put their tokens into."""


def secret_values(graph: Graph, registry: Registry) -> frozenset[str]:
    """Collect the texts given to secret inputs of ``graph``, also those of a node that is linked to one."""
    found: set[str] = set()
    for node in graph.nodes.values():
        node_type = registry.get(node.type)
        for parameter in node_type.inputs if node_type is not None else ():
            value = node.inputs.get(parameter.name) if parameter.secret else None
            if isinstance(value, str):
                found.add(value)
            elif isinstance(value, Link) and value.node in graph.nodes:
                found.update(text for text in graph.nodes[value.node].inputs.values() if isinstance(text, str))
    return frozenset(text for text in found if text.strip())


def without_values(document: Any, secrets: frozenset[str]) -> Any:
    """Return a copy of a JSON ``document`` in which no text holds one of ``secrets``; itself when there are none."""
    if not secrets:
        return document
    if isinstance(document, str):
        return HIDDEN if any(secret in document for secret in secrets) else document
    if isinstance(document, Mapping):
        return {key: without_values(value, secrets) for key, value in document.items()}
    if isinstance(document, list | tuple):
        return [without_values(value, secrets) for value in document]
    return document


def public_extra_data(extra_data: Mapping[str, Any]) -> dict[str, Any]:
    """Return a request's ``extra_data`` without the tokens that clients put there, to be kept and shown."""
    return {key: value for key, value in extra_data.items() if key not in PRIVATE_EXTRAS}
