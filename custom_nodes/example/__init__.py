"""An example of a node pack: two native nodes in a module of their own, and one class of the older style.

See docs/nodes.md. Approve it with `python main.py packs trust example`.
"""

from .older import NODE_CLASS_MAPPINGS, NODE_DISPLAY_NAME_MAPPINGS
from .pictures import tint, vignette

__all__ = ["NODE_CLASS_MAPPINGS", "NODE_DISPLAY_NAME_MAPPINGS", "tint", "vignette"]
