"""Widget values: giving names to what editor workflows save by position.

A saved node lists the values of its widgets in the order of its type's inputs, with values of widgets that only the
editor has in between: what to do with a seed after a run, upload and refresh buttons. Those are stepped over.
"""

from __future__ import annotations

import dataclasses
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from engine.graph.editor_document import EditorNode
from engine.graph.node_types import MISSING, FolderChoices, NodeType, Parameter

CONTROL_MODES = frozenset({"fixed", "increment", "decrement", "randomize", "increment-wrap"})
CONTROL_NAMES = frozenset({"control_after_generate", "control_before_generate", "control_filter_list"})
SEED_NAMES = frozenset({"seed", "noise_seed"})

EDITOR_WIDGETS = frozenset(
    {"LOAD_3D", "LOAD_3D_ANIMATION", "PREVIEW_3D", "WEBCAM", "AUDIO_UI", "AUDIO_RECORD", "IMAGEUPLOAD"}
    | {"AUDIOUPLOAD", "VIDEOUPLOAD", "FILEUPLOAD", "COLOR", "MARKDOWN", "IMAGECOMPARE", "BOUNDING_BOX", "CURVE"}
)
"""Input types that are no socket types: the editor shows a widget of its own for them."""

ADDED_WIDGETS: Mapping[str, tuple[str, Any]] = {
    "SaveGLB": ("image", ""),
    "Preview3D": ("image", ""),
    "Preview3DAnimation": ("image", ""),
    "LoadAudio": ("audioUI", ""),
    "SaveAudio": ("audioUI", ""),
    "SaveAudioMP3": ("audioUI", ""),
    "SaveAudioOpus": ("audioUI", ""),
    "PreviewAudio": ("audioUI", ""),
}
"""Widgets (name, default) that the editor adds after the required inputs of these types, and sends."""

_UPLOADS = ("image_upload", "video_upload", "audio_upload", "animated_image_upload")
_DYNAMIC_COMBO = "COMFY_DYNAMICCOMBO"


@dataclasses.dataclass(frozen=True, slots=True)
class Widget:
    """One place in the saved list. ``sent`` is False for widgets that only the editor has."""

    name: str
    default: Any = MISSING
    sent: bool = True
    control: bool = False
    text: bool = False
    nested: Mapping[str, Any] | None = None


def named_values(node: EditorNode, interface: NodeType | None) -> dict[str, Any]:
    """Return the values of the widgets of ``node`` by name, in order; places missing at the end get their defaults.

    Without an ``interface`` the names come from the input slots of the node that stand for widgets; when these
    do not match the number of values, only dict-form values can be named.
    """
    if isinstance(node.values, Mapping):
        return _from_mapping(node.values, list(_declared_widgets(node, interface)), interface)
    widgets = list(widgets_of(node, interface))
    if interface is None and not _fits(widgets, node.values):
        return {}
    return take_values(widgets, deque(node.values))


def widgets_of(node: EditorNode, interface: NodeType | None) -> Iterable[Widget]:
    """Return the places of the saved list of ``node``, in order.

    They are those of the ``interface``, unless the node's own slots name every place and the interface has another
    number of them: then the type has changed since the file was saved, and the file knows better.
    """
    declared = list(_declared_widgets(node, interface))
    if interface is None or isinstance(node.values, Mapping):
        return declared
    rest = deque(node.values)
    take_values(declared, rest)
    places = sum(1 for widget in declared if widget.sent)
    own = list(_own_widgets(node))
    if own and (rest or places > len(node.values)) and _fits(own, node.values):
        known = {widget.name: widget for widget in declared}
        return [known.get(widget.name, widget) for widget in own]
    return declared


def take_values(widgets: Iterable[Widget], values: deque[Any]) -> dict[str, Any]:
    """Take from ``values`` what belongs to ``widgets``, and return it by name."""
    named: dict[str, Any] = {}
    pending = deque(widgets)
    while pending:
        widget = pending.popleft()
        value = values.popleft() if values else MISSING
        if value is MISSING or value is None:
            value = widget.default
        if widget.nested is not None:
            pending.extendleft(reversed(_nested_widgets(widget, value)))
        if widget.sent and value is not MISSING:
            named[widget.name] = value
        if values:
            _skip_control(widget, pending[0] if pending else None, values)
    return named


def _own_widgets(node: EditorNode) -> Iterator[Widget]:
    """Yield the widgets that the node's own input slots name; newer editors save a slot for every widget."""
    for slot in node.inputs:
        if slot.widget is not None:
            yield Widget(
                slot.widget,
                sent="UPLOAD" not in slot.type,
                control=slot.widget in SEED_NAMES,
                text=slot.type in ("STRING", "COMBO"),
            )


