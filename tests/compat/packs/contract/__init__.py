"""A pack that exercises each clause of the older class contract."""

from .basics import MAPPINGS as BASICS
from .flow import MAPPINGS as FLOW
from .hooks import MAPPINGS as HOOKS
from .log import CALLS, SHOWN

NODE_CLASS_MAPPINGS = {**BASICS, **FLOW, **HOOKS}
NODE_DISPLAY_NAME_MAPPINGS = {"TNumber": "A Number"}
WEB_DIRECTORY = "./js"

__all__ = ["CALLS", "NODE_CLASS_MAPPINGS", "NODE_DISPLAY_NAME_MAPPINGS", "SHOWN", "WEB_DIRECTORY"]
