"""Node packs: which there are, which may load, and the node types that they bring.

A pack is a folder with ``__init__.py`` or a single ``.py`` file in a root of packs. Its code is imported only when the
user approved exactly these bytes (`engine.compat.trust`). Whatever a pack does while it is imported, the others load
and the start goes on; what went wrong is kept and shown by ``main.py packs list``.
"""

from __future__ import annotations

import contextlib
import dataclasses
import enum
import functools
import logging
import re
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType, ModuleType
from typing import TYPE_CHECKING

from engine.compat.instances import Instances
from engine.compat.trials import read_trials
from engine.compat.trust import Approvals, read_approvals, tree_digest
from engine.graph.node_types import NodeType
from engine.graph.registry import Registry

if TYPE_CHECKING:  # what follows is only needed once a pack may load
    from engine.compat.host import Engine
    from engine.compat.pack_nodes import Declared

_log = logging.getLogger("safelight.packs")
SLOW_SECONDS = 5.0
MAX_SEARCHED_BYTES = 4 << 20
_TEXT = re.compile(r"""'[^'\n\\]{1,120}'|"[^"\n\\]{1,120}\"""")


class PackState(enum.StrEnum):
    """What became of a pack at the start."""

    LOADED = "loaded"
    FAILED = "failed"
    UNTRUSTED = "not trusted"
    CHANGED = "changed since it was trusted"
    DISABLED = "disabled"


@dataclasses.dataclass(frozen=True, slots=True)
class Pack:
    """One pack. ``problems`` are what is wrong with single nodes; ``error`` is why it did not load at all."""

    name: str
    path: Path
    state: PackState
    digest: str = ""
    seconds: float = 0.0
    error: str | None = None
    trace: str | None = None
    nodes: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()
    web: Path | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class Packs:
    """All packs that there are, and the node types of those that loaded."""

    packs: tuple[Pack, ...]
    types: tuple[NodeType, ...]
    instances: Instances
    declared: Mapping[str, Declared]

    def refreshed(self, registry: Registry, used: Iterable[str]) -> Registry:
        """Return ``registry`` with the choices of the ``used`` node types as they are now.

        A class lists its choices (files, often) each time it is asked, so it is asked once before each run.
        """
        if not self.declared:
            return registry
        from engine.compat.pack_nodes import refreshed

        fresh: dict[str, NodeType] = {}
        for id in {id for id in used if id in self.declared}:
            old = registry.types[id]
            new = refreshed(self.declared[id], old, self.instances)
            if new is not old:
                fresh[id] = new
        return Registry(MappingProxyType({**registry.types, **fresh})) if fresh else registry

    def why_absent(self, id: str) -> str | None:
        """Return what to do where a node type ``id`` is missing because its pack did not load, or None."""
        for pack in self.packs:
            if pack.state is PackState.LOADED:
                blamed = next((one for one in pack.problems if f"{id!r}" in one or one.startswith(f"{id}:")), None)
                if blamed:
                    return f"pack {pack.name!r} has it, but: {blamed}"
            elif _mentions(pack, id):
                return _what_to_do(pack)
        return None


def find_packs(roots: Sequence[Path]) -> list[Path]:
    """List the packs of ``roots``: folders with ``__init__.py`` and ``.py`` files, by root, then by name.

    Hidden entries, ``__pycache__`` and names that end in ``.disabled`` are passed over.
    """
    found: list[Path] = []
    for root in roots:
        try:
            entries = sorted(root.iterdir())
        except OSError:  # not there, or not for us
            continue
        for path in entries:
            with contextlib.suppress(OSError):
                found += [path] if _is_pack(path) else []
    return found


def name_of(path: Path) -> str:
    """Return the name of the pack at ``path``: the folder's, or the file's without its ending."""
    return path.name if path.is_dir() else path.stem


def _is_pack(path: Path) -> bool:
    if path.name.startswith((".", "__")) or path.name.lower().endswith(".disabled"):
        return False
    return (path / "__init__.py").is_file() if path.is_dir() else path.suffix == ".py"


