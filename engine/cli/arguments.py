"""Own the command line's grammar: sub-commands, options, and how options become settings."""

from __future__ import annotations

import argparse
import re
from pathlib import Path
from typing import Any, Final

from engine.errors import InputError
from engine.settings import DTYPES, METADATA_LEVELS, parse_bytes

DESCRIPTION = """\
Safelight runs node graphs of diffusion models: pictures from workflows, in the formats that people already have.
"""
EPILOG = """\
examples:
  main.py run workflows/text_to_image.json
  main.py run workflows/text_to_image.json --set "Prompt.text=a red apple" --set KSampler.seed=7
  main.py run output/picture.png                  runs what a picture carries
  main.py plan workflow.json --vram 8GiB          does it fit a card, and what does it cost
  main.py convert workflow.json > prompt.json     editor's workflow to API prompt
  main.py nodes KSampler                          inputs, ranges and help of a node

exit codes: 0 done, 1 a node failed or a result could not be saved, 2 the input is wrong, 130 stopped by Ctrl-C
"""


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the whole command line."""
    parser = argparse.ArgumentParser(
        prog="main.py", description=DESCRIPTION, epilog=EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    shared = _shared_options()

    _add_run(commands, shared)
    from engine.cli.plan_arguments import add_plan

    add_plan(commands, shared)
    validate = commands.add_parser("validate", parents=[shared], help="check a workflow without running it")
    validate.add_argument("file", metavar="FILE", help="the workflow")

    convert = commands.add_parser("convert", parents=[shared], help="print a workflow as API prompt")
    convert.add_argument("file", metavar="FILE", help="the workflow")
    convert.add_argument(
        "--interfaces", type=Path, metavar="FILE", help="descriptions of nodes not installed (/object_info)"
    )

    nodes = commands.add_parser("nodes", parents=[shared], help="list the nodes, or describe one")
    nodes.add_argument("id", nargs="?", metavar="ID", help="a node's id")

    _add_packs(commands, shared)

    commands.add_parser("models", parents=[shared], help="list the model files and their families")
    _add_cache_commands(commands, shared)
    _add_token_commands(commands, shared)
    from engine.cli.serve_arguments import add_serve  # which takes some of its options from here

    add_serve(commands, _shared_options(serving=True))
    return parser


def _add_run(commands: Any, shared: argparse.ArgumentParser) -> None:
    run = commands.add_parser("run", parents=[shared], help="run a workflow and save its pictures")
    run.add_argument("file", metavar="FILE", help="workflow, or a picture that carries one; - is stdin")
    run.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="NODE.INPUT=VALUE",
        help="change an input; NODE is an id or a title (can be given several times)",
    )
    run.add_argument("--device", help="where to compute: auto, cpu, cuda, cuda:1, mps, xpu, sim:8GiB (default: auto)")
    run.add_argument("--dtype", choices=DTYPES, help="number format of the weights (default: auto)")
    run.add_argument("--threads", type=int, metavar="N", help="CPU threads for tensors")
    run.add_argument("--isolated", action="store_true", help="compute in a process of its own; Ctrl-C ends any node")
    run.add_argument(
        "--max-ram",
        dest="max_ram_bytes",
        metavar="BYTES",
        help="end a node that makes the process hold more, like 8GiB (implies --isolated)",
    )
    run.add_argument(
        "--input",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="give a value to the node Workflow Input of this name (can be given several times)",
    )
    run.add_argument(
        "--profile", type=Path, metavar="FILE", help="write a trace that chrome://tracing or Perfetto opens"
    )
    run.add_argument("--debug", action="store_true", default=None, help="check that no node changes what it is given")
    run.add_argument("--metadata", choices=METADATA_LEVELS, help="what saved pictures carry (default: full)")
    add_budget_options(run)
    add_cache_options(run)


def add_budget_options(parser: argparse.ArgumentParser, *, serving: bool = False) -> None:
    """Add the options that bound memory, for every command that computes or plans; each is a number of bytes."""
    group = parser.add_argument_group("memory (a card; where there is none, weights in RAM)")
    group.add_argument(
        "--vram-budget", dest="vram_budget_bytes", metavar="BYTES", help="what is taken of the card in all, like 6GiB"
    )
    group.add_argument(
        "--ram-budget", dest="ram_budget_bytes", metavar="BYTES", help="what weights may take of the machine's memory"
    )
    group.add_argument(
        "--reserve-vram", dest="reserve_vram_bytes", type=gigabytes, metavar="GB",
        help="what is left of the card to others; a number alone counts GiB",
    )  # fmt: skip
    group.add_argument("--memory-bytes", metavar="BYTES", help="what weights may take of the device, like 6GiB")
    for flag, given in MEMORY_MODES.items():
        group.add_argument(
            flag, dest="memory_bytes", action="store_const", const=given, help=f"the same as --memory-bytes {given}"
        )
    if not serving:
        for flag in BOUNDLESS_MODES:
            group.add_argument(flag, action="store_true", help=argparse.SUPPRESS)


MEMORY_MODES: Final = {"--lowvram": "2GiB", "--novram": "512MiB"}
"""Flags that people know, as budgets of weights. What stays where is planned anyway; no way of computing changes."""
BOUNDLESS_MODES: Final = ("--normalvram", "--highvram", "--gpu-only")
"""Flags that ask for what is done without a budget."""


def gigabytes(text: str) -> int:
    """Read a number of GiB, or of bytes with a unit."""
    try:
        return parse_bytes(text if re.search(r"[a-zA-Z]", text) else f"{text}GiB", "--reserve-vram")
    except InputError as error:
        raise argparse.ArgumentTypeError(error.problem.message) from error


def add_cache_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that choose what is kept between runs, for every command that runs workflows."""
    group = parser.add_argument_group("cache (default: results are kept in memory and on disk)")
    modes = group.add_mutually_exclusive_group()
    modes.add_argument(
        "--cache-classic",
        dest="cache_mode",
        action="store_const",
        const="classic",
        help="keep what the last run used, in memory",
    )
    modes.add_argument(
        "--cache-lru", type=int, metavar="N", help="keep the N last used results, in memory; 0 keeps all that fit"
    )
    modes.add_argument(
        "--cache-none", dest="cache_mode", action="store_const", const="none", help="keep nothing between runs"
    )
    group.add_argument("--cache-directory", metavar="DIR", help="where results are stored (default: user/cache)")
    group.add_argument("--disk-cache-bytes", type=int, metavar="N", help="how much is stored there; 0 stores nothing")


