"""Packages whose parts alone are offered (``comfy``, ``comfy_execution``, ``comfy_extras``)."""
