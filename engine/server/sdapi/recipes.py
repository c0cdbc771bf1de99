"""The settings of a simple workflow as such a text: one sampler over one checkpoint with two prompts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from engine.errors import DocumentError
from engine.graph.api_prompt import is_link
from engine.graph.strict_json import parse_text
from engine.server.sdapi.parameters import write_parameters
from engine.server.sdapi.samplers import KNOWN, OURS, SCHEDULE_LABELS
from engine.server.sdapi.shelf import stem_of

SAMPLERS: Final = ("KSampler", "KSamplerAdvanced")
THROUGH: Final[Mapping[str, str]] = {"LoraLoader": "model", "LoraLoaderModelOnly": "model"}
MOST_NODES: Final = 1000


def parameters_of(text: str) -> str | None:
    """Return the text for an API prompt (JSON), or None where it is more than one sampler can say."""
    try:
        prompt = parse_text(text, "the workflow")
    except DocumentError:
        return None
    if not isinstance(prompt, Mapping) or len(prompt) > MOST_NODES:
        return None
    nodes = {
        id: node for id, node in prompt.items() if isinstance(node, Mapping) and isinstance(_inputs(node), Mapping)
    }
    samplers = [node for node in nodes.values() if node.get("class_type") in SAMPLERS]
    if len(samplers) != 1 or len(nodes) != len(prompt):
        return None
    sampler = _inputs(samplers[0])
    positive, negative = _text(nodes, sampler.get("positive")), _text(nodes, sampler.get("negative"))
    if positive is None or negative is None:
        return None
    values = [sampler.get(name) for name in ("steps", "sampler_name", "scheduler", "cfg")]
    if any(value is None or is_link(value) for value in values):
        return None
    return write_parameters(positive, negative, _settings(nodes, sampler))


def _settings(nodes: Mapping[str, Any], sampler: Mapping[str, Any]) -> dict[str, Any]:
    seed = sampler.get("seed", sampler.get("noise_seed"))
    model = _model(nodes, sampler.get("model"))
    source = _node(nodes, sampler.get("latent_image"))
    size = _inputs(source) if source is not None and source.get("class_type") == "EmptyLatentImage" else {}
    sides = size.get("width"), size.get("height")
    denoise = sampler.get("denoise", 1.0)
    labels = {one.name: one.label for one in (*KNOWN, *OURS)}
    schedules = {name: label for label, name in reversed(list(SCHEDULE_LABELS.items()))}
    return {
        "Steps": sampler["steps"],
        "Sampler": labels.get(str(sampler["sampler_name"]), sampler["sampler_name"]),
        "Schedule type": schedules.get(str(sampler["scheduler"]), sampler["scheduler"]),
        "CFG scale": sampler["cfg"],
        "Seed": None if is_link(seed) else seed,
        "Size": f"{sides[0]}x{sides[1]}" if all(isinstance(side, int) for side in sides) else None,
        "Model": None if model is None else stem_of(model),
        "Denoising strength": None if is_link(denoise) or denoise == 1.0 else denoise,
        "RNG": "CPU",
    }


def _inputs(node: Mapping[str, Any]) -> Mapping[str, Any]:
    found = node.get("inputs", {})
    return found if isinstance(found, Mapping) else {}


def _node(nodes: Mapping[str, Any], link: Any) -> Mapping[str, Any] | None:
    return nodes.get(link[0]) if is_link(link) else None


def _text(nodes: Mapping[str, Any], link: Any) -> str | None:
    """Return the prompt that a conditioning comes from, if it is a plain one."""
    node = _node(nodes, link)
    if node is None or node.get("class_type") != "CLIPTextEncode":
        return None
    text = _inputs(node).get("text")
    return text if isinstance(text, str) else None


def _model(nodes: Mapping[str, Any], link: Any) -> str | None:
    """Return the checkpoint at the end of a chain of LoRAs."""
    for _ in range(MOST_NODES):
        node = _node(nodes, link)
        if node is None:
            return None
        kind = str(node.get("class_type"))
        if kind == "CheckpointLoaderSimple":
            name = _inputs(node).get("ckpt_name")
            return name if isinstance(name, str) else None
        if kind not in THROUGH:
            return None
        link = _inputs(node).get(THROUGH[kind])
    return None