def _declared_widgets(node: EditorNode, interface: NodeType | None) -> Iterator[Widget]:
    if interface is None:
        yield from _own_widgets(node)
        return
    sockets = {slot.name for slot in node.inputs if slot.widget is None}
    added = ADDED_WIDGETS.get(interface.id)
    between = [Widget(added[0], added[1])] if added and added[0] not in interface.by_name else []
    if any(p.options.get(key) for p in interface.inputs for key in _UPLOADS) or any(
        p.image_upload for p in interface.inputs
    ):
        between.append(Widget("upload", sent=False))
    for parameter in interface.inputs:
        if not parameter.required and between:
            yield from between
            between = []
        if _has_widget(parameter, sockets):
            yield from _parameter_widgets(parameter)
    yield from between


def _has_widget(parameter: Parameter, sockets: set[str]) -> bool:
    if parameter.force_input:
        return False
    if parameter.is_widget or parameter.options.get("widgetType"):
        return True
    return parameter.name not in sockets and (
        parameter.type in EDITOR_WIDGETS or parameter.type.startswith(_DYNAMIC_COMBO)
    )


def _parameter_widgets(parameter: Parameter) -> Iterator[Widget]:
    remote = parameter.options.get("remote")
    declared = parameter.options.get("control_after_generate")
    seed = parameter.type == "INT" and parameter.name in SEED_NAMES and declared is not False
    yield Widget(
        parameter.name,
        default=_default(parameter),
        control=bool(declared) or parameter.control_after_generate or seed,
        text=parameter.type in ("STRING", "COMBO"),
        nested=parameter.options if parameter.type.startswith(_DYNAMIC_COMBO) else None,
    )
    if isinstance(remote, Mapping):
        yield Widget("auto-refresh", sent=False)
        if remote.get("refresh_button"):
            yield Widget("refresh", "refresh")


def _default(parameter: Parameter) -> Any:
    if parameter.default is not MISSING:
        return parameter.default
    if parameter.type == "COMBO":
        choices = parameter.choices
        known = choices.extra if isinstance(choices, FolderChoices) else choices
        return known[0] if known else MISSING
    return {"INT": 0, "FLOAT": 0, "STRING": "", "BOOLEAN": False}.get(parameter.type, MISSING)


def _skip_control(widget: Widget, following: Widget | None, values: deque[Any]) -> None:
    """Step over the place that says what becomes of a value after a run, and over the filter of a choice's control.

    Very old files hold true or false there; files of editors without such a place go straight on.
    """
    head = values[0]
    is_mode = isinstance(head, str) and head in CONTROL_MODES
    if widget.control:
        if is_mode or isinstance(head, bool):
            values.popleft()
            if widget.text and values and isinstance(values[0], str) and (following is None or not following.text):
                values.popleft()
    elif is_mode and widget.sent and not widget.text and (following is None or not following.text):
        values.popleft()


def _nested_widgets(widget: Widget, value: Any) -> list[Widget]:
    """List the widgets that the chosen option of a dynamic choice brings with it, named ``choice.input``."""
    options = widget.nested.get("options") if widget.nested is not None else None
    found: list[Widget] = []
    for option in options if isinstance(options, list) else ():
        if not isinstance(option, dict) or option.get("key") != value or not isinstance(option.get("inputs"), dict):
            continue
        for section in ("required", "optional"):
            declared = option["inputs"].get(section)
            for name, entry in declared.items() if isinstance(declared, dict) else ():
                found += _nested_one(f"{widget.name}.{name}", entry)
    return found


def _nested_one(name: str, entry: Any) -> list[Widget]:
    parts = entry if isinstance(entry, list) and entry else [entry]
    kind = "COMBO" if isinstance(parts[0], list) else str(parts[0])
    options = parts[1] if len(parts) > 1 and isinstance(parts[1], dict) else {}
    choices = parts[0] if isinstance(parts[0], list) else options.get("options")
    parameter = Parameter(
        name,
        kind,
        default=options.get("default", MISSING),
        choices=tuple(choices) if kind == "COMBO" and isinstance(choices, list) else None,
        force_input=options.get("forceInput") is True,
        options=options,
    )
    return list(_parameter_widgets(parameter)) if _has_widget(parameter, set()) else []


def _from_mapping(values: Mapping[str, Any], widgets: list[Widget], interface: NodeType | None) -> dict[str, Any]:
    """Name dict-form values: the declared ones in order, then what else the node keeps (but no editor state)."""
    named: dict[str, Any] = {}
    for widget in widgets:
        value = values.get(widget.name, widget.default)
        if widget.sent and value is not MISSING:
            named[widget.name] = value
    unsent = {widget.name for widget in widgets if not widget.sent} | CONTROL_NAMES
    for name, value in values.items():
        if name in named or name in unsent or (isinstance(value, dict) and interface is not None):
            continue
        named[name] = value
    return named


def _fits(widgets: list[Widget], values: tuple[Any, ...]) -> bool:
    """Say whether a type that is only known from its slots has as many values as it has widgets."""
    controls = sum(1 for value in values if isinstance(value, str) and value in CONTROL_MODES)
    return len(widgets) in (len(values), len(values) - controls)
