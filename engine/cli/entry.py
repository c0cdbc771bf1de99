"""Run one command and turn whatever happens into output and an exit code."""

from __future__ import annotations

import argparse
import logging
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

from engine.cli.arguments import build_parser
from engine.cli.report import print_error, print_json, problem_records
from engine.errors import Cancelled, SafelightError

INTERRUPTED = 130


def main(argv: Sequence[str]) -> int:
    """Run the command line ``argv`` (without the program's name) and return the exit code.

    0: done; 1: a node failed or a result could not be saved; 2: the input is wrong; 130: stopped by Ctrl-C.
    """
    parser = build_parser()
    if not argv or (argv[0].startswith("-") and argv[0] not in ("-h", "--help")):
        argv = ["serve", *argv]
    try:
        arguments, unknown = parser.parse_known_args(argv)
        if unknown and arguments.command != "serve":
            parser.error(f"unrecognized arguments: {' '.join(unknown)}")
    except SystemExit as asked:  # argparse printed help (0) or what is wrong (2)
        return asked.code if isinstance(asked.code, int) else 2
    arguments.argv, arguments.unknown = argv, unknown
    if arguments.command is None:
        parser.print_help()
        return 0
    logging.basicConfig(
        level=logging.INFO if arguments.verbose else logging.ERROR,
        format="%(levelname)s %(name)s: %(message)s",
        stream=sys.stderr,
    )
    try:
        return _COMMANDS[arguments.command](arguments)
    except SafelightError as error:
        _report(error, arguments)
        return error.exit_code
    except KeyboardInterrupt:
        _report(Cancelled(), arguments)
        return INTERRUPTED
    except BrokenPipeError:  # the reader of our output went away, as `| head` does
        sys.stderr.close()
        return 0


def _report(error: SafelightError, arguments: argparse.Namespace) -> None:
    if arguments.verbose:
        traceback.print_exception(error, file=sys.stderr)
    if arguments.json:
        print_json({"ok": False, "errors": problem_records(error.problems)})
    else:
        print_error(error)


def _run(arguments: argparse.Namespace) -> int:
    from engine.cli.run_command import run

    return run(arguments)


def _plan(arguments: argparse.Namespace) -> int:
    from engine.cli.plan_command import plan

    return plan(arguments)


def _validate(arguments: argparse.Namespace) -> int:
    from engine.cli.document_commands import validate

    return validate(arguments)


def _convert(arguments: argparse.Namespace) -> int:
    from engine.cli.document_commands import convert

    return convert(arguments)


def _nodes(arguments: argparse.Namespace) -> int:
    from engine.cli.catalogue_commands import nodes

    return nodes(arguments)


def _packs(arguments: argparse.Namespace) -> int:
    from engine.cli.pack_commands import packs

    return packs(arguments)


def _models(arguments: argparse.Namespace) -> int:
    from engine.cli.catalogue_commands import models

    return models(arguments)


def _cache(arguments: argparse.Namespace) -> int:
    from engine.cli.cache_commands import cache

    return cache(arguments)


def _serve(arguments: argparse.Namespace) -> int:
    from engine.cli.serve_arguments import refuse_unknown
    from engine.cli.serve_command import serve

    if arguments.unknown:
        refuse_unknown(arguments.unknown, sorted(f"--{name.replace('_', '-')}" for name in vars(arguments)))
    return serve(arguments, arguments.argv)


def _tokens(arguments: argparse.Namespace) -> int:
    from engine.cli.token_commands import tokens

    return tokens(arguments)


_COMMANDS: Mapping[str, Callable[[argparse.Namespace], int]] = MappingProxyType(
    {
        "serve": _serve,
        "run": _run,
        "plan": _plan,
        "validate": _validate,
        "convert": _convert,
        "nodes": _nodes,
        "models": _models,
        "packs": _packs,
        "cache": _cache,
        "tokens": _tokens,
    }
)
