"""A program of somebody's: ``URL WORKFLOW FOLDER``. Runs a workflow once over each of the two ways that there are."""

import asyncio
import sys
from pathlib import Path

import aiohttp
from comfykit import ComfyKit

url, workflow, folder = sys.argv[1:]


async def main() -> None:
    found = []
    for way in ("websocket", "http"):
        result = await ComfyKit(comfyui_url=url, executor_type=way).execute(workflow)
        assert result.status == "completed", (way, result)
        assert result.images, (way, result)
        found += result.images
    async with aiohttp.ClientSession() as session:
        for number, address in enumerate(found):
            async with session.get(address, raise_for_status=True) as answer:
                (Path(folder) / f"{number}.png").write_bytes(await answer.read())


asyncio.run(main())
