"""Put the engine together: settings, folders, nodes, cache and weights for as long as a session lives.

    from engine import open_workflow

    workflow = open_workflow("workflows/text_to_image.json")
    workflow.set("Prompt.text", "a red apple").set("KSampler.seed", 7)
    result = workflow.run()
    result.images["Save Image"][0].show()

The command line, the server and scripts all enter here, so the same file runs the same way from each of them.
"""

from __future__ import annotations

import dataclasses
import functools
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.errors import Cancelled, DocumentError, GraphError, InputError, Problem, SafelightError
from engine.graph.assign import find_node, set_value
from engine.graph.documents import graph_from_metadata, load_document, parse_text
from engine.graph.interfaces import Interfaces
from engine.graph.model import Graph
from engine.graph.registry import Registry, load_package
from engine.graph.signature import Signature, bound, signature_of
from engine.graph.validate import coerce_inputs, validate
from engine.paths import Folders, make_folders
from engine.paths.private import PrivateFolders, user_salt
from engine.settings import Settings, read_settings

if TYPE_CHECKING:
    from PIL.Image import Image

    from engine.compat.host import Engine
    from engine.compat.packs import Packs
    from engine.execution.cache import ResultCache
    from engine.execution.cancel import CancelToken
    from engine.execution.context import Services
    from engine.execution.events import Listener
    from engine.execution.outcome import RunResult
    from engine.graph.node_types import SavedFile
    from engine.memory.measured import MeasuredStore

BUILT_IN_NODES = "nodes"
FAMILY_FOLDERS = frozenset({"checkpoints", "diffusion_models", "text_encoders", "vae"})
"""Model folders whose files belong to a family that can be told from their tensors."""
MAX_DOCUMENT_BYTES = 64 << 20
CARRIERS = (".png", ".webp", ".jpg", ".jpeg", ".latent", ".safetensors")
"""Files that can carry a workflow inside."""