def load_packs(
    roots: Sequence[Path],
    registry: Registry,
    user_directory: Path,
    lend: Callable[[], Engine],
    *,
    trust_all: bool = False,
    disabled: bool = False,
    whitelist: Sequence[str] = (),
) -> Packs:
    """Import every approved pack; never raises for anything that a pack does.

    ``registry`` holds the node types that no pack may declare, ``lend`` gives what packs see. ``trust_all`` imports
    packs without approval too; ``disabled`` imports none but those that ``whitelist`` names.
    """
    instances = Instances()
    packs = examined_packs(roots, user_directory, trust_all=trust_all, disabled=disabled, whitelist=whitelist)
    wanted = [pack for pack in packs if pack.state is PackState.LOADED]
    if wanted:
        from engine.compat.host import HOST
        from engine.compat.importing import install

        HOST.use(lend())
        install(roots)
        for pack in packs:  # what an earlier session imported under the name of a pack that may not load now
            if pack.state is not PackState.LOADED:
                _forget(pack)
        failed = {pack.name: failure for pack in wanted if (failure := _prestart(pack)) is not None}
        packs = [failed.get(pack.name, pack) for pack in packs]
    types: dict[str, NodeType] = {}
    declared: dict[str, Declared] = {}
    owners = {one.id: "a built-in node" for one in registry}
    done = [_loaded(pack, instances, types, declared, owners) for pack in packs]
    for pack in done:
        _tell(pack)
    return Packs(tuple(done), tuple(types.values()), instances, MappingProxyType(declared))


def examined_packs(
    roots: Sequence[Path], user_directory: Path, *, trust_all: bool, disabled: bool, whitelist: Sequence[str]
) -> list[Pack]:
    """List the packs that there are; those in the state ``LOADED`` may be imported. Imports nothing."""
    approvals = read_approvals(user_directory)
    trials = read_trials(user_directory)
    packs = [
        Pack(name_of(path), path, PackState.DISABLED)
        if disabled and not {path.name, name_of(path)} & set(whitelist)
        else _examined(path, approvals, trust_all)
        for path in find_packs(roots)
    ]
    return [
        dataclasses.replace(pack, state=PackState.FAILED, error=f"{how}; approve it once more to try it again")
        if pack.state is PackState.LOADED and (how := trials.get(pack.digest))
        else pack
        for pack in _without_doubles(packs)
    ]


def _examined(path: Path, approvals: Approvals, trust_all: bool) -> Pack:
    """Say whether a pack may load. Reads its files; runs none of them."""
    name = name_of(path)
    try:
        digest = tree_digest(path)
    except OSError as error:
        return Pack(name, path, PackState.FAILED, error=f"its files cannot be read: {error}")
    approved = approvals.of(name)
    if trust_all or approved == digest:
        return Pack(name, path, PackState.LOADED, digest)
    return Pack(name, path, PackState.UNTRUSTED if approved is None else PackState.CHANGED, digest)


def _without_doubles(packs: Iterable[Pack]) -> Iterator[Pack]:
    met: dict[str, Path] = {}
    for pack in packs:
        first = met.setdefault(pack.name, pack.path)
        if first == pack.path:
            yield pack
        else:
            error = f"a pack of this name is already in {first.parent}"
            yield dataclasses.replace(pack, state=PackState.FAILED, error=error)


def _prestart(pack: Pack) -> Pack | None:
    """Run ``prestartup_script.py`` of a pack, before torch is imported; return the pack as failed where that fails."""
    script = pack.path / "prestartup_script.py"
    if not pack.path.is_dir() or not script.is_file():
        return None
    from engine.compat.calling import importing
    from engine.compat.importing import import_code

    started = time.perf_counter()
    try:
        with importing(pack.name), contextlib.redirect_stdout(sys.stderr):
            import_code(f"custom_nodes_prestartup_{_module_part(pack)}", script)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # noqa: BLE001 (a pack may do anything, also exit)
        return _failed(pack, error, started, "prestartup_script.py: ")
    return None


def _loaded(
    pack: Pack,
    instances: Instances,
    types: dict[str, NodeType],
    declared: dict[str, Declared],
    owners: dict[str, str],
) -> Pack:
    """Import a pack that may load and add its node types; what fails is said in the pack that is returned."""
    if pack.state is not PackState.LOADED:
        return pack
    from engine.compat.calling import importing
    from engine.compat.host import HOST
    from engine.compat.pack_nodes import declared_nodes, web_folder

    started = time.perf_counter()
    problems: list[str] = []
    mine: list[str] = []
    try:
        with importing(pack.name), contextlib.redirect_stdout(sys.stderr), _watched(pack):
            module = _module(pack)
            found = declared_nodes(module, pack.name, pack.digest, instances, problems)
            web = web_folder(module, pack.path, problems)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # noqa: BLE001 (a pack may do anything, also exit)
        _forget(pack)
        return _failed(pack, error, started)
    for one in found:
        id = one.node_type.id
        owner = owners.setdefault(id, f"declared by pack {pack.name!r}")
        if id in types or owner == "a built-in node":
            problems.append(f"{id}: the node is refused, because this id is {owner} already")
            continue
        types[id], declared[id] = one.node_type, one
        if one.kind is not None:
            HOST.classes[id] = one.kind
        mine.append(id)
    seconds = time.perf_counter() - started
    return dataclasses.replace(pack, seconds=seconds, nodes=tuple(mine), problems=tuple(problems), web=web)


