"""Devices and the weights on them: what there is, what it computes fastest in, and the one owner of what is loaded."""
