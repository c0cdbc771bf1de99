"""Documents: everything a saved workflow may come as, told apart by what it holds, and made into a `Graph`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from engine.errors import DocumentError
from engine.graph.api_prompt import graph_from_api, looks_like_api
from engine.graph.editor import graph_from_editor
from engine.graph.interfaces import Interfaces
from engine.graph.model import Graph
from engine.graph.native import graph_from_native, looks_native
from engine.graph.strict_json import parse_text

FORMS = "an API prompt, an editor workflow (native, version 0.4 or 1), or a picture that carries one of them"


def load_document(data: object, interfaces: Interfaces) -> Graph:
    """Read a parsed document of any known form: API prompt, request with a ``prompt``, editor workflow of any schema.

    ``interfaces`` give the parameter lists that positional widget values need. Raises `DocumentError` when the
    document is of no known form and `GraphError` with all problems when single nodes of it cannot be read.
    """
    if not isinstance(data, dict):
        raise _unknown(f"the document is {_kind(data)}")
    if looks_native(data):
        return graph_from_native(data, interfaces)
    if looks_like_editor(data):
        return graph_from_editor(data, interfaces)
    prompt, workflow = data.get("prompt"), data.get("workflow")
    if isinstance(prompt, dict) and "class_type" not in prompt:
        return _from_request(prompt, _sent_workflow(data), interfaces)
    if isinstance(workflow, dict) and "class_type" not in workflow:
        return _load_inner(workflow, interfaces)
    if looks_like_api(data):
        return graph_from_api(data)
    raise _unknown(_what_it_seems(data))


def _load_inner(data: Mapping[str, Any], interfaces: Interfaces) -> Graph:
    """Read an API prompt or an editor workflow that stands inside another document."""
    if looks_native(data):
        return graph_from_native(data, interfaces)
    if looks_like_editor(data):
        return graph_from_editor(data, interfaces)
    if looks_like_api(data):
        return graph_from_api(data)
    raise _unknown(_what_it_seems(data))


def graph_from_metadata(texts: Mapping[str, str], interfaces: Interfaces, name: str = "the picture") -> Graph:
    """Read the graph that a picture carries in its text chunks ``prompt`` and ``workflow``.

    The prompt is what ran, so it is preferred; the workflow is kept beside it. Raises `DocumentError` when neither
    chunk holds a graph.
    """
    prompt_text, workflow_text = texts.get("prompt"), texts.get("workflow")
    workflow: Any = None
    if workflow_text is not None:
        try:
            workflow = parse_text(workflow_text, f'"workflow" of {name}', nan_as_null=True)
        except DocumentError:
            if prompt_text is None:
                raise
    if prompt_text is not None:
        try:
            prompt = parse_text(prompt_text, f'"prompt" of {name}', nan_as_null=True)
        except DocumentError:
            if workflow is None:
                raise
            prompt = None
        if isinstance(prompt, dict) and looks_like_api(prompt):
            return graph_from_api(prompt, workflow if isinstance(workflow, dict) else None)
    if isinstance(workflow, dict):
        return _load_inner(workflow, interfaces)
    chunks = ", ".join(repr(key) for key in texts) or "none"
    hint = "its settings are kept as plain text, which names no nodes" if "parameters" in texts else None
    raise DocumentError(
        f"{name} carries no workflow",
        expected='a text chunk "prompt" or "workflow"',
        got=f"chunks: {chunks}",
        hint=hint or "choose a picture saved with its metadata",
    )


def looks_like_editor(data: Mapping[str, Any]) -> bool:
    """Say whether ``data`` is an editor workflow: it has a list of nodes, or says that it is in the native form."""
    return isinstance(data.get("nodes"), list) or looks_native(data)


def _from_request(prompt: Mapping[str, Any], workflow: Mapping[str, Any] | None, interfaces: Interfaces) -> Graph:
    if looks_native(prompt):
        return graph_from_native(prompt, interfaces)
    if looks_like_editor(prompt):
        return graph_from_editor(prompt, interfaces)
    return graph_from_api(prompt, workflow)


def _sent_workflow(data: Mapping[str, Any]) -> Mapping[str, Any] | None:
    found: Any = data
    for key in ("extra_data", "extra_pnginfo", "workflow"):
        found = found.get(key) if isinstance(found, dict) else None
    if found is None:
        found = data.get("workflow")
    return found if isinstance(found, dict) else None


def _kind(data: object) -> str:
    names = {list: "a list", str: "a string", bool: "true or false", type(None): "null"}
    return names.get(type(data), "a number")


def _what_it_seems(data: Mapping[str, Any]) -> str:
    if not data:
        return "the document is empty"
    if any(isinstance(entry, dict) and "input" in entry and "output" in entry for entry in data.values()):
        return "the document lists node types, it is not a workflow"
    keys = ", ".join(repr(key) for key in list(data)[:5])
    return f"the document holds none of the known forms; its first keys are {keys}"


def _unknown(message: str) -> DocumentError:
    return DocumentError(message, expected=FORMS, hint="save or export the workflow again and give that file")


__all__ = ["graph_from_metadata", "load_document", "looks_like_editor", "parse_text"]
