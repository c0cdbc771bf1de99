"""An example of a node pack: two native nodes in a module of their own, and one class of the older style.

See docs/nodes.md and, for its panel in the editor, docs/extensions.md. Approve it with
`python main.py packs trust example --web`.
"""

from .older import NODE_CLASS_MAPPINGS, NODE_DISPLAY_NAME_MAPPINGS
from .pictures import tint, vignette

WEB_DIRECTORY = "web"

__all__ = ["NODE_CLASS_MAPPINGS", "NODE_DISPLAY_NAME_MAPPINGS", "WEB_DIRECTORY", "tint", "vignette"]
