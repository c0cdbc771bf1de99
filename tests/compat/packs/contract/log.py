"""What the nodes of this pack were called with, for the tests."""

CALLS = []
SHOWN = {}
