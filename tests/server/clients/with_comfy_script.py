"""A program of somebody's: ``URL WORKFLOW FOLDER``. Makes functions of all nodes that there are and calls them."""

import sys
from pathlib import Path

from comfy_script.runtime import Workflow, load

url, _, folder = sys.argv[1:]
load(url)

from comfy_script.runtime.nodes import (  # noqa: E402 (made by load)
    CheckpointLoaderSimple,
    CLIPTextEncode,
    EmptyLatentImage,
    KSampler,
    SaveImage,
    VAEDecode,
)

with Workflow(wait=True):
    model, clip, vae = CheckpointLoaderSimple("safelight-emoji-128.safetensors")
    latent = EmptyLatentImage(128, 128, 1)
    apple, nothing = CLIPTextEncode("a red apple", clip), CLIPTextEncode("", clip)
    latent = KSampler(model, 5, 2, 4.0, "euler", "karras", apple, nothing, latent, 1.0)
    result = SaveImage(VAEDecode(latent, vae), "clients")
for number, image in enumerate(result.wait()):
    image.save(Path(folder) / f"{number}.png")
