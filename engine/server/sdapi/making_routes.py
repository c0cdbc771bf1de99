"""The routes that make pictures, say how far they are, and stop them."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Mapping
from typing import Any, Final

from aiohttp import web

from engine.server.rooms import folders_of, interrupt_of, user_of, viewer_of
from engine.server.sdapi.extras import read_enlarging
from engine.server.sdapi.generations import Made, Progress
from engine.server.sdapi.pictures import as_base64
from engine.server.sdapi.preparing import prepare_order
from engine.server.sdapi.refusals import Refused, refuse_field
from engine.server.sdapi.requests import Order, read_order
from engine.server.sdapi.shared import in_its_words, is_gone, read_fields, shared_of
from engine.server.sdapi.templates import enlarged_pictures
from engine.server.security import Role, identity_of
from engine.server.security.answers import without_paths
from engine.server.state import Route, answer_json, state_of


@in_its_words
async def post_txt2img(request: web.Request) -> web.StreamResponse:
    """Draw pictures from a prompt and wait for them."""
    return await _make(request, read_order(await read_fields(request), picture=False))


@in_its_words
async def post_img2img(request: web.Request) -> web.StreamResponse:
    """Change pictures, or what a mask leaves open of them, and wait for the result."""
    return await _make(request, read_order(await read_fields(request), picture=True))


async def _make(request: web.Request, order: Order) -> web.StreamResponse:
    shared, state = shared_of(request), state_of(request)
    shelf, user = shared.shelf_of(folders_of(request)), user_of(request)
    prepared = await asyncio.to_thread(prepare_order, order, shelf, shared.options)
    if order.keep_overrides and prepared.options != shared.options:
        if identity_of(request).role < Role.ADMIN:  # as for the route that changes settings
            raise Refused(403, "keeping override_settings needs the role admin; leave them to be restored afterwards")
        await asyncio.to_thread(shared.keep, prepared.options)
    made = await shared.generations.run(
        state, prepared.workflows, is_gone(request), goes_on=order.save_pictures, user=user
    )
    _raise_failed(made)
    info = {**prepared.info, "job_timestamp": time.strftime("%Y%m%d%H%M%S"), "interrupted": made.interrupted}
    pictures = [as_base64(one) for one in made.pictures if one is not None] if order.send_pictures else []
    echo = dict(order.echo)
    if order.painting is not None:
        kept = list(order.painting.pictures) if order.painting.include_pictures else None
        echo |= {"init_images": kept, "mask": order.painting.mask or None if kept else None}
    return await _answer({"images": pictures, "parameters": echo, "info": json.dumps(info)})


def _raise_failed(made: Made) -> None:
    if made.error is not None and not any(made.pictures):
        raise Refused(500, without_paths(made.error))


async def _answer(value: Any) -> web.StreamResponse:
    text = await asyncio.to_thread(json.dumps, value)
    return web.Response(body=text.encode(), content_type="application/json", charset="utf-8")


@in_its_words
async def post_extra_single(request: web.Request) -> web.StreamResponse:
    """Enlarge a picture."""
    body = await read_fields(request)
    image = body.get("image")
    pictures = await _enlarge(request, body, [image] if image else [], "image")
    return await _answer({"html_info": "", "image": pictures[0]})


@in_its_words
async def post_extra_batch(request: web.Request) -> web.StreamResponse:
    """Enlarge several pictures."""
    body = await read_fields(request)
    listed = body.get("imageList")
    if not isinstance(listed, list) or not all(isinstance(one, Mapping) for one in listed):
        raise refuse_field("imageList", "a list of {data, name} is expected")
    pictures = await _enlarge(request, body, [one.get("data") for one in listed], "imageList")
    return await _answer({"html_info": "", "images": pictures})


async def _enlarge(request: web.Request, body: Mapping[str, Any], pictures: list[Any], field: str) -> list[str]:
    shared, state = shared_of(request), state_of(request)
    wanted = await asyncio.to_thread(read_enlarging, body, pictures, field, shared.shelf_of(folders_of(request)))
    made = await shared.generations.run(state, [enlarged_pictures(wanted)], is_gone(request), user=user_of(request))
    _raise_failed(made)
    if None in made.pictures:
        raise Refused(500, made.error or "the job was interrupted")
    return [as_base64(one) for one in made.pictures if one is not None]


async def get_progress(request: web.Request) -> web.StreamResponse:
    """Say how far the request is whose job runs, with the newest preview."""
    found = shared_of(request).generations.current(viewer_of(request))
    if found is None:
        return answer_json({**_IDLE, "state": _state_of(None)})
    share = found.fraction()
    passed = time.time() - found.began
    picture = None
    if found.preview is not None and request.query.get("skip_current_image", "").lower() not in ("true", "1"):
        picture = as_base64(found.preview)
    return answer_json(
        {
            "progress": share,
            "eta_relative": max(passed / share - passed, 0.0),
            "state": _state_of(found),
            "current_image": picture,
            "textinfo": None if found.running else "Waiting...",
        }
    )


_IDLE: Final = {"progress": 0.0, "eta_relative": 0.0, "current_image": None, "textinfo": None}


def _state_of(found: Progress | None) -> dict[str, Any]:
    step, steps = (0, 0) if found is None else found.position()
    began = time.localtime(None if found is None else found.began)
    return {
        "skipped": bool(found and found.skipped),
        "interrupted": bool(found and found.interrupted),
        "stopping_generation": False,
        "job": found.running or "" if found else "",
        "job_count": len(found.plan) if found else 0,
        "job_timestamp": time.strftime("%Y%m%d%H%M%S", began) if found else "0",
        "job_no": len(found.ended) if found else 0,
        "sampling_step": step,
        "sampling_steps": steps,
    }


async def post_interrupt(request: web.Request) -> web.StreamResponse:
    """Stop the request whose job runs, with all its iterations; without one, whatever job runs."""
    viewer, desk = viewer_of(request), state_of(request).desk
    found = shared_of(request).generations.current(viewer)
    if found is None:
        interrupt_of(desk, viewer, None)
    else:
        found.interrupted = True
        for job in reversed(found.jobs):  # the one that runs comes last, so that none begins in its place
            if job not in found.ended:
                await desk.cancel(job)
    return answer_json({})


async def post_skip(request: web.Request) -> web.StreamResponse:
    """Stop the iteration that runs and go on with the next."""
    found, desk = shared_of(request).generations.current(viewer_of(request)), state_of(request).desk
    if found is not None and found.running is not None:
        found.skipped = True
        desk.interrupt(found.running)
    return answer_json({})


ORDER_BODY: Final = {
    "type": "object",
    "properties": {
        "prompt": {"type": "string", "default": ""},
        "negative_prompt": {"type": "string", "default": ""},
        "styles": {"type": "array", "items": {"type": "string"}},
        "seed": {"type": "integer", "default": -1, "minimum": -1},
        "steps": {"type": "integer", "default": 50, "minimum": 1},
        "cfg_scale": {"type": "number", "default": 7},
        "width": {"type": "integer", "default": 512, "multipleOf": 8},
        "height": {"type": "integer", "default": 512, "multipleOf": 8},
        "batch_size": {"type": "integer", "default": 1, "minimum": 1},
        "n_iter": {"type": "integer", "default": 1, "minimum": 1},
        "sampler_name": {"type": "string", "default": "Euler"},
        "scheduler": {"type": "string", "default": "Automatic"},
        "denoising_strength": {"type": "number", "default": 0.75},
        "override_settings": {"type": "object"},
        "send_images": {"type": "boolean", "default": True},
        "save_images": {"type": "boolean", "default": False},
    },
}
SECOND_PASS: Final = {
    "enable_hr": {"type": "boolean", "default": False},
    "hr_scale": {"type": "number", "default": 2},
    "hr_upscaler": {"type": "string", "default": "Latent"},
    "hr_second_pass_steps": {"type": "integer", "default": 0},
    "hr_resize_x": {"type": "integer", "default": 0},
    "hr_resize_y": {"type": "integer", "default": 0},
}
PAINTING: Final = {
    "init_images": {"type": "array", "items": {"type": "string"}},
    "resize_mode": {"type": "integer", "default": 0},
    "mask": {"type": "string"},
    "mask_blur": {"type": "integer", "default": 4},
    "inpainting_fill": {"type": "integer", "default": 0},
    "inpaint_full_res": {"type": "boolean", "default": True},
    "inpaint_full_res_padding": {"type": "integer", "default": 0},
    "inpainting_mask_invert": {"type": "integer", "default": 0},
}


def _with(more: Mapping[str, Any]) -> dict[str, Any]:
    properties: Any = ORDER_BODY["properties"]
    return {"type": "object", "properties": {**properties, **more}}


MAKES: Final = {
    400: "there is no such sampler or schedule",
    422: "detail lists the fields that cannot be meant or done",
    429: "the queue is full",
}
EXTRAS_BODY: Final = {
    "type": "object",
    "properties": {
        "image": {"type": "string"},
        "upscaler_1": {"type": "string"},
        "upscaling_resize": {"type": "number", "default": 2},
    },
}

ROUTES: Final = (
    Route(
        "POST", "/sdapi/v1/txt2img", post_txt2img, "Draw pictures and wait for them", body=_with(SECOND_PASS),
        answers=MAKES, twin=False,
    ),
    Route(
        "POST", "/sdapi/v1/img2img", post_img2img, "Change pictures and wait for them", body=_with(PAINTING),
        answers={**MAKES, 404: "there is no picture to change"}, twin=False,
    ),
    Route(
        "POST", "/sdapi/v1/extra-single-image", post_extra_single, "Enlarge a picture", body=EXTRAS_BODY,
        answers=MAKES, twin=False,
    ),
    Route(
        "POST", "/sdapi/v1/extra-batch-images", post_extra_batch, "Enlarge several pictures",
        body={"type": "object", "properties": {"imageList": {"type": "array", "items": {"type": "object"}}}},
        answers=MAKES, twin=False,
    ),
    Route(
        "GET", "/sdapi/v1/progress", get_progress, "How far the request is",
        query={"skip_current_image": "true leaves the preview out"}, twin=False,
    ),
    Route("POST", "/sdapi/v1/interrupt", post_interrupt, "Stop the request that runs", twin=False),
    Route("POST", "/sdapi/v1/skip", post_skip, "Go on with the next iteration", twin=False),
)  # fmt: skip
