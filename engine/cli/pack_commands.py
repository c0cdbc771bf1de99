"""The command about node packs: what there is, and approving one by the digest of its files."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from engine.cli.arguments import settings_from
from engine.cli.report import print_json
from engine.compat.packs import Pack, PackState, find_packs, name_of
from engine.compat.trials import note_trials
from engine.compat.trust import read_approvals, tree_digest, tree_files
from engine.errors import InputError
from engine.graph.values import did_you_mean, listed
from engine.session import Session
from engine.settings import read_settings

SHOWN_FILES = 40


def packs(arguments: argparse.Namespace) -> int:
    """List all packs, or approve (``trust``) or give up (``untrust``) one by name; with ``--web`` its pages as well, or
    its pages alone."""
    session = Session(read_settings(settings_from(arguments)))
    if arguments.action == "list":
        return _list(session, arguments)
    if not arguments.name:
        raise InputError(f"`packs {arguments.action}` needs the name of a pack", hint="`packs list` shows them")
    approvals = read_approvals(session.folders.directories("user")[0])
    if arguments.action == "untrust":
        if approvals.of(arguments.name) is None:
            known = listed(list(approvals.digests)) if approvals.digests else "none is"
            raise InputError(f"pack {arguments.name!r} is not trusted", got=arguments.name, hint=f"trusted: {known}")
        if arguments.web:
            approvals.with_pack(arguments.name, approvals.digests[arguments.name]).save()
            found = {"pack": arguments.name, "trusted": True, "web": False}
            _say(arguments, found, f"what {arguments.name} brings for the editor is not trusted any more")
            return 0
        approvals.without(arguments.name).save()
        _say(arguments, {"pack": arguments.name, "trusted": False}, f"{arguments.name} is not trusted any more")
        return 0
    path = _path_of(session, arguments.name)
    try:
        digest = tree_digest(path)
    except OSError as error:
        raise InputError(f"the files of pack {arguments.name!r} cannot be read: {error}", got=str(path)) from error
    approvals.with_pack(arguments.name, digest, web=arguments.web).save()
    note_trials(session.folders.directories("user")[0], {digest: None})  # it may be tried again
    if not arguments.json:
        print("\n".join(_files(path)))
    found = {"pack": arguments.name, "trusted": True, "sha256": digest, "web": arguments.web}
    _say(arguments, found, f"{arguments.name} is trusted as it is now ({digest[:12]}); any change takes that away")
    return 0


def _path_of(session: Session, name: str) -> Path:
    found = {name_of(path): path for path in reversed(find_packs(_roots(session)))}
    if name not in found:
        where = ", ".join(str(root) for root in _roots(session))
        hint = did_you_mean(name, list(found)) or f"packs are looked for in {where}"
        raise InputError(f"there is no pack called {name!r}", got=name, hint=hint)
    return found[name]


def _roots(session: Session) -> tuple[Path, ...]:
    return session.folders.pack_roots


def _files(path: Path) -> Iterator[str]:
    names = sorted(name for name, _ in tree_files(path))
    yield from (f"  {name}" for name in names[:SHOWN_FILES])
    if len(names) > SHOWN_FILES:
        yield f"  … and {len(names) - SHOWN_FILES} more files"


def _list(session: Session, arguments: argparse.Namespace) -> int:
    loaded = session.all_packs()
    found = loaded.packs if loaded is not None else ()
    if arguments.json:
        print_json({"packs": [_record(pack) for pack in found]})
        return 0
    width = max((len(pack.name) for pack in found), default=0)
    for pack in found:
        print(f"{pack.name:{width}}  {_summary(pack)}")
        for line in (*([pack.error] if pack.error else []), *pack.problems):
            print(f"{'':{width}}    {line}")
        if arguments.verbose and pack.trace:
            print(pack.trace, file=sys.stderr)
    if not found:
        print(f"no node packs in {', '.join(str(root) for root in _roots(session))}")
    return 0


def _summary(pack: Pack) -> str:
    match pack.state:
        case PackState.LOADED:
            return f"{len(pack.nodes)} node{'' if len(pack.nodes) == 1 else 's'}, imported in {pack.seconds:.2f} s"
        case PackState.UNTRUSTED | PackState.CHANGED:
            return f"{pack.state}: look at its files, then `main.py packs trust {pack.name}`"
        case _:
            return str(pack.state)


def _record(pack: Pack) -> dict[str, Any]:
    return {
        "name": pack.name,
        "path": str(pack.path),
        "state": str(pack.state),
        "sha256": pack.digest,
        "seconds": pack.seconds,
        "error": pack.error,
        "nodes": list(pack.nodes),
        "problems": list(pack.problems),
        "web": None if pack.web is None else str(pack.web),
    }


def _say(arguments: argparse.Namespace, record: dict[str, Any], text: str) -> None:
    if arguments.json:
        print_json(record)
    else:
        print(text)
