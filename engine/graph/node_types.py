"""The description of a node: one form, whoever declared it.

Native nodes come from typed functions (`engine.graph.declare`), foreign ones from adapters; the editor, the
validator, the executor and the command line only ever see what stands here.
"""

from __future__ import annotations

import dataclasses
import enum
import inspect
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Any

from engine.graph.hot_records import hot_record


class Missing(enum.Enum):
    """The absence of a value where None is a value."""

    MISSING = "missing"

    def __bool__(self) -> bool:
        return False


MISSING = Missing.MISSING
NO_OPTIONS: Mapping[str, Any] = MappingProxyType({})


def _no_options() -> Mapping[str, Any]:
    # Python 3.11 refuses a mappingproxy as a plain default because it cannot be hashed.
    return NO_OPTIONS


SET_SUFFIXES = (".safetensors", ".sft", ".pth", ".pt", ".ckpt", ".bin")


@dataclasses.dataclass(frozen=True, slots=True)
class FileSet:
    """A choice that stands for several files of a folder; offered when all of them are there.

    ``stems`` are their names without the ending, which may be any of `SET_SUFFIXES` (the first that is there counts).
    """

    name: str
    folder: str
    stems: tuple[str, ...]

    def found_in(self, names: Iterable[str]) -> tuple[str, ...] | None:
        """Return the files when the folder holds ``names``; None where one is missing."""
        there = frozenset(names)
        found = [next((c for c in self.candidates(stem) if c in there), None) for stem in self.stems]
        files = tuple(name for name in found if name is not None)
        return files if len(files) == len(self.stems) else None

    @staticmethod
    def candidates(stem: str) -> tuple[str, ...]:
        """Return the names that a file may have, best first."""
        return tuple(stem + suffix for suffix in SET_SUFFIXES)


@dataclasses.dataclass(frozen=True, slots=True)
class FolderChoices:
    """Choices that are the files of a model or input folder, listed when asked for.

    ``folder`` is a key of `engine.paths.Folders` (``checkpoints``, ``loras``, ``vae``, ``input`` …);
    ``extra`` are names that are always offered beside the files; ``suffixes`` narrow what is offered (not what is
    accepted) to files that end so; ``sets`` are choices that stand for several files.
    """

    folder: str
    extra: tuple[str, ...] = ()
    suffixes: tuple[str, ...] = ()
    sets: tuple[FileSet, ...] = ()

    def offered_in(self, listing: Callable[[str], Iterable[str]]) -> tuple[str, ...]:
        """Return what to offer, sets included, when ``listing(folder)`` are the files of a folder."""
        whole = (one.name for one in self.sets if one.found_in(listing(one.folder)))
        return (*self.offered(listing(self.folder)), *whole)

    def set_named(self, name: object) -> FileSet | None:
        """Return the set of this name, or None."""
        return next((one for one in self.sets if one.name == name), None)

    def offered(self, names: Iterable[str]) -> tuple[str, ...]:
        """Return what to offer when the folder holds ``names``."""
        suffixes = self.suffixes
        files = (name for name in names if not suffixes or name.lower().endswith(suffixes))
        return (*self.extra, *files)


Choices = tuple[Any, ...] | FolderChoices


@dataclasses.dataclass(frozen=True, slots=True)
class Parameter:
    """One input. The same definition drives widget, validation, ``--set``, grid axes and metadata.

    ``type`` is a socket type or one of INT FLOAT STRING BOOLEAN COMBO. ``minimum``/``maximum`` are inclusive.
    ``mentions`` is a folder whose files the text may name, see `engine.graph.mentions`.
    A ``lazy`` input is only computed when the node asks for it; a ``raw_link`` input is given the `Link` itself.
    A ``secret`` one is left out of whatever is kept or shown.
    ``options`` keeps what the ecosystem's files say about the input and the engine has no use for.
    """

    name: str
    type: str
    required: bool = True
    default: Any = MISSING
    minimum: float | None = None
    maximum: float | None = None
    step: float | None = None
    round: float | bool | None = None
    choices: Choices | None = None
    multiline: bool = False
    dynamic_prompts: bool = False
    mentions: str | None = None
    control_after_generate: bool = False
    image_upload: bool = False
    force_input: bool = False
    lazy: bool = False
    raw_link: bool = False
    secret: bool = False
    help: str = ""
    options: Mapping[str, Any] = dataclasses.field(default_factory=_no_options)

    @property
    def is_widget(self) -> bool:
        """Say whether the value can be typed in (it then has a place in ``widgets_values``)."""
        return self.type in ("INT", "FLOAT", "STRING", "BOOLEAN", "COMBO") and not self.force_input


@dataclasses.dataclass(frozen=True, slots=True)
class Output:
    """One output slot."""

    name: str
    type: str
    is_list: bool = False
    help: str = ""


@dataclasses.dataclass(frozen=True, slots=True)
class SavedFile:
    """A file that a node wrote: where, for whom (``output`` or ``temp``), and the digest of its bytes."""

    path: str
    folder: str
    subfolder: str
    sha256: str


class Many(tuple[Any, ...]):
    """The items of a list output: nodes that take one item are called once for each."""

    __slots__ = ()


