"""A program of somebody's: ``URL WORKFLOW FOLDER``. Runs a workflow as the API has it, waiting and in a loop."""

import asyncio
import sys
from pathlib import Path

from comfyuiclient import ComfyUIClient, ComfyUIClientAsync

url, workflow, folder = sys.argv[1:]
address = url.removeprefix("http://")


def save(found: dict, name: str) -> None:
    assert list(found) == ["Save Image"], found
    found["Save Image"].save(Path(folder) / f"{name}.png")


client = ComfyUIClient(address, workflow)
client.connect()
client.set_data(key="KSampler", seed=11)
save(client.generate(["Save Image"]), "waiting")
client.close()


async def main() -> None:
    client = ComfyUIClientAsync(address, workflow)
    await client.connect()
    await client.set_data(key="KSampler", seed=12)
    save(await client.generate(["Save Image"]), "loop")
    await client.close()


asyncio.run(main())
