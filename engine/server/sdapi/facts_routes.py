"""The routes that say what there is: models, samplers, settings, what a picture carries; and those that do little."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, Final

from aiohttp import web

from engine.server.machine import memory_bytes
from engine.server.sdapi.options import changed_options, shown_options
from engine.server.sdapi.parameters import as_fields, read_parameters
from engine.server.sdapi.pictures import decode_base64, texts_in
from engine.server.sdapi.recipes import parameters_of
from engine.server.sdapi.refusals import Refused, refuse_field
from engine.server.sdapi.requests import LATENT_UPSCALERS
from engine.server.sdapi.samplers import AUTOMATIC, SAMPLER_NAMES, SCHEDULE_LABELS
from engine.server.sdapi.shared import in_its_words, read_fields, shared_of
from engine.server.sdapi.shelf import Shelf, lora_entry, stem_of
from engine.server.state import Route, answer_json, state_of

SECOND_ORDER: Final = frozenset(
    {"heun", "dpm_2", "dpm_2_ancestral", "dpmpp_sde", "dpmpp_2s_ancestral", "dpmpp_2m_sde_heun"}
)


async def get_samplers(request: web.Request) -> web.StreamResponse:
    """List the samplers."""
    found = []
    for one in SAMPLER_NAMES:
        options = {"scheduler": one.automatic}
        if one.name in SECOND_ORDER:
            options["second_order"] = "True"
        found.append({"name": one.label, "aliases": [*one.aliases, one.name], "options": options})
    return answer_json(found)


async def get_schedulers(request: web.Request) -> web.StreamResponse:
    """List the schedules."""
    labels = {AUTOMATIC: "automatic", **SCHEDULE_LABELS}
    return answer_json(
        [
            {"name": name, "label": label, "aliases": None, "default_rho": 7.0 if name == "karras" else -1.0,
             "need_inner_model": False}
            for label, name in labels.items()
        ]
    )  # fmt: skip


async def get_upscalers(request: web.Request) -> web.StreamResponse:
    """List the upscalers: resampling first, then the files of models."""
    names = await _listed(request, "upscale_models")
    plain = [{"name": name, "model_name": None, "model_path": None, "model_url": None, "scale": 4}
             for name in ("None", "Lanczos", "Nearest")]  # fmt: skip
    models = [{"name": stem_of(name), "model_name": name, "model_path": name, "model_url": None, "scale": 4}
              for name in names]  # fmt: skip
    return answer_json([*plain, *models])


async def get_latent_modes(request: web.Request) -> web.StreamResponse:
    """List the ways to enlarge latents."""
    return answer_json([{"name": name} for name in LATENT_UPSCALERS])


async def get_models(request: web.Request) -> web.StreamResponse:
    """List the checkpoints."""
    return answer_json(await asyncio.to_thread(shared_of(request).shelf.checkpoints))


async def get_vaes(request: web.Request) -> web.StreamResponse:
    """List the VAEs that are files of their own."""
    names = await _listed(request, "vae")
    return answer_json([{"model_name": name, "filename": name} for name in names])


async def get_loras(request: web.Request) -> web.StreamResponse:
    """List the LoRAs, with what their headers say."""
    shelf = shared_of(request).shelf
    return answer_json(await asyncio.to_thread(lambda: [lora_entry(shelf, name) for name in shelf.files("loras")]))


async def get_embeddings(request: web.Request) -> web.StreamResponse:
    """List the embeddings; whether one fits is only known with a model, so none is skipped here."""
    names = await _listed(request, "embeddings")
    nothing = {"step": None, "sd_checkpoint": None, "sd_checkpoint_name": None, "shape": 0, "vectors": 0}
    return answer_json({"loaded": {stem_of(name): nothing for name in names}, "skipped": {}})


async def get_styles(request: web.Request) -> web.StreamResponse:
    """List the styles of ``user/styles.csv``."""
    styles = await asyncio.to_thread(shared_of(request).shelf.styles)
    return answer_json(
        [{"name": one.name, "prompt": one.prompt, "negative_prompt": one.negative_prompt} for one in styles]
    )


async def _listed(request: web.Request, folder: str) -> tuple[str, ...]:
    return await asyncio.to_thread(shared_of(request).shelf.files, folder)


async def get_nothing(request: web.Request) -> web.StreamResponse:
    """List what there is none of."""
    return answer_json([])


async def get_scripts(request: web.Request) -> web.StreamResponse:
    """List scripts: there are none."""
    return answer_json({"txt2img": [], "img2img": []})


async def get_options(request: web.Request) -> web.StreamResponse:
    """Return the settings."""
    shared = shared_of(request)
    return answer_json(await asyncio.to_thread(lambda: shown_options(shared.options, shared.shelf)))


@in_its_words
async def post_options(request: web.Request) -> web.StreamResponse:
    """Change settings: all that are sent, or none."""
    shared, changes = shared_of(request), await read_fields(request)
    options = await asyncio.to_thread(lambda: changed_options(shared.options, changes, shared.shelf))
    await asyncio.to_thread(shared.keep, options)
    return answer_json(None)


async def get_flags(request: web.Request) -> web.StreamResponse:
    """Return how the server was started, as far as clients of this interface ask."""
    options = state_of(request).options
    return answer_json(
        {"api": True, "nowebui": True, "port": options.port, "device": state_of(request).settings.device}
    )


async def get_memory(request: web.Request) -> web.StreamResponse:
    """Say how much memory there is."""
    total, free = memory_bytes()
    worker = state_of(request).supervisor.status()
    return answer_json(
        {
            "ram": {"free": free, "used": total - free, "total": total, "worker": worker.held_bytes or 0},
            "cuda": {"error": "not measured here; GET /system_stats tells of the device"},
        }
    )


@in_its_words
async def post_png_info(request: web.Request) -> web.StreamResponse:
    """Read what a picture says about how it was made; of a simple workflow without such a text one is written."""
    body = await read_fields(request)
    image = body.get("image")
    if not isinstance(image, str) or not image:
        raise refuse_field("image", "a picture as base64 is expected")
    data = decode_base64(image, "image")
    return answer_json(await asyncio.to_thread(_picture_facts, data, shared_of(request).shelf))


def _picture_facts(data: bytes, shelf: Shelf) -> Mapping[str, Any]:
    texts = texts_in(data, "image")
    info = texts.pop("parameters", "") or parameters_of(texts.get("prompt", "")) or ""
    fields = as_fields(read_parameters(info)) if info else {}
    return {"info": info, "items": {**({"parameters": info} if info else {}), **texts}, "parameters": fields}


async def post_refresh(request: web.Request) -> web.StreamResponse:
    """Do nothing: folders are looked at whenever somebody asks."""
    return answer_json(None)


async def post_unload(request: web.Request) -> web.StreamResponse:
    """Let go of weights, between two jobs."""
    state_of(request).supervisor.free(models=True, cache=False)
    return answer_json({})


async def post_reload(request: web.Request) -> web.StreamResponse:
    """Do nothing: weights are loaded when a job needs them."""
    return answer_json({})


@in_its_words
async def post_interrogate(request: web.Request) -> web.StreamResponse:
    """Refuse: there is no model here that describes pictures."""
    raise Refused(422, "Pictures are not described here: no captioning model is supported")


NOT_HERE: Final = {422: "not supported"}
ROUTES: Final = (
    Route("GET", "/sdapi/v1/samplers", get_samplers, "The samplers", twin=False),
    Route("GET", "/sdapi/v1/schedulers", get_schedulers, "The schedules", twin=False),
    Route("GET", "/sdapi/v1/upscalers", get_upscalers, "The upscalers", twin=False),
    Route("GET", "/sdapi/v1/latent-upscale-modes", get_latent_modes, "Ways to enlarge latents", twin=False),
    Route("GET", "/sdapi/v1/sd-models", get_models, "The checkpoints", twin=False),
    Route("GET", "/sdapi/v1/sd-vae", get_vaes, "The VAEs", twin=False),
    Route("GET", "/sdapi/v1/loras", get_loras, "The LoRAs", twin=False),
    Route("GET", "/sdapi/v1/embeddings", get_embeddings, "The embeddings", twin=False),
    Route("GET", "/sdapi/v1/prompt-styles", get_styles, "The styles", twin=False),
    Route("GET", "/sdapi/v1/hypernetworks", get_nothing, "The hypernetworks: none", twin=False),
    Route("GET", "/sdapi/v1/face-restorers", get_nothing, "What restores faces: nothing", twin=False),
    Route("GET", "/sdapi/v1/script-info", get_nothing, "Scripts: none", twin=False),
    Route("GET", "/sdapi/v1/scripts", get_scripts, "Scripts: none", twin=False),
    Route("GET", "/sdapi/v1/options", get_options, "The settings", twin=False),
    Route(
        "POST", "/sdapi/v1/options", post_options, "Change settings", body={"type": "object"},
        answers={422: "detail names the settings that cannot be so"}, twin=False,
    ),
    Route("GET", "/sdapi/v1/cmd-flags", get_flags, "How the server was started", twin=False),
    Route("GET", "/sdapi/v1/memory", get_memory, "How much memory there is", twin=False),
    Route(
        "POST", "/sdapi/v1/png-info", post_png_info, "What a picture says about itself",
        body={"type": "object", "required": ["image"], "properties": {"image": {"type": "string"}}},
        answers={422: "it is no picture"}, twin=False,
    ),
    Route("POST", "/sdapi/v1/refresh-checkpoints", post_refresh, "Nothing to do", twin=False),
    Route("POST", "/sdapi/v1/refresh-vae", post_refresh, "Nothing to do", twin=False),
    Route("POST", "/sdapi/v1/refresh-loras", post_refresh, "Nothing to do", twin=False),
    Route("POST", "/sdapi/v1/refresh-embeddings", post_refresh, "Nothing to do", twin=False),
    Route("POST", "/sdapi/v1/unload-checkpoint", post_unload, "Let go of weights", twin=False),
    Route("POST", "/sdapi/v1/reload-checkpoint", post_reload, "Nothing to do", twin=False),
    Route("POST", "/sdapi/v1/interrogate", post_interrogate, "Refused", answers=NOT_HERE, twin=False),
)  # fmt: skip
