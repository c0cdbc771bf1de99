"""The command ``plan``: what a workflow will take of a card, node by node, before it runs and without the card."""

from __future__ import annotations

import argparse
import dataclasses

from engine.cli.arguments import settings_from
from engine.cli.report import print_json
from engine.cli.run_command import read_workflow
from engine.jobs.plans import chosen_card, plan_graph, plan_record
from engine.memory.budgets import budgets_of
from engine.session import Session
from engine.settings import read_settings


def plan(arguments: argparse.Namespace) -> int:
    """Plan a workflow file; returns 0 where it fits the card, 1 where it does not."""
    card = chosen_card(arguments.card, arguments.vram, arguments.link)
    settings = dataclasses.replace(read_settings(settings_from(arguments)), device="cpu")
    session = Session(settings)
    graph = read_workflow(session, arguments).graph
    made = plan_graph(session, graph, budgets_of(settings).card(card))
    if arguments.json:
        print_json(plan_record(made, graph))
    else:
        from engine.cli.plan_report import print_plan

        print_plan(made, graph)
    return 0 if made.fits else 1
