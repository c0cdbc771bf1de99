"""The commands that read a workflow and run nothing: ``validate`` and ``convert``."""

from __future__ import annotations

import argparse

from engine.cli.arguments import settings_from
from engine.cli.report import print_json, print_problems, problem_records
from engine.graph.api_prompt import graph_to_api
from engine.graph.model import Graph
from engine.graph.validate import output_nodes
from engine.session import Session, read_document
from engine.settings import read_settings


def validate(arguments: argparse.Namespace) -> int:
    """Check a workflow and say what is wrong with it, all at once."""
    session = Session(read_settings(settings_from(arguments)))
    graph = session.load(arguments.file)
    problems = session.problems(graph)
    outputs = output_nodes(graph, session.registry)
    if arguments.json:
        found = {"ok": not problems, "nodes": len(graph.nodes), "outputs": outputs, "errors": problem_records(problems)}
        print_json(found)
    elif problems:
        print_problems(problems)
    else:
        names = ", ".join(_named(graph, id) for id in outputs)
        print(f"{arguments.file}: in order. {len(graph.nodes)} nodes, outputs: {names}")
    return 2 if problems else 0


def convert(arguments: argparse.Namespace) -> int:
    """Print the API prompt that a workflow means."""
    session = Session(read_settings(settings_from(arguments)))
    interfaces = session.interfaces
    if arguments.interfaces is not None:
        interfaces = interfaces.with_file(read_document(arguments.interfaces), arguments.interfaces.name)
    print_json(graph_to_api(session.load(arguments.file, interfaces)))
    return 0


def _named(graph: Graph, id: str) -> str:
    node = graph.nodes[id]
    return f'{id} "{node.title}"' if node.title else f"{id} ({node.type})"