def _add_cache_commands(commands: Any, shared: argparse.ArgumentParser) -> None:
    cache = commands.add_parser("cache", help="look at, clear or pin the results that are stored on disk")
    actions = cache.add_subparsers(dest="action", metavar="ACTION", required=True)
    place = argparse.ArgumentParser(add_help=False, parents=[shared])
    place.add_argument("--user-directory", metavar="DIR", help="the user's directory, which holds cache/")
    place.add_argument("--cache-directory", metavar="DIR", help="where results are stored (default: user/cache)")
    actions.add_parser("stats", parents=[place], help="how much is stored, of which nodes, and how often it was used")
    actions.add_parser("list", parents=[place], help="every stored result, the last used first")
    clear = actions.add_parser("clear", parents=[place], help="remove stored results, except pinned ones")
    clear.add_argument("--older-than", metavar="AGE", help="only those not used for so long: 30m, 12h, 7d, 2w")
    clear.add_argument("--node", metavar="TYPE", help="only those of this node type")
    clear.add_argument("--pinned", action="store_true", help="pinned ones too")
    for name, text in (("pin", "keep results whatever the budget says"), ("unpin", "undo pin")):
        one = actions.add_parser(name, parents=[place], help=text)
        one.add_argument("keys", nargs="+", metavar="KEY", help="a key of `cache list`, or how it begins")