@dataclasses.dataclass(frozen=True, slots=True)
class Blocked:
    """Stand in for a value that is not to be used: whoever would receive it is passed over, and all below.

    ``message`` says why, for the user; None means that this is in order.
    """

    message: str | None = None


@hot_record()
class NodeResult:
    """What a node returns when it has more to say than its output values.

    ``ui`` is shown to clients as it is; ``files`` are what it wrote (a cached result whose files are gone is
    computed again). ``expand`` holds nodes, as an API prompt with ids that are new, that run in this node's place;
    ``values`` may then hold `Link`s to them.
    """

    values: tuple[Any, ...] = ()
    ui: Mapping[str, Any] = dataclasses.field(default_factory=_no_options)
    files: tuple[SavedFile, ...] = ()
    expand: Mapping[str, Any] | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class InputCheck:
    """A node's own check of its inputs before anything runs.

    ``call(values, types)`` gets the constants by name (None for what comes by link) and the types of the outputs that
    feed the linked ones. It returns True, or False, or a text that says what is wrong. What it looks at is not checked
    by the engine's rules: the inputs in ``names`` (all, when ``names`` is None), and the types of links when ``types``.
    """

    call: Callable[[Mapping[str, Any], Mapping[str, str]], bool | str]
    names: frozenset[str] | None = frozenset()
    types: bool = False


@dataclasses.dataclass(frozen=True, slots=True)
class LoopStart:
    """Make a node the beginning of a loop.

    Its code is a generator, which yields the output values of one round after the other. It is sent, by name, what the
    end of the loop carries into the next round, and returns what it would have carried on when there is none. Its
    inputs come as they are, a `Many` included. ``count(**inputs)`` says how many rounds there will be, where that is
    known.
    """

    count: Callable[..., int] | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class LoopEnd:
    """Make a node the end of the loop that its input ``start`` is linked to; its code runs once, after the last round.

    It then has for each input in ``collect`` the values of all rounds, in a `Many`, and for each in ``carry`` what the
    last round had; these also go into the next round. The input ``again``, where it is given, ends the loop when it is
    false.
    """

    start: str
    collect: tuple[str, ...] = ()
    carry: tuple[str, ...] = ()
    again: str | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class Smaller:
    """Another way of doing what a node does that needs less memory, tried in turn after it ran out."""

    how: str
    run: Callable[..., Any]


@dataclasses.dataclass(frozen=True, slots=True)
class NodeType:
    """Everything the engine knows about a kind of node.

    ``run`` is called as ``run(context, **inputs)`` when ``wants_context`` else ``run(**inputs)``, and returns the
    value of its one output (as it is, also when that is a tuple), a tuple with one value for each of several
    outputs, or a `NodeResult`, or an awaitable of any of these. ``version`` is part of every result's key: it changes
    when the node's code changes. ``uses_model`` names the inputs whose weights the node computes with, so that work
    can be grouped by model.

    A result that is not ``lasting`` is kept no longer than this process: who knows what else it depends on.

    With ``input_is_list`` the node is called once with a list for each input, instead of once for each item of a
    `Many`. With ``open_inputs`` it also receives linked inputs that it does not declare. ``per_node`` makes the node's
    id a part of its key, so that equal nodes are not merged. ``needs(context, inputs)`` names the lazy inputs that are
    to be computed, given those that are there (None for the others); it is asked again after each, until it names
    nothing new. ``changed(values)`` gives a value that joins the key, from the constants (None for what comes by
    link); NaN or an exception make the result unlike any other. ``inputs_for(values)`` gives the inputs of a node
    whose constants are ``values``, where those depend on them.
    """

    id: str
    display_name: str
    category: str
    inputs: tuple[Parameter, ...]
    outputs: tuple[Output, ...]
    run: Callable[..., Any] | None
    version: str
    description: str = ""
    wants_context: bool = False
    output_node: bool = False
    cacheable: bool = True
    deprecated: bool = False
    experimental: bool = False
    uses_model: tuple[str, ...] = ()
    input_is_list: bool = False
    open_inputs: bool = False
    drops_unknown: bool = False
    lasting: bool = True
    per_node: bool = False
    needs: Callable[..., Iterable[str]] | None = None
    changed: Callable[[Mapping[str, Any]], Any] | None = None
    check: InputCheck | None = None
    inputs_for: Callable[[Mapping[str, Any]], tuple[Parameter, ...]] | None = None
    loop: LoopStart | LoopEnd | None = None
    smaller: tuple[Smaller, ...] = ()
    module: str = ""
    by_name: Mapping[str, Parameter] = dataclasses.field(
        default_factory=_no_options, init=False, compare=False, repr=False
    )
    gives_lists: bool = dataclasses.field(default=False, init=False, compare=False, repr=False)
    awaits: bool = dataclasses.field(default=False, init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        # Looked up once per input of every node of a graph: a dict beats scanning the tuple.
        object.__setattr__(self, "by_name", MappingProxyType({p.name: p for p in self.inputs}))
        object.__setattr__(self, "gives_lists", any(output.is_list for output in self.outputs))
        object.__setattr__(self, "awaits", inspect.iscoroutinefunction(self.run))
