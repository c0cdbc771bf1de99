"""The options of the command ``plan``."""

from __future__ import annotations

import argparse
from typing import Any

from engine.cli.arguments import add_budget_options
from engine.memory.cards import CARDS
from engine.settings import DTYPES

DESCRIPTION = """\
Say what a workflow will take of a graphics card, node by node, without running it and without the card: memory at
most, weights, bytes moved, seconds computing, seconds waiting for weights. Files of weights are opened for their
headers alone. Speeds of cards are assumptions; a cold start is counted.
"""
EPILOG = """\
examples:
  main.py plan workflows/text_to_image.json                     for an RTX 4060 (8 GiB, 12 GB/s)
  main.py plan workflow.json --vram 4GiB --link 6GB/s           for a smaller card on an older board
  main.py plan workflow.json --card rtx3060 --json | jq .fits
  main.py plan workflow.json --set EmptyLatentImage.width=2048  before you dare

exit codes: 0 it fits, 1 it does not (and what would), 2 the input is wrong
"""


def add_plan(commands: Any, shared: argparse.ArgumentParser) -> None:
    """Add the command."""
    plan = commands.add_parser(
        "plan",
        parents=[shared],
        help="say whether a workflow fits a card, and what it costs, without running it",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    plan.add_argument("file", metavar="FILE", help="workflow, or a picture that carries one; - is stdin")
    plan.add_argument("--card", metavar="NAME", help=f"the card: {', '.join(CARDS)} (default: rtx4060)")
    plan.add_argument("--vram", metavar="BYTES", help="its memory, like 8GiB (default: the card's)")
    plan.add_argument("--link", metavar="SPEED", help="what its link moves, like 12GB/s (default: the card's)")
    plan.add_argument("--dtype", choices=DTYPES, help="number format of the weights (default: auto)")
    plan.add_argument(
        "--set", action="append", default=[], metavar="NODE.INPUT=VALUE", help="change an input, as with run"
    )
    plan.add_argument(
        "--input", action="append", default=[], metavar="NAME=VALUE", help="give a value to a Workflow Input"
    )
    add_budget_options(plan)
