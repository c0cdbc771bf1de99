"""A small catalogue of node types and short ways to write documents, for the tests beside this file."""

from __future__ import annotations

from typing import Any

from engine.graph.interfaces import Interfaces
from engine.graph.model import Graph
from engine.graph.node_types import MISSING, FolderChoices, NodeType, Output, Parameter
from engine.graph.registry import EMPTY_REGISTRY, Registry

SAMPLERS = ("euler", "heun", "dpmpp_2m")


def socket(name: str, type: str, required: bool = True) -> Parameter:
    return Parameter(name, type, required=required)


def kind(id: str, inputs: list[Parameter], outputs: list[str], **more: Any) -> NodeType:
    slots = tuple(Output(one, one) for one in outputs)
    more.setdefault("display_name", id)
    return NodeType(id=id, category="test", inputs=tuple(inputs), outputs=slots, run=None, version="1", **more)


SEED = Parameter("seed", "INT", minimum=0, maximum=2**64 - 1, default=0, control_after_generate=True)
STEPS = Parameter("steps", "INT", minimum=1, maximum=100, default=20)

TYPES = [
    kind("Load", [Parameter("file", "COMBO", choices=FolderChoices("checkpoints"))], ["MODEL", "CLIP", "VAE"]),
    kind(
        "Lora",
        [
            socket("model", "MODEL"),
            socket("clip", "CLIP"),
            Parameter("strength", "FLOAT", default=1.0, minimum=-10, maximum=10),
        ],
        ["MODEL", "CLIP"],
    ),
    kind("Encode", [Parameter("text", "STRING", multiline=True), socket("clip", "CLIP")], ["CONDITIONING"]),
    kind(
        "Empty",
        [
            Parameter("width", "INT", default=512, minimum=16, maximum=4096),
            Parameter("height", "INT", default=512, minimum=16, maximum=4096),
        ],
        ["LATENT"],
    ),
    kind(
        "Sample",
        [
            socket("model", "MODEL"),
            SEED,
            STEPS,
            Parameter("cfg", "FLOAT", minimum=0, maximum=30),
            Parameter("sampler", "COMBO", choices=SAMPLERS),
            socket("positive", "CONDITIONING"),
            socket("latent", "LATENT"),
        ],
        ["LATENT"],
    ),
    kind("Upscale", [socket("latent", "LATENT"), socket("mask", "MASK", required=False)], ["LATENT"]),
    kind("Decode", [socket("samples", "LATENT"), socket("vae", "VAE")], ["IMAGE"]),
    kind("Blend", [socket("a", "IMAGE"), socket("b", "IMAGE")], ["IMAGE", "MASK"]),
    kind("ToMask", [socket("image", "IMAGE")], ["MASK"]),
    kind("Picture", [Parameter("image", "COMBO", choices=FolderChoices("input"), image_upload=True)], ["IMAGE"]),
    kind(
        "Flags",
        [
            Parameter("on", "BOOLEAN", default=True),
            Parameter("name", "STRING", default=""),
            Parameter("weights", "*", required=False),
            Parameter("size", "INT", required=False, default=MISSING, force_input=True),
        ],
        ["INT"],
    ),
    kind(
        "Save",
        [socket("images", "IMAGE"), Parameter("prefix", "STRING", default="out")],
        [],
        output_node=True,
        display_name="Save Picture",
    ),
]

REGISTRY: Registry = EMPTY_REGISTRY.with_types(TYPES)
INTERFACES = Interfaces.from_registry(REGISTRY)
FILES = {"checkpoints": ["a.safetensors", "sub/b.safetensors"], "input": ["cat.png"], "output": ["made.png"]}


def listing(folder: str) -> list[str]:
    return FILES.get(folder, [])


