"""The older interface over a real socket, with the shipped model: pictures, progress, stopping, and what it tells."""

from __future__ import annotations

import base64
import io
import json
import shutil
import socket
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pytest
from PIL import Image
from server_client import ROOT, ServerProcess

from engine.server.security.tokens import Role, add_token, token_file

MODEL = "safelight-emoji-128"
SMALL = {"prompt": "a cat", "steps": 2, "width": 64, "height": 64, "cfg_scale": 4, "seed": 7}
ENDLESS = {**SMALL, "steps": 3000}


@pytest.fixture(scope="module")
def base(tmp_path_factory: Any) -> Path:
    made: Path = tmp_path_factory.mktemp("place")
    for kind in ("checkpoints", "loras", "upscale_models"):
        shutil.copytree(ROOT / "models" / kind, made / "models" / kind)
    return made


@pytest.fixture(scope="module")
def server(base: Path) -> Iterator[ServerProcess]:
    with ServerProcess(base, real=True) as running:
        yield running


def ask(server: ServerProcess, route: str, body: Any, status: int = 200) -> Any:
    code, answer = server.post(f"/sdapi/v1/{route}", body)
    assert code == status, (route, code, answer)
    return answer


def opened(text: str) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(text)))


def pixels(text: str) -> np.ndarray:
    return np.asarray(opened(text).convert("RGB")).astype(int)


def png(image: Image.Image) -> str:
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return base64.b64encode(buffer.getvalue()).decode()


