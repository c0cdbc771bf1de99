"""Declare a node from a typed function; refuse at import whatever does not fit.

    @node("ImageBlend", category="image")
    def blend(*, a: Image, b: Image, amount: Annotated[float, Float(0, 1, step=0.01)] = 0.5) -> Image:
        \"\"\"Mix two images.

        amount: 0 keeps the first, 1 the second.
        \"\"\"

Annotations give sockets, ranges and choices; the signature gives names and defaults; the docstring gives the help
(first paragraphs for the node, ``name: text`` lines for inputs). Parameters are keyword-only so that their order can
follow the saved files of the ecosystem. A first positional parameter ``context`` asks for the run's context.
``-> list[Image]`` is a list output: what takes one item is called once for each.
An input whose annotation allows None is optional; every other one must be given. A node without outputs is annotated
``-> NodeResult`` (or ``-> None``).
"""

from __future__ import annotations

import dataclasses
import hashlib
import inspect
import re
import types
import typing
from collections.abc import Callable, Generator, Iterable, Sequence
from typing import Annotated, Any, TypeVar

from engine.graph.node_types import (
    MISSING,
    Choices,
    FileSet,
    FolderChoices,
    LoopEnd,
    LoopStart,
    NodeResult,
    NodeType,
    Output,
    Parameter,
    Smaller,
)

F = TypeVar("F", bound=Callable[..., Any])


@dataclasses.dataclass(frozen=True, slots=True)
class Socket:
    """Mark an input or output that only a link can feed."""

    type: str


@dataclasses.dataclass(frozen=True, slots=True)
class Int:
    """Mark a whole number between ``minimum`` and ``maximum`` (inclusive; None: no bound)."""

    minimum: int | None = None
    maximum: int | None = None
    step: int | None = None
    control_after_generate: bool = False


@dataclasses.dataclass(frozen=True, slots=True)
class Float:
    """Mark a number between ``minimum`` and ``maximum`` (inclusive); ``round`` is the widget's rounding."""

    minimum: float
    maximum: float
    step: float | None = None
    round: float | bool | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class Text:
    """Mark a string; ``mentions`` is the folder whose files it may name (`engine.graph.mentions`).

    A ``secret`` one, such as a key for a service, is left out of whatever is kept (`engine.graph.secrets`).
    """

    multiline: bool = False
    dynamic_prompts: bool = False
    mentions: str | None = None
    secret: bool = False


@dataclasses.dataclass(frozen=True, slots=True)
class Boolean:
    """Mark a yes-or-no."""


@dataclasses.dataclass(frozen=True, slots=True)
class Lazy:
    """Stand beside another marker: the input is only computed when the node's ``needs`` names it."""


@dataclasses.dataclass(frozen=True, slots=True)
class Choice:
    """Mark one of ``choices``; pass `FolderChoices` for the files of a folder."""

    choices: Choices
    image_upload: bool = False


Marker = Socket | Int | Float | Text | Boolean | Choice

Model = Annotated[Any, Socket("MODEL")]
Clip = Annotated[Any, Socket("CLIP")]
Vae = Annotated[Any, Socket("VAE")]
Conditioning = Annotated[Any, Socket("CONDITIONING")]
Latent = Annotated[Any, Socket("LATENT")]
Image = Annotated[Any, Socket("IMAGE")]
Mask = Annotated[Any, Socket("MASK")]
Noise = Annotated[Any, Socket("NOISE")]
Sampler = Annotated[Any, Socket("SAMPLER")]
Sigmas = Annotated[Any, Socket("SIGMAS")]
Guider = Annotated[Any, Socket("GUIDER")]
Anything = Annotated[Any, Socket("*")]
"""Any type, for nodes that hand values on without looking at them."""
LoopHandle = Annotated[Any, Socket("LOOP")]
"""What ties the end of a loop to its start."""
Seed = Annotated[int, Int(0, 2**64 - 1, control_after_generate=True)]


class DeclarationError(TypeError):
    """Say that a node's declaration and its code disagree; raised while the module that declares it is imported."""