class Session:
    """Own what outlives a run: the registry, the folders, the results and the weights that are kept.

    Nothing that needs torch is made before the first run.
    """

    def __init__(self, settings: Settings | None = None) -> None:
        self.settings = given = settings or read_settings()
        self.packs: Packs | None = None
        self.folders: Folders = make_folders(
            given.base_directory,
            user_folders={
                "input": given.input_directory,
                "output": given.output_directory,
                "temp": given.temp_directory,
                "user": given.user_directory,
            },
            extra_model_paths=given.extra_model_paths,
        )
        self.private = PrivateFolders(self.folders)

    @functools.cached_property
    def registry(self) -> Registry:
        """The node types that are known: the built-in ones, then those of the packs that loaded."""
        native = load_package(BUILT_IN_NODES)
        self.packs = self._load_packs(native)
        return native if self.packs is None else native.with_types(self.packs.types)

    def _load_packs(self, native: Registry) -> Packs | None:
        """Load the node packs; None, and nothing imported, where there are none."""
        if not any(root.is_dir() for root in self.folders.pack_roots):
            return None
        from engine.compat.packs import load_packs

        known = self.__dict__  # while packs are being loaded, they see the built-in nodes

        def lend() -> Engine:
            from engine.compat.host import Engine

            registry = lambda: known.get("registry", native)  # noqa: E731
            return Engine(self.folders, self.settings, registry, lambda: self.services)

        return load_packs(
            self.folders.pack_roots,
            native,
            self.folders.directories("user")[0],
            lend,
            trust_all=self.settings.trust_packs,
            disabled=self.settings.disable_all_custom_nodes,
            whitelist=self.settings.whitelist_custom_nodes,
        )

    def all_packs(self) -> Packs | None:
        """Return the node packs with what became of each; None where there are none."""
        _ = self.registry
        return self.packs

    def _refresh(self, graph: Graph) -> None:
        """Ask the packs' nodes of ``graph`` for their choices again, which may be files that came or went."""
        registry = self.registry
        if self.packs is not None:
            fresh = self.packs.refreshed(registry, {node.type for node in graph.nodes.values()})
            if fresh is not registry:
                self.__dict__["registry"] = fresh
                self.__dict__.pop("interfaces", None)

    @functools.cached_property
    def interfaces(self) -> Interfaces:
        """The parameter lists that reading an editor's workflow needs."""
        return Interfaces.from_registry(self.registry)

    @functools.cached_property
    def cache(self) -> ResultCache:
        """The results kept between runs, in memory and on disk as the settings say."""
        from engine.execution.tiered_cache import open_cache

        return open_cache(self.settings, self.folders)

    def open(self, source: Path | str | Mapping[str, Any]) -> Workflow:
        """Read a workflow from a file (JSON, picture, latent) or a parsed document.

        Raises `DocumentError` when it is none, `GraphError` when single nodes of it cannot be read.
        """
        return Workflow(self, self.load(source))

    def load(self, source: Path | str | Mapping[str, Any], interfaces: Interfaces | None = None) -> Graph:
        """Read the graph of `open`; ``interfaces`` describe node types that are not installed."""
        interfaces = interfaces or self.interfaces
        if isinstance(source, Mapping):
            return load_document(dict(source), interfaces)
        path = Path(source)
        if path.suffix.lower() in CARRIERS:
            return _load_carrier(path, interfaces)
        return load_document(parse_text(read_document(path), path.name), interfaces)

    def problems(self, graph: Graph, outputs: Sequence[str] | None = None, user: str | None = None) -> list[Problem]:
        """List everything that keeps ``graph`` from running, in graph order."""
        self._refresh(graph)
        absent = None if self.packs is None else self.packs.why_absent
        return validate(graph, self.registry, self.private.of(user).list_files, outputs, absent)

    @functools.cached_property
    def services(self) -> Services:
        """What runs hand to their nodes: folders, the owner of weights and devices, settings, and file keys."""
        import importlib.metadata  # reads slowly, and only runs need it

        from engine.execution.context import Services

        return Services(
            folders=self.folders,
            models=(models := self._make_models()),
            settings=self.settings,
            file_identity=self.folders.identity,
            salt=f"torch {importlib.metadata.version('torch')} {models.device.name} {self.settings.dtype}",
            make_room=models.drop_unused,
            rungs=models.take_rungs,
            partials=self.cache,
            debug=self.settings.debug,
        )

    def _make_models(self) -> Any:
        import torch

        from engine.families.owners import make_models
        from engine.memory.budgets import budgets_of
        from engine.memory.heap import keep_freed_memory

        given = self.settings
        if given.max_ram_bytes is None:  # what is kept would count
            keep_freed_memory()
        torch.set_num_threads(given.threads or torch.get_num_threads())
        return make_models(given.device, given.dtype, budgets=budgets_of(given))

    @functools.cached_property
    def measured(self) -> MeasuredStore:
        """What work was measured to take in earlier runs."""
        from engine.memory.measured import MeasuredStore, measured_directory

        return MeasuredStore(measured_directory(self.settings, self.folders.directories("user")[0]))

    def services_for(self, user: str | None, measure: bool = False) -> Services:
        """Return `services` for the runs of one user, who has files and kept results of its own."""
        found = self.services
        if measure:
            from engine.memory.meter import Meter

            found = dataclasses.replace(found, meter=Meter(found.models))
        apart, salt = self.private.of(user), user_salt(found.salt, user)
        return dataclasses.replace(found, folders=apart, file_identity=apart.identity, salt=salt)

    def model_facts(self, key: str, name: str) -> dict[str, Any]:
        """Tell a model file's name, bytes, and family, or what is wrong with it. Reads its header only."""
        from engine.families.pipeline import detect_file
        from engine.weights.recipe import file_ref

        path = self.folders.resolve(key, name)
        facts = {"name": name, "path": str(path), "bytes": path.stat().st_size, "family": None, "problem": None}
        if key in FAMILY_FOLDERS:
            try:
                facts["family"] = detect_file(file_ref(path, name)).family.title
            except SafelightError as error:
                facts["problem"] = error.problem.message
        return facts

    def _for_runs(self) -> Registry:
        """Return the node types, those of packs with a measure of what they take: nobody else could tell a plan."""
        from engine.families.unknown_nodes import measuring_unknown

        return self.registry if self.packs is None else measuring_unknown(self.registry, self.measured)

    def run(
        self,
        graph: Graph,
        *,
        outputs: Sequence[str] | None = None,
        listener: Listener | None = None,
        cancel: CancelToken | None = None,
        measure: bool = False,
        user: str | None = None,
    ) -> Result:
        """Check ``graph`` and compute what ``outputs`` name (default: every output node).

        With ``measure`` the outcome of each node has its peak memory and the bytes moved for it. Raises `GraphError`
        with all problems before anything runs. What fails while running is in the result.
        """
        from engine.execution.executor import execute

        problems = self.problems(graph, outputs, user)
        if problems:
            raise GraphError(problems)
        if self.packs is not None:
            self.packs.instances.keep(graph.nodes.keys())
        ready = coerce_inputs(graph, self.registry)
        made = execute(
            ready,
            self._for_runs(),
            cache=self.cache,
            outputs=outputs,
            services=self.services_for(user, measure),
            listener=listener,
            cancel=cancel,
        )
        return Result(graph, made)


