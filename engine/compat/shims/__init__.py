"""The modules that packs import, each over our own engine. Thin: what is missing says so by name.

`MODULES` maps the names that packs use to the files here. `engine.compat.importing` puts them in place when the first
pack is loaded, and only then.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

_HERE = "engine.compat.shims"

MODULES: Mapping[str, str] = MappingProxyType(
    {
        name: f"{_HERE}.{home}"
        for name, home in {
            "folder_paths": "folder_paths",
            "execution": "execution",
            "server": "server",
            "latent_preview": "latent_preview",
            "node_helpers": "node_helpers",
            "comfy": "empty_package",
            "comfy.utils": "comfy_utils",
            "comfy.model_management": "comfy_model_management",
            "comfy.samplers": "comfy_samplers",
            "comfy.cli_args": "comfy_cli_args",
            "comfy.comfy_types": "comfy_types",
            "comfy.comfy_types.node_typing": "comfy_types",
            "comfy_extras": "empty_package",
            "comfy_execution": "empty_package",
            "comfy_execution.graph_utils": "graph_builder",
            "comfy_execution.graph": "graph_names",
            "comfy_execution.utils": "current_node",
            "comfy_api": "empty_package",
            "comfy_api.input": "comfy_api_input",
            "comfy_api.latest": "comfy_api_latest",
            "comfy_api.latest._io": "comfy_api_io",
            "comfy_api.latest._ui": "comfy_api_ui",
            "comfy_api.v0_0_2": "comfy_api_latest",
            "comfy_api.v0_0_1": "comfy_api_latest",
        }.items()
    }
)
TOP_LEVEL = frozenset(name.partition(".")[0] for name in MODULES)
