"""Choices and comments in the texts of an editor workflow: ``a {red|{dark|light} blue} cat // or dog``.

The ecosystem's editor resolves them when it queues a run, with a new draw each time. Here the draw is made from the
document itself (the text, the node and every seed in the workflow), so that the same file gives the same picture and
another seed in it another choice. API prompts hold texts that are resolved already and are left alone.
"""

from __future__ import annotations

import hashlib
import random
import re
from collections.abc import Callable, Iterable
from types import MappingProxyType
from typing import Final

from engine.graph.interfaces import Interfaces
from engine.graph.model import Node

__all__ = ["resolve_dynamic_texts", "resolve_text"]

COMMENT: Final = re.compile(r"/[*/]")
ESCAPABLE: Final = "{}|"
SEED_INPUTS: Final = ("seed", "noise_seed")


def resolve_dynamic_texts(nodes: dict[str, Node], interfaces: Interfaces) -> None:
    """Resolve the constant texts of inputs that allow choices, in place."""
    seeds = [node.inputs[name] for node in nodes.values() for name in SEED_INPUTS if name in node.inputs]
    for id, node in nodes.items():
        interface = interfaces.get(node.type)
        if interface is None:
            continue
        changed = {}
        for parameter in interface.inputs:
            text = node.inputs.get(parameter.name)
            if parameter.dynamic_prompts and isinstance(text, str):
                changed[parameter.name] = resolve_text(text, _draw_from(id, parameter.name, text, seeds))
        if changed:
            inputs = MappingProxyType({**node.inputs, **changed})
            nodes[id] = Node(id, node.type, inputs, node.title, node.extra)


def resolve_text(text: str, choose: Callable[[list[str]], str]) -> str:
    """Return `text` without its comments and with `choose` made for every ``{a|b}``, the innermost first.

    A backslash before ``{``, ``}`` or ``|`` takes their meaning away; other backslashes stay. Braces that do not pair
    stay as they are, and ``{a}`` is a choice of one.
    """
    closed: list[list[str]] = [[""]]  # of every open brace, the options so far; the first entry is the text outside
    characters = iter(_without_comments(text))
    for character in characters:
        if character == "\\":
            following = next(characters, "")
            closed[-1][-1] += following if following and following in ESCAPABLE else character + following
        elif character == "{":
            closed.append([""])
        elif character == "}" and len(closed) > 1:
            options = closed.pop()
            closed[-1][-1] += choose(options)
        elif character == "|" and len(closed) > 1:
            closed[-1].append("")
        else:
            closed[-1][-1] += character
    return "{".join("|".join(options) for options in closed)


def _without_comments(text: str) -> str:
    """Leave out ``/* … */`` and ``// …`` (to the end of its line) in one pass, also of a text that is all openings."""
    pieces: list[str] = []
    at, closing_ahead = 0, True
    while (found := COMMENT.search(text, at)) is not None:
        start = found.start()
        pieces.append(text[at:start])
        if found[0] == "//":
            end = text.find("\n", start)
            at = len(text) if end < 0 else end
            continue
        end = text.find("*/", start + 2) if closing_ahead else -1
        closing_ahead = end >= 0
        if not closing_ahead:  # it opens nothing, and no later one does
            pieces.append("/")
        at = end + 2 if closing_ahead else start + 1
    pieces.append(text[at:])
    return "".join(pieces)


def _draw_from(id: str, name: str, text: str, seeds: Iterable[object]) -> Callable[[list[str]], str]:
    digest = hashlib.blake2b(repr((id, name, text, [str(seed) for seed in seeds])).encode(), digest_size=8)
    return random.Random(int.from_bytes(digest.digest(), "big")).choice