@contextlib.contextmanager
def _watched(pack: Pack) -> Iterator[None]:
    """Say which pack it is while a slow one keeps the start waiting."""
    timer = threading.Timer(SLOW_SECONDS, _log.error, ("pack %s is still being imported", pack.name))
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _module(pack: Pack) -> ModuleType:
    """Import a pack, or take it as an earlier session imported the same bytes."""
    from engine.compat.importing import PARENT, import_code

    name = f"{PARENT}.{_module_part(pack)}"
    known = sys.modules.get(name)
    mark = (str(pack.path), pack.digest)
    if known is not None and getattr(known, "__safelight_pack__", None) == mark:
        return known
    module = import_code(name, pack.path)
    vars(module)["__safelight_pack__"] = mark
    return module


def _forget(pack: Pack) -> None:
    from engine.compat.importing import PARENT, forget

    forget(f"{PARENT}.{_module_part(pack)}")


def _module_part(pack: Pack) -> str:
    return pack.name.replace(".", "_")


def _failed(pack: Pack, error: BaseException, started: float, where: str = "") -> Pack:
    text = str(error).strip() or "no message"
    if isinstance(error, SystemExit):
        text = "it tried to end the program"
    seconds = time.perf_counter() - started
    trace = "".join(traceback.format_exception(error))
    return dataclasses.replace(
        pack,
        state=PackState.FAILED,
        seconds=seconds,
        error=f"{where}{type(error).__name__}: {text}",
        trace=trace,
    )


def _tell(pack: Pack) -> None:
    match pack.state:
        case PackState.LOADED:
            _log.info("pack %s: %d nodes in %.2f s", pack.name, len(pack.nodes), pack.seconds)
            if pack.seconds >= SLOW_SECONDS:
                _log.error("pack %s took %.0f s to import", pack.name, pack.seconds)
            for problem in pack.problems:
                _log.error("pack %s: %s", pack.name, problem)
        case PackState.FAILED:
            _log.error("pack %s did not load: %s", pack.name, pack.error)
            _log.info("%s", pack.trace)
        case PackState.CHANGED:
            _log.error("pack %s changed since it was trusted and was not loaded; %s", pack.name, _to_approve(pack))
        case PackState.UNTRUSTED:
            _log.warning("pack %s is not trusted and was not loaded; %s", pack.name, _to_approve(pack))
        case PackState.DISABLED:
            _log.info("pack %s is disabled", pack.name)


def _what_to_do(pack: Pack) -> str:
    if pack.state is PackState.FAILED:
        return f"pack {pack.name!r} should have it, but did not load: {pack.error}"
    if pack.state is PackState.DISABLED:
        return f"pack {pack.name!r} seems to have it and is disabled; start with --whitelist-custom-nodes {pack.name}"
    changed = ", which changed since it was trusted," if pack.state is PackState.CHANGED else ""
    return f"pack {pack.name!r}{changed} seems to have it; {_to_approve(pack)}"


def _to_approve(pack: Pack) -> str:
    return f"look at its files, then approve them: main.py packs trust {pack.name}"


def _mentions(pack: Pack, id: str) -> bool:
    """Say whether the source of a pack has a node's id as a text of its own."""
    return id in _texts(pack.path, pack.digest)


@functools.lru_cache(maxsize=64)
def _texts(path: Path, digest: str) -> frozenset[str]:
    """Return the short texts in the source of a pack, of which at most a few megabytes are read."""
    files = [path] if path.is_file() else sorted(path.rglob("*.py"))
    found: set[str] = set()
    left = MAX_SEARCHED_BYTES
    for file in files:
        with contextlib.suppress(OSError):
            text = file.read_bytes()[:left].decode("utf-8", "replace")
            left -= len(text)
            found.update(one[1:-1] for one in _TEXT.findall(text))
        if left <= 0:
            break
    return frozenset(found)


__all__ = ["Pack", "PackState", "Packs", "examined_packs", "find_packs", "load_packs", "name_of"]