def wait_for(what: Callable[[], Any], seconds: float = 20) -> Any:
    deadline = time.monotonic() + seconds
    while not (found := what()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return found


def in_background(call: Callable[[], Any]) -> Callable[[], Any]:
    """Begin a call in a thread; return what waits for its result."""
    results: list[Any] = []
    thread = threading.Thread(target=lambda: results.append(call()), daemon=True)
    thread.start()

    def result() -> Any:
        thread.join(30)
        return results[0]

    return result


def progress(server: ServerProcess) -> Any:
    return server.get("/sdapi/v1/progress")


def test_pictures_of_a_batch_are_those_of_their_seeds(server: ServerProcess) -> None:
    answer = ask(server, "txt2img", {**SMALL, "batch_size": 2, "n_iter": 2})
    info = json.loads(answer["info"])
    assert len(answer["images"]) == 4 and info["all_seeds"] == [7, 8, 9, 10] and info["seed"] == 7
    assert answer["parameters"] == {**SMALL, "batch_size": 2, "n_iter": 2}
    alone = ask(server, "txt2img", {**SMALL, "seed": 10})["images"][0]
    assert np.array_equal(pixels(alone), pixels(answer["images"][3]))
    assert not np.array_equal(pixels(answer["images"][2]), pixels(answer["images"][3]))
    assert [opened(one).info["parameters"] for one in answer["images"]] == info["infotexts"]
    assert "Seed: 10, Size: 64x64, Model hash: " in info["infotexts"][3] and f"Model: {MODEL}" in info["infotexts"][3]


def test_a_picture_is_that_of_the_plain_workflow_and_its_job_is_in_the_history(
    server: ServerProcess, base: Path
) -> None:
    nodes: dict[str, Any] = {
        "1": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": f"{MODEL}.safetensors"}},
        "2": {"class_type": "CLIPTextEncode", "inputs": {"text": "a cat", "clip": ["1", 1]}},
        "3": {"class_type": "CLIPTextEncode", "inputs": {"text": "dog", "clip": ["1", 1]}},
        "4": {"class_type": "EmptyLatentImage", "inputs": {"width": 64, "height": 64, "batch_size": 1}},
        "5": {
            "class_type": "KSampler",
            "inputs": {"model": ["1", 0], "seed": 7, "steps": 2, "cfg": 4.0, "sampler_name": "dpmpp_2m",
                       "scheduler": "karras", "positive": ["2", 0], "negative": ["3", 0], "latent_image": ["4", 0]},
        },
        "6": {"class_type": "VAEDecode", "inputs": {"samples": ["5", 0], "vae": ["1", 2]}},
        "7": {"class_type": "SaveImage", "inputs": {"images": ["6", 0], "filename_prefix": "plain"}},
    }  # fmt: skip
    status, queued = server.post("/prompt", {"prompt": nodes})
    assert status == 200 and not queued["node_errors"]
    server.wait_idle()
    body = {**SMALL, "negative_prompt": "dog", "sampler_name": "DPM++ 2M", "save_images": True, "send_images": False}
    assert ask(server, "txt2img", body)["images"] == []
    (saved,) = (base / "output" / "txt2img").glob("*.png")
    plain = next((base / "output").glob("plain*.png"))
    assert Image.open(saved).tobytes() == Image.open(plain).tobytes()
    assert Image.open(saved).info["parameters"].startswith("a cat\nNegative prompt: dog\nSteps: 2, Sampler: DPM++ 2M, ")
    newest = list(server.get("/history").values())[-1]
    shown = [one for output in newest["outputs"].values() for one in output["images"]]
    assert shown == [{"filename": saved.name, "subfolder": "txt2img", "type": "output"}]
    told = ask(server, "png-info", {"image": base64.b64encode(plain.read_bytes()).decode()})
    assert told["info"].startswith("a cat\nNegative prompt: dog\nSteps: 2, Sampler: DPM++ 2M, Schedule type: Karras")
    assert told["parameters"]["Size-1"] == "64" and "prompt" in told["items"]


def test_variations_go_from_one_seed_to_another(server: ServerProcess) -> None:
    def drawn(**more: Any) -> np.ndarray:
        return pixels(ask(server, "txt2img", {**SMALL, **more})["images"][0])

    start, end = drawn(), drawn(seed=12)
    near, there = (drawn(subseed=12, subseed_strength=strength) for strength in (0.02, 1))
    assert np.abs(there - end).max() <= 2, "all the way is the other seed, but for rounding"
    assert 0 < np.abs(near - start).mean() < np.abs(end - start).mean() / 3


def test_a_lora_and_a_second_pass(server: ServerProcess) -> None:
    plain = ask(server, "txt2img", SMALL)["images"][0]
    styled = ask(server, "txt2img", {**SMALL, "prompt": f"a cat<lora:{MODEL}-blueprint:1>"})["images"][0]
    assert not np.array_equal(pixels(plain), pixels(styled))
    none = ask(server, "txt2img", {**SMALL, "prompt": f"a cat<lora:{MODEL}-blueprint:0>"})["images"][0]
    assert np.array_equal(pixels(plain), pixels(none))
    for upscaler in ("Latent", "Lanczos"):
        larger = ask(server, "txt2img", {**SMALL, "enable_hr": True, "hr_scale": 1.5, "hr_upscaler": upscaler})
        assert opened(larger["images"][0]).size == (96, 96)
        assert f"Hires upscaler: {upscaler}" in json.loads(larger["info"])["infotexts"][0]


def test_a_picture_is_changed_where_the_mask_says(server: ServerProcess) -> None:
    picture = Image.new("RGB", (96, 64), (200, 160, 40))
    mask = Image.new("L", (96, 64), 0)
    mask.paste(255, (32, 16, 64, 48))
    body = {**SMALL, "init_images": [png(picture)], "width": 96, "height": 64}
    whole = pixels(ask(server, "img2img", body)["images"][0])
    assert whole.shape == (64, 96, 3) and (np.abs(whole - (200, 160, 40)).max(axis=2) > 0).mean() > 0.9
    for full in (True, False):
        answer = ask(
            server, "img2img", {**body, "mask": png(mask), "mask_blur": 2, "inpaint_full_res": full, "width": 64}
        )
        made = pixels(answer["images"][0])
        if full:
            assert made.shape == (64, 96, 3)
            assert np.abs(made[:, :24] - (200, 160, 40)).max() == 0, "what is not masked stays bit for bit"
            assert np.abs(made[20:44, 36:60] - (200, 160, 40)).max() > 20
        else:
            assert made.shape == (64, 64, 3) and np.abs(made[:, :10] - (200, 160, 40)).max() <= 1
        assert ("Inpaint area: Only masked" in json.loads(answer["info"])["infotexts"][0]) == full
        assert answer["parameters"]["init_images"] is None
    ask(server, "img2img", {**SMALL, "init_images": []}, 404)


def test_upscaling_one_and_several(server: ServerProcess) -> None:
    picture = Image.new("RGB", (20, 10), "red")
    picture.paste((0, 0, 255), (10, 0, 20, 10))
    single = ask(server, "extra-single-image", {"image": png(picture), "upscaler_1": "Nearest", "upscaling_resize": 3})
    expected = picture.resize((60, 30), Image.Resampling.NEAREST)
    assert opened(single["image"]).tobytes() == expected.tobytes() and single["html_info"] == ""
    several = ask(server, "extra-batch-images", {
        "imageList": [{"data": png(picture), "name": "a"}, {"data": png(expected), "name": "b"}],
        "upscaler_1": "realesr-animevideov3-x4", "upscaling_resize": 2,
    })  # fmt: skip
    assert [opened(one).size for one in several["images"]] == [(40, 20), (120, 60)]
    ask(server, "extra-single-image", {"image": png(picture), "codeformer_visibility": 1}, 422)
    ask(server, "extra-batch-images", {}, 422)


def test_progress_and_interrupting(server: ServerProcess) -> None:
    result = in_background(lambda: ask(server, "txt2img", {**ENDLESS, "n_iter": 3}))
    seen = wait_for(lambda: (told := progress(server))["current_image"] and told["state"]["sampling_step"] and told)
    assert 0 < seen["progress"] < 0.5 and seen["eta_relative"] > 0 and opened(seen["current_image"]).format == "JPEG"
    assert seen["state"]["sampling_steps"] == 3000 and seen["state"]["job_count"] == 3 and seen["state"]["job_no"] == 0
    assert server.get("/sdapi/v1/progress?skip_current_image=true")["current_image"] is None
    assert len(server.get("/queue")["queue_pending"]) == 2
    ask(server, "interrupt", {})
    answer = result()
    assert answer["images"] == [] and json.loads(answer["info"])["interrupted"] is True
    assert server.get("/prompt")["exec_info"]["queue_remaining"] == 0
    idle = progress(server)
    assert idle["progress"] == 0 and idle["state"]["job_count"] == 0 and idle["current_image"] is None


def test_skipping_goes_on_with_the_next(server: ServerProcess) -> None:
    result = in_background(lambda: ask(server, "txt2img", {**SMALL, "steps": 60, "n_iter": 2, "seed": 900}))
    wait_for(lambda: progress(server)["state"]["sampling_step"])
    ask(server, "skip", {})
    answer = result()
    assert [opened(one).info["parameters"].split("Seed: ")[1][:3] for one in answer["images"]] == ["901"]


def leave(server: ServerProcess, body: dict[str, Any]) -> None:
    """Ask for pictures and go away while they are made."""
    where, text = urlsplit(server.url), json.dumps(body).encode()
    with socket.create_connection((where.hostname, where.port)) as connection:
        head = f"POST /sdapi/v1/txt2img HTTP/1.1\r\nHost: {where.netloc}\r\nContent-Type: application/json\r\n"
        connection.sendall(f"{head}Content-Length: {len(text)}\r\n\r\n".encode() + text)
        wait_for(lambda: progress(server)["state"]["sampling_step"])


def test_who_goes_away_is_not_computed_for_unless_it_is_saved(server: ServerProcess, base: Path) -> None:
    leave(server, ENDLESS)
    server.wait_idle(10)
    assert server.get("/api/jobs?limit=1")["jobs"][0]["status"] == "cancelled"
    leave(server, {**SMALL, "steps": 40, "seed": 55, "save_images": True})
    server.wait_idle(30)
    assert server.get("/api/jobs?limit=1")["jobs"][0]["status"] == "completed"
    assert any("Seed: 55" in Image.open(one).info["parameters"] for one in (base / "output" / "txt2img").glob("*.png"))


def test_a_job_that_is_taken_off_the_queue_ends_its_request(server: ServerProcess) -> None:
    server.post("/queue", {"pause": True})
    result = in_background(lambda: ask(server, "txt2img", SMALL | {"seed": 77}))
    wait_for(lambda: server.get("/queue")["queue_pending"])
    server.post("/queue", {"clear": True})
    assert result()["images"] == []
    server.post("/queue", {"pause": False})


def test_settings_are_kept_and_overridden(server: ServerProcess, base: Path) -> None:
    assert server.get("/sdapi/v1/options")["CLIP_stop_at_last_layers"] == 1
    assert ask(server, "options", {"CLIP_stop_at_last_layers": 2, "sd_model_checkpoint": MODEL}) is None
    kept = json.loads((base / "user" / "sdapi_options.json").read_text())
    assert kept == {"checkpoint": f"{MODEL}.safetensors", "vae": "Automatic", "clip_skip": 2}
    told = json.loads(ask(server, "txt2img", SMALL)["info"])
    assert told["clip_skip"] == 2 and "Clip skip: 2" in told["infotexts"][0]
    over = {"override_settings": {"CLIP_stop_at_last_layers": 1}}
    assert json.loads(ask(server, "txt2img", SMALL | over)["info"])["clip_skip"] == 1
    assert server.get("/sdapi/v1/options")["CLIP_stop_at_last_layers"] == 2
    ask(server, "txt2img", SMALL | over | {"override_settings_restore_afterwards": False})
    assert server.get("/sdapi/v1/options")["CLIP_stop_at_last_layers"] == 1
    ask(server, "options", {"nope": 1}, 422)
    ask(server, "options", {**server.get("/sdapi/v1/options"), "sd_vae": "None"})
    assert server.get("/sdapi/v1/options")["sd_vae"] == "None"


def test_a_token_that_may_run_does_not_change_settings(server: ServerProcess, base: Path) -> None:
    token = add_token(token_file(base / "user"), "runner", Role.RUN)

    def status(route: str, body: Any) -> int:
        headers = {"Content-Type": "application/json", "Authorization": f"Bearer {token}"}
        request = urllib.request.Request(f"{server.url}/sdapi/v1/{route}", json.dumps(body).encode(), headers)
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as error:
            return error.code

    over = {"override_settings": {"CLIP_stop_at_last_layers": 3}}
    assert status("txt2img", SMALL | over) == 200
    assert status("txt2img", SMALL | over | {"override_settings_restore_afterwards": False}) == 403
    assert status("options", {"CLIP_stop_at_last_layers": 3}) == 403
    assert server.get("/sdapi/v1/options")["CLIP_stop_at_last_layers"] == 1


def test_requests_at_the_same_time_get_their_own_pictures(server: ServerProcess) -> None:
    results = [
        in_background(lambda seed=seed: ask(server, "txt2img", SMALL | {"seed": seed})) for seed in range(30, 36)
    ]
    for seed, result in zip(range(30, 36), results, strict=True):
        assert f"Seed: {seed}," in opened(result()["images"][0]).info["parameters"]


def test_a_job_that_fails_is_told(server: ServerProcess, base: Path) -> None:
    broken = base / "models" / "checkpoints" / "broken.safetensors"
    broken.write_bytes(b"no weights")
    over = {"override_settings": {"sd_model_checkpoint": "broken"}}
    detail = ask(server, "txt2img", SMALL | over, 500)["detail"]
    assert "broken.safetensors" in detail and str(base) not in detail
    broken.unlink()


def test_what_there_is(server: ServerProcess) -> None:
    def listed(route: str) -> Any:
        return server.get(f"/sdapi/v1/{route}")

    ask(server, "txt2img", SMALL)
    (model,) = listed("sd-models")
    assert model["title"] == f"{MODEL}.safetensors [{model['hash']}]" and model["sha256"].startswith(model["hash"])
    assert listed("options")["sd_model_checkpoint"] == model["title"]
    assert "Euler a" in [one["name"] for one in listed("samplers")]
    assert "Karras" in [one["label"] for one in listed("schedulers")]
    assert "realesr-animevideov3-x4" in [one["name"] for one in listed("upscalers")]
    assert [one["name"] for one in listed("loras")] == [f"{MODEL}-blueprint"]
    assert listed("latent-upscale-modes")[0] == {"name": "Latent"} and listed("sd-vae") == []
    assert listed("embeddings") == {"loaded": {}, "skipped": {}} and listed("scripts") == {"txt2img": [], "img2img": []}
    for route in ("prompt-styles", "hypernetworks", "face-restorers", "script-info"):
        assert listed(route) == []
    assert listed("cmd-flags")["api"] is True and listed("memory")["ram"]["total"] > 0
    for route in ("refresh-checkpoints", "refresh-vae", "refresh-loras", "refresh-embeddings", "reload-checkpoint"):
        ask(server, route, {})
    ask(server, "unload-checkpoint", {})
    assert "captioning" in ask(server, "interrogate", {"image": "", "model": "clip"}, 422)["detail"]


@pytest.mark.parametrize(
    ("route", "body", "status", "named"),
    [
        ("txt2img", {"steps": 0, "tiling": True}, 422, ["tiling", "steps"]),
        ("txt2img", {"alwayson_scripts": {"controlnet": {"args": []}}}, 422, ["alwayson_scripts"]),
        ("txt2img", {"sampler_name": "Nope"}, 400, "Sampler not found"),
        ("txt2img", [], 422, [""]),
        ("png-info", {"image": "aGVsbG8="}, 422, ["image"]),
        ("png-info", {}, 422, ["image"]),
    ],
)
def test_what_cannot_be_done_is_refused(server: ServerProcess, route: str, body: Any, status: int, named: Any) -> None:
    detail = ask(server, route, body, status)["detail"]
    if isinstance(named, str):
        assert named in detail
    else:
        assert [one["loc"][-1] for one in detail] == named
