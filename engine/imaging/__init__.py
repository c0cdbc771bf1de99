"""Pure functions on pictures and masks: float32 ``[B, H, W, C]`` and ``[B, H, W]`` in 0..1. No files, no models."""