def api(**changes: dict[str, Any]) -> dict[str, Any]:
    """A whole prompt in order; ``changes`` are further or replaced entries by id (``n7`` is id 7)."""
    prompt = {
        "1": entry("Load", file="a.safetensors"),
        "2": entry("Encode", "Positive", text="a cat", clip=["1", 1]),
        "3": entry("Empty", width=512, height=512),
        "4": entry(
            "Sample",
            "First pass",
            model=["1", 0],
            seed=1,
            steps=20,
            cfg=7.0,
            sampler="euler",
            positive=["2", 0],
            latent=["3", 0],
        ),
        "5": entry("Decode", samples=["4", 0], vae=["1", 2]),
        "6": entry("Save", images=["5", 0], prefix="x"),
    }
    prompt.update({id.removeprefix("n"): one for id, one in changes.items()})
    return prompt


def entry(type: str, title: str | None = None, **inputs: Any) -> dict[str, Any]:
    meta = {"_meta": {"title": title}} if title else {}
    return {"class_type": type, "inputs": inputs, **meta}


class Drawing:
    """Draws an editor document: ``add`` places nodes, ``wire`` joins them. ``objects`` writes links as version 1."""

    def __init__(self, *, objects: bool = False) -> None:
        self.nodes: list[dict[str, Any]] = []
        self.links: list[Any] = []
        self.objects = objects

    def add(self, id: Any, type: str, values: Any = None, **more: Any) -> dict[str, Any]:
        node = {"id": id, "type": type, "mode": more.pop("mode", 0), "inputs": [], "outputs": [], **more}
        if values is not None:
            node["widgets_values"] = values
        known = REGISTRY.get(type)
        if known is not None:
            node["inputs"] = [{"name": p.name, "type": p.type, "link": None} for p in known.inputs if not p.is_widget]
            node["outputs"] = [{"name": one.name, "type": one.type, "links": None} for one in known.outputs]
        if type == "Reroute":
            node["inputs"], node["outputs"] = [{"name": "", "type": "*", "link": None}], [{"name": "", "type": "*"}]
        if type == "PrimitiveNode":
            node["outputs"] = [{"name": "value", "type": "INT"}]
        self.nodes.append(node)
        return node

    def wire(self, origin: Any, slot: int, target: Any, input: str, type: str = "*") -> int:
        """Join output ``slot`` of ``origin`` to ``input`` of ``target``, made a widget input where it is a widget."""
        node = next(one for one in self.nodes if one["id"] == target)
        slots = node["inputs"]
        found = next((one for one in slots if one["name"] == input), None)
        if found is None:
            known = REGISTRY.get(node["type"])
            kind = known.by_name[input].type if known and input in known.by_name else type
            found = {"name": input, "type": kind, "widget": {"name": input}}
            slots.append(found)
        return self._link(origin, slot, target, slots.index(found), found)

    def _link(self, origin: Any, slot: int, target: Any, place: int, found: dict[str, Any] | None) -> int:
        id = len(self.links) + 1
        if found is not None:
            found["link"] = id
        one = [id, origin, slot, target, place, "*"]
        keys = ("id", "origin_id", "origin_slot", "target_id", "target_slot", "type")
        self.links.append(dict(zip(keys, one, strict=True)) if self.objects else one)
        return id

    def leave(self, origin: Any, slot: int, output: int = 0) -> None:
        """Join a node (or -10, the input side) of a subgraph to its output side."""
        self._link(origin, slot, -20, output, None)

    def document(self, **more: Any) -> dict[str, Any]:
        version = {"version": 1, "state": {}} if self.objects else {"version": 0.4}
        return {**version, "nodes": self.nodes, "links": self.links, **more}

    def subgraph(self, id: str, inputs: list[str], outputs: list[str], **more: Any) -> dict[str, Any]:
        """Return what was drawn as a definition, to stand in ``definitions.subgraphs``."""
        return {
            "id": id,
            "version": 1,
            "name": more.pop("name", id),
            "inputNode": {"id": -10},
            "outputNode": {"id": -20},
            "inputs": [{"name": name, "type": "*"} for name in inputs],
            "outputs": [{"name": name, "type": "*"} for name in outputs],
            "nodes": self.nodes,
            "links": self.links,
            **more,
        }


def inputs_of(graph: Graph, id: str) -> dict[str, Any]:
    """The inputs of a node as the API prompt writes them."""
    from engine.graph.api_prompt import graph_to_api

    return graph_to_api(graph)[id]["inputs"]
