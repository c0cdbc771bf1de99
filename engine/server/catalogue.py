"""What the server knows of nodes and files: one `Session` that never runs anything, used from one thread.

Reading the registry takes a moment (and a pack may take its time), so nothing here happens in the event loop.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import dataclasses
import functools
import json
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from engine.errors import DocumentError, GraphError, SafelightError
from engine.graph.api_prompt import graph_from_api, graph_to_api
from engine.graph.documents import load_document, looks_like_editor
from engine.graph.model import Graph
from engine.graph.node_types import NodeType
from engine.graph.registry import Registry
from engine.graph.strict_json import parse_text
from engine.graph.validate import output_nodes
from engine.server.batches import filled
from engine.server.object_info import describe
from engine.server.pack_trial import PackTrial
from engine.server.prompts import Accepted, Refusal, judge, refusal, refusal_of
from engine.session import Session

T = TypeVar("T")
_log = logging.getLogger("safelight.server")


class Catalogue:
    """Answers questions about node types, model files and prompts."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self._thread = concurrent.futures.ThreadPoolExecutor(1, "catalogue")
        self._entries: dict[str, tuple[NodeType, tuple[Any, ...], str]] = {}
        self._trial = PackTrial(session)
        self._tried = False
        self._lazy: tuple[Registry, Mapping[str, frozenset[str]]] | None = None

    @property
    def folders(self) -> Any:
        """The folders, which may be used from any thread."""
        return self.session.folders

    async def ask(self, question: Callable[..., T], *arguments: Any) -> T:
        """Call ``question`` in the catalogue's thread, once packs that were never tried are known to be harmless."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._answer, question, *arguments)

    def _answer(self, question: Callable[..., T], *arguments: Any) -> T:
        if not self._tried:
            self._tried = True
            self._trial.run()
        return question(*arguments)

    def close(self) -> None:
        """End the thread."""
        self._trial.close()
        self._thread.shutdown(wait=False, cancel_futures=True)

    def warm(self) -> None:
        """Read the registry before somebody waits for it."""
        try:
            self.object_info()
        except Exception:  # noqa: BLE001 (whoever asks next will see it)
            _log.exception("the node types could not be read")

    def object_info(self, only: str | None = None, user: str | None = None) -> str | None:
        """Return the JSON of all node types, or of one, with the files of ``user``; None where there is no such type.

        An entry is written again only when its type or the files in its folders changed.
        """
        registry = self._fresh_registry()
        listing = functools.cache(lambda folder: self.files(folder, user))  # each folder is looked at once
        if only is not None:
            node_type = registry.get(only)
            return None if node_type is None else f"{{{json.dumps(only)}: {self._entry(node_type, listing)}}}"
        return "{" + ", ".join(f"{json.dumps(one.id)}: {self._entry(one, listing)}" for one in registry) + "}"

    def _fresh_registry(self) -> Registry:
        refresh = getattr(self.session, "refresh_all", None)
        if refresh is not None:
            refresh()
        return self.session.registry

    def _entry(self, node_type: NodeType, listing: Callable[[str], tuple[str, ...]]) -> str:
        known = self._entries.get(node_type.id)
        if known is not None and known[0] is node_type and all(listing(folder) == names for folder, names in known[1]):
            return known[2]
        seen: dict[str, tuple[str, ...]] = {}

        def look(folder: str) -> tuple[str, ...]:
            seen[folder] = listing(folder)
            return seen[folder]

        text = json.dumps(describe(node_type, look))
        self._entries[node_type.id] = (node_type, tuple(seen.items()), text)
        return text

    def files(self, folder: str, user: str | None = None) -> tuple[str, ...]:
        """List the files of a folder; none where it cannot be read."""
        try:
            return self.session.private.of(user).list_files(folder)
        except SafelightError:
            return ()

    def has_packs(self) -> bool:
        """Say whether there are folders that packs may be in."""
        return any(root.is_dir() for root in self.session.folders.pack_roots)

    def lazy_inputs(self) -> Mapping[str, frozenset[str]]:
        """Return the names of lazy inputs, by node type that has some."""
        registry = self.session.registry
        if self._lazy is None or self._lazy[0] is not registry:
            lazy = {
                one.id: frozenset(parameter.name for parameter in one.inputs if parameter.lazy)
                for one in registry
                if any(parameter.lazy for parameter in one.inputs)
            }
            self._lazy = (registry, lazy)
        return self._lazy[1]

    def accept(self, body: Mapping[str, Any], user: str | None = None) -> Accepted | Refusal:
        """Read and check what was posted to ``/prompt``: an API prompt or an editor's workflow, under ``prompt``.

        With a ``user`` its files are those of that user.
        """
        posted = body.get("prompt")
        if posted is None and looks_like_editor(body):
            posted = body
        if not isinstance(posted, Mapping) or not posted:
            return refusal("no_prompt", "No prompt provided", 'the body needs "prompt": an object of nodes by id')
        targets = body.get("partial_execution_targets")
        if targets is not None and not (isinstance(targets, list) and all(isinstance(one, str) for one in targets)):
            return refusal("invalid_prompt", "partial_execution_targets is not a list of node ids")
        editor = looks_like_editor(posted)
        try:
            graph = load_document(posted, self.session.interfaces) if editor else graph_from_api(posted)
        except (GraphError, DocumentError) as error:
            return refusal_of(error.problems)
        made = self._judged(graph, targets, user)
        if isinstance(made, Refusal):
            return made
        prompt = graph_to_api(graph) if editor else posted
        return Accepted(prompt, json.dumps(prompt), *made, workflow=posted if editor else None, graph=graph)

    def expand(
        self, body: Mapping[str, Any], rows: Sequence[Mapping[str, Any]], user: str | None = None
    ) -> list[Accepted] | Refusal:
        """Read and check what was posted to ``/prompt`` once for each row of values. Raises `InputError` for values
        that do not fit and inputs that are not there."""
        posted = body.get("prompt")
        if not isinstance(posted, Mapping) or not posted:
            return refusal("no_prompt", "No prompt provided", 'the body needs "prompt": an object of nodes by id')
        editor = looks_like_editor(posted)
        try:
            graph = load_document(posted, self.session.interfaces) if editor else graph_from_api(posted)
        except (GraphError, DocumentError) as error:
            return refusal_of(error.problems)
        prompts = (graph_to_api(filled(self.session, graph, row, user)) for row in rows)
        return self.accept_all([{**body, "prompt": one} for one in prompts], posted if editor else None, user)

    def accept_all(
        self, bodies: Sequence[Mapping[str, Any]], workflow: Mapping[str, Any] | None, user: str | None = None
    ) -> list[Accepted] | Refusal:
        """Check several prompts made from one document; all of their outputs have to be computable."""
        made: list[Accepted] = []
        for body in bodies:
            accepted = self.accept(body, user)
            if isinstance(accepted, Accepted) and accepted.node_errors:
                refused = refusal("prompt_outputs_failed_validation", "Not all outputs can be computed")
                accepted = Refusal(refused.error, accepted.node_errors)
            if isinstance(accepted, Refusal):
                if len(bodies) > 1:
                    message = f"job {len(made)} of the batch: {accepted.error['message']}"
                    return Refusal({**accepted.error, "message": message}, accepted.node_errors)
                return accepted
            made.append(accepted if workflow is None else dataclasses.replace(accepted, workflow=workflow))
        return made

    def _judged(
        self, graph: Graph, targets: Sequence[str] | None, user: str | None
    ) -> Refusal | tuple[tuple[str, ...], dict[str, Any]]:
        outputs = output_nodes(graph, self.session.registry)
        if targets is not None:
            wanted = frozenset(targets)
            outputs = [id for id in outputs if id in wanted]
        problems = self.session.problems(graph, outputs if outputs and targets is not None else None, user)
        return judge(graph, self.session.registry, problems, outputs)

    def read_body(self, text: bytes) -> Any:
        """Parse a request's body strictly. Raises `DocumentError`."""
        return parse_text(text, "the request")