def _add_token_commands(commands: Any, shared: argparse.ArgumentParser) -> None:
    tokens = commands.add_parser("tokens", help="make, list or remove the tokens that let others use the server")
    actions = tokens.add_subparsers(dest="action", metavar="ACTION", required=True)
    place = argparse.ArgumentParser(add_help=False, parents=[shared])
    place.add_argument("--user-directory", metavar="DIR", help="the user's directory, which holds the tokens")
    add = actions.add_parser("add", parents=[place], help="make a token and print it, this once")
    add.add_argument("name", metavar="NAME", help="whose it is")
    add.add_argument("--role", choices=("view", "run", "admin"), default="run", help="what it allows (default: run)")
    actions.add_parser("list", parents=[place], help="names and roles; the tokens themselves are not stored")
    remove = actions.add_parser("remove", parents=[place], help="let a token's holder in no more, at once")
    remove.add_argument("name", metavar="NAME", help="whose it is")


def settings_from(arguments: argparse.Namespace) -> dict[str, Any]:
    """Return the settings that were given on the command line, by name; None where one was not."""
    names = (
        "base_directory",
        "input_directory",
        "output_directory",
        "temp_directory",
        "extra_model_paths",
        "device",
        "dtype",
        "threads",
        "metadata",
        "trust_packs",
        "disable_all_custom_nodes",
        "whitelist_custom_nodes",
        "max_ram_bytes",
        "user_directory",
        "memory_bytes",
        "vram_budget_bytes",
        "ram_budget_bytes",
        "reserve_vram_bytes",
        "cache_mode",
        "cache_lru",
        "cache_directory",
        "disk_cache_bytes",
        "debug",
    )
    return {name: getattr(arguments, name, None) for name in names}


def _add_packs(commands: Any, shared: argparse.ArgumentParser) -> None:
    packs = commands.add_parser(
        "packs",
        parents=[shared],
        help="list the node packs, or approve one",
        description="A node pack is code with your rights. It is loaded only after you approved exactly its files.",
    )
    packs.add_argument("action", nargs="?", default="list", choices=("list", "trust", "untrust"))
    packs.add_argument("name", nargs="?", metavar="NAME", help="the pack's folder, or file without .py")
    packs.add_argument("--web", action="store_true", help="trust: its pages in the editor too; untrust: those alone")


def _shared_options(*, serving: bool = False) -> argparse.ArgumentParser:
    """Return what all commands share. A server's log has levels, and its answers are JSON anyway."""
    shared = argparse.ArgumentParser(add_help=False)
    folders = shared.add_argument_group("folders")
    folders.add_argument("--base-directory", metavar="DIR", help="folder with models/, input/, output/ (default: here)")
    folders.add_argument("--input-directory", metavar="DIR", help="where pictures are loaded from")
    folders.add_argument("--output-directory", metavar="DIR", help="where pictures are saved")
    folders.add_argument("--temp-directory", metavar="DIR", help="where previews are saved")
    folders.add_argument(
        "--extra-model-paths-config",
        dest="extra_model_paths",
        action="extend" if serving else "append",
        nargs="+" if serving else None,
        metavar="FILE",
        help="YAML file that names more model folders (can be given several times)",
    )
    packs = shared.add_argument_group("node packs")
    packs.add_argument(
        "--trust-packs", action="store_true", default=None, help="load packs that were not approved, this time"
    )
    packs.add_argument(
        "--disable-all-custom-nodes", action="store_true", default=None, help="load no packs but the whitelisted ones"
    )
    packs.add_argument(
        "--whitelist-custom-nodes", nargs="+", metavar="NAME", help="packs to load with --disable-all-custom-nodes"
    )
    if serving:
        levels = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
        shared.add_argument(
            "--verbose", dest="log_level", nargs="?", const="DEBUG", default="INFO", choices=levels, help="log level"
        )
        shared.set_defaults(json=False, verbose=False)
        return shared
    shared.add_argument("--json", action="store_true", help="print exactly one JSON object")
    shared.add_argument("--verbose", action="store_true", help="show tracebacks and log messages")
    return shared
