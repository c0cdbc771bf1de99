"""A program of somebody's: ``URL WORKFLOW FOLDER``. Asks what there is, changes inputs by title, waits, saves."""

import sys
from pathlib import Path

from comfy_api_simplified import ComfyApiWrapper, ComfyWorkflowWrapper

url, workflow, folder = sys.argv[1:]
api = ComfyApiWrapper(url)
assert api.get_system_stats()["devices"]
assert "KSampler" in api.get_object_info() and list(api.get_object_info("VAEDecode")) == ["VAEDecode"]
assert isinstance(api.get_embeddings(), list)
graph = ComfyWorkflowWrapper(workflow)
graph.set_node_param("KSampler", "steps", 2)
graph.set_node_param("Prompt", "text", "a green pear")
found = api.queue_and_wait_images(graph, "Save Image")
assert found and api.get_queue() == {"queue_running": [], "queue_pending": []}
for name, data in found.items():
    (Path(folder) / Path(name).name).write_bytes(data)
# What it fetched is an input of the next workflow.
sent = api.upload_image(str(next(Path(folder).glob("*.png"))), "clients")
assert sent["subfolder"] == "clients" and sent["type"] == "input"
api.interrupt()