def node(
    id: str,
    *,
    category: str,
    display_name: str | None = None,
    outputs: Sequence[str] | None = None,
    output_node: bool = False,
    cacheable: bool = True,
    uses_model: Sequence[str] = (),
    input_is_list: bool = False,
    needs: Callable[..., Iterable[str]] | None = None,
    loop: LoopStart | LoopEnd | None = None,
    smaller: Sequence[Smaller] = (),
    version: int = 1,
) -> Callable[[F], F]:
    """Turn a typed function into a node type, kept as ``function.node_type`` for the registry to collect.

    ``outputs`` names the output slots (default: their types). ``version`` is raised when the node's results change
    for a reason that its own source does not show. ``needs``, ``loop``, ``smaller`` and ``input_is_list`` are those
    of `NodeType`. Raises `DeclarationError` on any disagreement.
    """

    def declare(function: F) -> F:
        try:
            hints = typing.get_type_hints(function, include_extras=True)
            inputs, wants_context = _inputs(function, hints)
            slots = _outputs(hints.get("return"), outputs)
            description, help_texts = _docstring(function, {p.name for p in inputs})
        except DeclarationError as error:
            raise DeclarationError(f"node {id!r} ({function.__module__}.{function.__name__}): {error}") from None
        unknown = set(uses_model) - {p.name for p in inputs}
        if unknown:
            raise DeclarationError(f"node {id!r}: uses_model names {sorted(unknown)}, which are no inputs")
        node_type = NodeType(
            id=id,
            display_name=display_name or id,
            category=category,
            inputs=tuple(dataclasses.replace(p, help=help_texts.get(p.name, "")) for p in inputs),
            outputs=slots,
            run=function,
            version=_code_version(function, version),
            description=description,
            wants_context=wants_context,
            output_node=output_node,
            cacheable=cacheable,
            uses_model=tuple(uses_model),
            input_is_list=input_is_list,
            needs=needs,
            loop=loop,
            smaller=tuple(smaller),
            module=function.__module__,
        )
        function.node_type = node_type  # type: ignore[attr-defined]
        return function

    return declare


def _inputs(function: Callable[..., Any], hints: dict[str, Any]) -> tuple[list[Parameter], bool]:
    inputs: list[Parameter] = []
    wants_context = False
    for position, (name, parameter) in enumerate(inspect.signature(function).parameters.items()):
        if position == 0 and name == "context" and parameter.kind is not parameter.KEYWORD_ONLY:
            wants_context = True
            continue
        if parameter.kind is not parameter.KEYWORD_ONLY:
            raise DeclarationError(f"input {name!r} must be keyword-only (put a * before it)")
        if name not in hints:
            raise DeclarationError(f"input {name!r} has no annotation")
        default = MISSING if parameter.default is parameter.empty else parameter.default
        inputs.append(_parameter(name, hints[name], default))
    return inputs, wants_context


def _parameter(name: str, hint: Any, default: Any) -> Parameter:
    hint, optional = _strip_optional(hint)
    marker = _marker(hint)
    if marker is None:
        raise DeclarationError(f"input {name!r} is annotated with {hint!r}, which names no socket type")
    if optional and default is MISSING:
        raise DeclarationError(f"input {name!r} allows None, so it needs a default")
    if optional and default is None:
        default = MISSING
    lazy = typing.get_origin(hint) is Annotated and any(isinstance(extra, Lazy) for extra in hint.__metadata__)
    common: dict[str, Any] = {"name": name, "required": not optional, "default": default, "lazy": lazy}
    match marker:
        case Socket(type):
            if default is not MISSING:
                raise DeclarationError(f"socket {name!r} cannot have a default")
            return Parameter(type=type, **common)
        case Int(low, high, step, control):
            _check_default(name, default, (int,), low, high)
            return Parameter(type="INT", minimum=low, maximum=high, step=step, control_after_generate=control, **common)
        case Float(low, high, step, rounding):
            _check_default(name, default, (int, float), low, high)
            return Parameter(type="FLOAT", minimum=low, maximum=high, step=step, round=rounding, **common)
        case Text(multiline, dynamic, mentions, secret):
            texts: dict[str, Any] = {"multiline": multiline, "dynamic_prompts": dynamic, "mentions": mentions}
            texts["secret"] = secret
            return Parameter(type="STRING", **texts, **common)
        case Boolean():
            return Parameter(type="BOOLEAN", **common)
        case Choice(choices, upload):
            if isinstance(choices, tuple) and default is not MISSING and default not in choices:
                raise DeclarationError(f"the default {default!r} of {name!r} is not one of its choices")
            return Parameter(type="COMBO", choices=choices, image_upload=upload, **common)


