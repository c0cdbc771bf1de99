"""The command line: arguments in, terminal output and exit codes out. Knows no tensors."""

from engine.cli.entry import main

__all__ = ["main"]