class Workflow:
    """A graph with a session to run it in. `set` changes the graph that this object holds, never a file."""

    def __init__(self, session: Session, graph: Graph) -> None:
        self.session = session
        self.graph = graph

    def set(self, target: str, value: Any) -> Workflow:
        """Set input ``"Title or id.input"`` and return this workflow, so that calls can be chained.

        Raises `InputError` when there is no such node or input, or the value does not fit.
        """
        self.graph = set_value(self.graph, target, value, self.session.registry, self.session.folders.list_files)
        return self

    def problems(self) -> list[Problem]:
        """List everything that keeps the workflow from running."""
        return self.session.problems(self.graph)

    @property
    def signature(self) -> Signature:
        """What the workflow takes and gives by name, told by its nodes Workflow Input and Workflow Output."""
        return signature_of(self.graph, self.session.registry)

    def call(self, **given: Any) -> dict[str, Any]:
        """Run with ``given`` as inputs and return the outputs by name; see `signature`.

        Values may be text, numbers, or what sockets carry (a picture batch [B, H, W, C], a mask, a model …). Raises
        `InputError` for inputs that are missing, unknown or do not fit, and the first error when a node failed.
        """
        signature = self.signature
        if not signature.outputs:
            raise InputError("the workflow gives nothing back", expected="a node Workflow Output", got="none")
        graph = bound(self.graph, signature, given)
        result = self.session.run(graph, outputs=[port.node_id for port in signature.outputs])
        result.raise_for_failure()
        values = result.made.values
        return {port.name: values[port.node_id][0] for port in signature.outputs if port.node_id in values}

    def run(self, outputs: Sequence[str] | None = None, *, listener: Listener | None = None) -> Result:
        """Run and return what was made; ``outputs`` names nodes by id or title (default: every output node).

        Raises the first error when a node failed, `GraphError` when the workflow is not in order.
        """
        ids = None if outputs is None else [find_node(self.graph, name).id for name in outputs]
        result = self.session.run(self.graph, outputs=ids, listener=listener)
        result.raise_for_failure()
        return result


@dataclasses.dataclass(frozen=True, slots=True)
class Result:
    """What a run made, by node title and by node id (titles win; of equal titles the first node's)."""

    graph: Graph
    made: RunResult

    @property
    def files(self) -> tuple[SavedFile, ...]:
        """The files that the wanted outputs wrote, in order."""
        return self.made.files

    @property
    def images(self) -> Mapping[str, list[Image]]:
        """The pictures of each wanted output: what it saved, else its IMAGE values."""
        return self._by_name(lambda id: self._pictures(id))

    @property
    def values(self) -> Mapping[str, tuple[Any, ...]]:
        """The output values of each wanted output; name nodes in ``run(outputs=[…])`` to have theirs."""
        return self._by_name(lambda id: self.made.values.get(id, ()))

    def raise_for_failure(self) -> None:
        """Raise the first error of the run, or `Cancelled` when it was stopped."""
        for error in self.made.errors:
            raise error
        if self.made.cancelled:
            raise Cancelled()

    def _by_name(self, get: Callable[[str], Any]) -> dict[str, Any]:
        found = {id: get(id) for id in self.made.outputs}
        for id in reversed(self.made.outputs):
            title = self.graph.nodes[id].title
            if title:
                found[title] = found[id]
        return found

    def _pictures(self, id: str) -> list[Image]:
        from PIL import Image as pillow

        from engine.media.images import to_pil

        files = [file for file in self.made.nodes[id].files if file.path.lower().endswith(".png")]
        if files:
            pictures: list[Image] = []
            for file in files:
                with pillow.open(file.path) as opened:
                    opened.load()
                pictures.append(opened)
            return pictures
        batches = [value for value in self.made.values.get(id, ()) if _is_picture(value)]
        return [to_pil(one.cpu().numpy()) for batch in batches for one in batch]


def open_workflow(source: Path | str | Mapping[str, Any], settings: Settings | None = None) -> Workflow:
    """Read a workflow and give it a session of its own. ``source``: JSON file, picture, or parsed document."""
    return Session(settings).open(source)


def read_document(path: Path) -> bytes:
    """Read a workflow file whole. Raises `DocumentError` when it is not there, no file, or too large."""
    try:
        size = path.stat().st_size
        if size > MAX_DOCUMENT_BYTES:
            limit = f"at most {MAX_DOCUMENT_BYTES >> 20} MiB"
            raise DocumentError(f"{path.name} is too large for a workflow", expected=limit, got=f"{size >> 20} MiB")
        return path.read_bytes()
    except OSError as error:
        raise _unreadable(path, error) from error


def _load_carrier(path: Path, interfaces: Interfaces) -> Graph:
    from engine.media.metadata import read_metadata

    try:
        path.stat()
    except OSError as error:
        raise _unreadable(path, error) from error
    return graph_from_metadata(read_metadata(path), interfaces, path.name)


def _unreadable(path: Path, error: OSError) -> DocumentError:
    hint = "give the path of a workflow file" if path.suffix else None
    return DocumentError(
        f"{path} cannot be read: {error.strerror or error}", expected="a workflow file", got=os.fspath(path), hint=hint
    )


def _is_picture(value: Any) -> bool:
    shape: Sequence[int] = getattr(value, "shape", ())
    return len(shape) == 4 and shape[-1] in (1, 3, 4)