def _check_default(name: str, default: Any, kinds: tuple[type, ...], low: float | None, high: float | None) -> None:
    if default is MISSING:
        return
    above, below = low is None or low <= default, high is None or default <= high
    if not (isinstance(default, kinds) and above and below):
        raise DeclarationError(f"the default {default!r} of {name!r} is not between {low} and {high}")


def _strip_optional(hint: Any) -> tuple[Any, bool]:
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        rest = [part for part in typing.get_args(hint) if part is not type(None)]
        if len(rest) == 1 and len(typing.get_args(hint)) == 2:
            return rest[0], True
    return hint, False


def _marker(hint: Any) -> Marker | None:
    if typing.get_origin(hint) is Annotated:
        for extra in hint.__metadata__:
            if isinstance(extra, Marker):
                return extra
    return None


def _outputs(hint: Any, names: Sequence[str] | None) -> tuple[Output, ...]:
    if typing.get_origin(hint) is Generator:  # the start of a loop: what it yields are its outputs
        hint = typing.get_args(hint)[0]
    if hint in (None, type(None), NodeResult):
        hints: tuple[Any, ...] = ()
    elif typing.get_origin(hint) is tuple:
        hints = typing.get_args(hint)
        if len(hints) == 1:
            raise DeclarationError("a node with one output returns the value itself: annotate it without tuple[…]")
    else:
        hints = (hint,)
    slots: list[tuple[str, bool]] = []
    for one in hints:
        many = typing.get_origin(one) is list
        marker = _marker(typing.get_args(one)[0] if many else one)
        if marker is None:
            raise DeclarationError(f"the return annotation {one!r} names no socket type")
        kinds = {Int: "INT", Float: "FLOAT", Text: "STRING", Boolean: "BOOLEAN", Choice: "COMBO"}
        slots.append((marker.type if isinstance(marker, Socket) else kinds[type(marker)], many))
    if names is not None and len(names) != len(slots):
        raise DeclarationError(f"{len(names)} output names for {len(slots)} outputs")
    labels = names or [slot for slot, _ in slots]
    return tuple(Output(label, slot, many) for label, (slot, many) in zip(labels, slots, strict=True))


_HELP_LINE = re.compile(r"^([A-Za-z_][A-Za-z0-9_]*): (\S.*)$")


def _docstring(function: Callable[..., Any], inputs: set[str]) -> tuple[str, dict[str, str]]:
    text = inspect.getdoc(function)
    if not text:
        raise DeclarationError("a docstring is needed: it is the node's help")
    description: list[str] = []
    help_texts: dict[str, str] = {}
    current: str | None = None
    for line in text.splitlines():
        found = _HELP_LINE.match(line)
        if found:
            current = found[1]
            if current not in inputs:
                raise DeclarationError(f"the docstring explains {current!r}, which is no input")
            help_texts[current] = found[2]
        elif current and line.startswith("    "):
            help_texts[current] += " " + line.strip()
        else:
            current = None
            description.append(line)
    return "\n".join(description).strip(), help_texts


def _code_version(function: Callable[..., Any], version: int) -> str:
    """Hash what the function does: its byte code and constants, so that comments and layout do not matter."""
    parts: list[str] = [str(version)]
    pending = [function.__code__]
    while pending:
        one = pending.pop()
        parts.append(one.co_code.hex())
        parts.append(repr(one.co_names))
        for constant in one.co_consts:
            if constant == function.__doc__:
                continue
            if isinstance(constant, types.CodeType):
                pending.append(constant)
            else:
                parts.append(repr(sorted(constant, key=repr) if isinstance(constant, frozenset) else constant))
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


__all__ = ["DeclarationError", "FileSet", "FolderChoices", "node"]
