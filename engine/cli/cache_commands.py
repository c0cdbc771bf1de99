"""The command ``cache``: what is stored on disk between runs, and what becomes of it."""

from __future__ import annotations

import argparse
import re
import sqlite3
import time
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from engine.cli.arguments import settings_from
from engine.cli.report import human_bytes, human_seconds, print_json
from engine.errors import InputError, OutputError
from engine.execution.disk_cache import DiskCache
from engine.execution.disk_index import Listed
from engine.execution.tiered_cache import open_disk_cache
from engine.session import Session
from engine.settings import read_settings

_UNITS: Mapping[str, int] = MappingProxyType({"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800})
_SHOWN_KEY = 16


def cache(arguments: argparse.Namespace) -> int:
    """Run one of the cache's actions and return the exit code."""
    settings = read_settings(settings_from(arguments))
    disk = open_disk_cache(settings, Session(settings).folders)
    try:
        if disk.problem is not None:
            raise OutputError(disk.problem, hint="choose another --cache-directory")
        _ACTIONS[arguments.action](disk, arguments)
        if disk.problem is not None:
            raise OutputError(disk.problem, hint="check that the directory may be written to")
    except sqlite3.Error as error:
        raise OutputError(f"the cache in {disk.directory} cannot be read: {error}") from error
    finally:
        disk.close()
    return 0


def _stats(disk: DiskCache, arguments: argparse.Namespace) -> None:
    listed = list(disk.listed().values())
    by_node: dict[str, dict[str, Any]] = {}
    for one in listed:
        row = by_node.setdefault(one.label or "(unknown)", {"entries": 0, "bytes": 0, "hits": 0, "seconds": 0.0})
        row["entries"] += 1
        row["bytes"] += one.nbytes
        row["hits"] += one.hits
        row["seconds"] = round(row["seconds"] + one.seconds * one.hits, 3)
    facts: dict[str, Any] = {
        "directory": str(disk.directory),
        "entries": len(listed),
        "bytes": sum(one.nbytes for one in listed),
        "budget_bytes": disk.facts().max_size,
        "pinned": sum(one.pinned for one in listed),
        "hits": sum(one.hits for one in listed),
        "seconds_saved": round(sum(one.seconds * one.hits for one in listed), 3),
        "oldest": min((one.created for one in listed), default=None),
        "newest": max((one.created for one in listed), default=None),
        "nodes": dict(sorted(by_node.items(), key=lambda pair: -pair[1]["bytes"])),
    }
    if arguments.json:
        print_json(facts)
        return
    print(f"{facts['directory']}: {len(listed)} results, {human_bytes(facts['bytes'])}", end="")
    print(f" of {human_bytes(facts['budget_bytes'])}, {facts['pinned']} pinned")
    if listed:
        now = time.time()
        print(f"oldest {_age(now - facts['oldest'])}, newest {_age(now - facts['newest'])}")
        print(f"used {facts['hits']} times, which saved {human_seconds(facts['seconds_saved'])}")
    for label, row in facts["nodes"].items():
        print(f"  {label}: {row['entries']} results, {human_bytes(row['bytes'])}, used {row['hits']} times")


def _list(disk: DiskCache, arguments: argparse.Namespace) -> None:
    records = [_record(disk, one) for one in disk.listed().values()]
    if arguments.json:
        print_json(records)
        return
    for one in records:
        state = " pinned" if one["pinned"] else "" if one["current"] else " other code"
        print(
            f"{one['key'][:_SHOWN_KEY]:{_SHOWN_KEY}}  {one['node'] or '-':28}  {human_bytes(one['bytes']):>9}"
            f"  {human_seconds(one['seconds']):>8}  {_age(one['age_seconds']):>8}{state}"
        )


def _clear(disk: DiskCache, arguments: argparse.Namespace) -> None:
    before = None if arguments.older_than is None else time.time() - _seconds(arguments.older_than)
    leaving = {
        id: one
        for id, one in disk.listed().items()
        if (arguments.pinned or not one.pinned)
        and (before is None or one.used < before)
        and (arguments.node is None or one.label == arguments.node)
    }
    disk.remove(leaving)
    freed = sum(one.nbytes for one in leaving.values())
    if arguments.json:
        print_json({"removed": len(leaving), "bytes": freed})
    else:
        print(f"removed {len(leaving)} results, {human_bytes(freed)}")


def _pin(disk: DiskCache, arguments: argparse.Namespace) -> None:
    pinned = arguments.action == "pin"
    listed = disk.listed()
    chosen = {id: listed[id] for key in arguments.keys for id in _named(disk, listed, key)}
    disk.pin(chosen, pinned)
    if arguments.json:
        print_json({arguments.action: [_record(disk, one)["key"] for one in chosen.values()]})
    else:
        for one in chosen.values():
            print(f"{arguments.action} {_record(disk, one)['key']}  {one.label}")


def _named(disk: DiskCache, listed: Mapping[int, Listed], prefix: str) -> Sequence[int]:
    """Return the results that have a key which begins so. Raises `InputError` when there is none, or several."""
    found = [id for id, one in listed.items() if any(_plain(disk, key).startswith(prefix) for key in one.keys)]
    if len(found) == 1:
        return found
    raise InputError(
        f"{len(found) or 'no'} stored results have a key that begins with {prefix!r}",
        expected="the beginning of one key",
        got=prefix,
        hint="`cache list` shows the keys" if not found else "give more of the key",
    )


def _record(disk: DiskCache, one: Listed) -> dict[str, Any]:
    return {
        "key": _plain(disk, one.keys[0]) if one.keys else "",
        "node": one.label,
        "bytes": one.nbytes,
        "seconds": round(one.seconds, 4),
        "age_seconds": round(time.time() - one.created, 1),
        "unused_seconds": round(time.time() - one.used, 1),
        "hits": one.hits,
        "pinned": one.pinned,
        "current": any(disk.own_key(key) is not None for key in one.keys),
    }


def _plain(disk: DiskCache, key: str) -> str:
    """Return a key as people see it: without the mark of the code that stored it."""
    own = disk.own_key(key)
    return key.partition(":")[2] if own is None else own


def _seconds(text: str) -> float:
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([smhdw])", text.strip())
    if not found:
        raise InputError("this is no age", expected="a number and s, m, h, d or w, such as 7d", got=text)
    return float(found[1]) * _UNITS[found[2]]


def _age(seconds: float) -> str:
    for unit in "wdhm":
        if seconds >= _UNITS[unit]:
            return f"{seconds / _UNITS[unit]:.0f}{unit} ago"
    return f"{max(seconds, 0):.0f}s ago"


_ACTIONS: Mapping[str, Callable[[DiskCache, argparse.Namespace], None]] = MappingProxyType(
    {"stats": _stats, "list": _list, "clear": _clear, "pin": _pin, "unpin": _pin}
)
