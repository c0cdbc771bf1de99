"""The command ``plan``: what a workflow will take of a card, node by node, before it runs and without the card."""

from __future__ import annotations

import argparse
import dataclasses

from engine.cli.arguments import settings_from
from engine.cli.report import print_json
from engine.cli.run_command import read_workflow
from engine.errors import InputError
from engine.graph.model import Graph
from engine.jobs.plans import chosen_card, plan_graph, plan_record
from engine.memory.cards import Card
from engine.session import Session
from engine.settings import read_settings

SIM_FLOPS, SIM_MEMORY, SIM_LINK = 50e9, 10e9, 1e9
"""What a simulated device is taken to reach; only the order of loads depends on it."""
SIM_MARGIN = 0.25
"""What nodes hold beside what networks do, as a share of it."""


def plan(arguments: argparse.Namespace) -> int:
    """Plan a workflow file; returns 0 where it fits the card, 1 where it does not."""
    card = chosen_card(arguments.card, arguments.vram, arguments.link)
    settings = dataclasses.replace(read_settings(settings_from(arguments)), device="cpu")
    session = Session(settings)
    graph = read_workflow(session, arguments).graph
    made = plan_graph(session, graph, card)
    if arguments.json:
        print_json(plan_record(made, graph))
    else:
        from engine.cli.plan_report import print_plan

        print_plan(made, graph)
    return 0 if made.fits else 1


def follow_plan(session: Session, graph: Graph) -> None:
    """Let a simulated device keep to a plan of the whole graph, where there is one that fits it.

    Raises `InputError` where it cannot hold even one block.
    """
    models = session.services.models
    total = models.streamed.device.total_bytes
    card = Card(
        "simulated", total, SIM_FLOPS, SIM_MEMORY, SIM_LINK, context_bytes=0, kind=models.device.kind,
        margin_share=SIM_MARGIN, margin_bytes=0,
    )  # fmt: skip
    made = plan_graph(session, graph, card, models.block_bytes)
    largest = max((block.nbytes for blocks in made.blocks.values() for block in blocks), default=0)
    if largest > total:
        raise InputError(
            "the device cannot hold even one block of the weights",
            expected=f"at least {made.smallest_bytes} bytes for the whole workflow, {largest} for its largest block",
            got=f"{total} bytes",
            hint=f"give it more, like --device sim:{-(-made.smallest_bytes // 2**20)}MiB",
        )
    planned = made.to_follow()
    if planned is not None:
        models.streamed.follow(planned)
