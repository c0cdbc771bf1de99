"""The launch flags of the server: those that people's scripts for the ecosystem's engine already hold.

A flag keeps its meaning where the engine has that choice. One that would change nothing here is accepted and named in
the log; one that asks for something that is not here is refused, with the nearest thing that is.
"""

from __future__ import annotations

import argparse
import difflib
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from engine.cli.arguments import BOUNDLESS_MODES, add_budget_options, add_cache_options
from engine.errors import InputError
from engine.server.options import DEFAULT_PORT, PREVIEW_METHODS, QUEUE_ORDERS, ServerOptions
from engine.settings import DTYPES, METADATA_LEVELS

EVERYWHERE: Final = "0.0.0.0,::"

REPLACED: Final[Mapping[str, str]] = MappingProxyType(
    {
        "--cuda-device": "--device cuda:N chooses a card",
        "--default-device": "--device cuda:N chooses a card",
        "--directml": "--device auto finds what torch can use",
        "--oneapi-device-selector": "--device xpu chooses the card",
        "--force-fp32": "--dtype float32",
        "--force-fp16": "--dtype float16",
        "--fp32-unet": "--dtype float32",
        "--fp16-unet": "--dtype float16",
        "--bf16-unet": "--dtype bfloat16",
        "--fp16-vae": "--dtype float16",
        "--fp32-vae": "--dtype float32",
        "--bf16-vae": "--dtype bfloat16",
        "--cache-ram": "--cache-lru N, or --disk-cache-bytes for what is kept on disk",
        "--front-end-version": "no editor is downloaded; one that is installed talks to the API",
        "--front-end-root": "no editor is served yet; serve it from elsewhere and allow it with --enable-cors-header",
        "--comfy-api-base": "no paid services are called",
        "--enable-manager": "packs are approved with: main.py packs trust NAME",
        "--log-stdout": "the log goes to standard error; redirect it with 2>&1",
    }
)
"""Flags that are refused, and what to use instead."""

WITHOUT_EFFECT: Final = (
    "--windows-standalone-build",
    "--disable-auto-launch",
    "--dont-print-server",
    "--disable-api-nodes",
    "--disable-partner-nodes",
    *BOUNDLESS_MODES,
    "--disable-smart-memory",
    "--disable-xformers",
    "--use-pytorch-cross-attention",
    "--dont-upcast-attention",
    "--disable-cuda-malloc",
    "--cuda-malloc",
    "--disable-async-offload",
    "--mmap-torch-files",
    "--disable-mmap",
    "--offline",
    "--disable-dynamic-vram",
)
"""Flags that ask for what is done anyway, or for a choice that changes no result here."""


def add_serve(commands: Any, shared: argparse.ArgumentParser) -> None:
    """Add the command ``serve``, which is also what runs without a command."""
    serve = commands.add_parser(
        "serve",
        parents=[shared],
        help="serve the HTTP and WebSocket API (what runs without a command)",
        allow_abbrev=False,
    )
    _add_network(serve)
    serve.add_argument("--user-directory", metavar="DIR", help="where the queue, settings and results are kept")
    serve.add_argument("--device", help="where to compute: auto, cpu, cuda, cuda:1, mps, xpu (default: auto)")
    serve.add_argument("--cpu", dest="device", action="store_const", const="cpu", help="the same as --device cpu")
    serve.add_argument("--dtype", choices=DTYPES, help="number format of the weights (default: auto)")
    serve.add_argument("--threads", type=int, metavar="N", help="CPU threads for tensors")
    serve.add_argument("--max-ram", dest="max_ram_bytes", metavar="BYTES", help="what the worker may hold, like 8GiB")
    serve.add_argument("--preview-method", choices=PREVIEW_METHODS, default="default", help="pictures while sampling")
    serve.add_argument("--preview-size", type=int, default=512, metavar="PIXELS", help="their longer side")
    serve.add_argument("--metadata", choices=METADATA_LEVELS, help="what saved pictures carry (default: full)")
    serve.add_argument("--disable-metadata", dest="metadata", action="store_const", const="none")
    serve.add_argument("--deterministic", action="store_true", help="accepted: runs always are")
    serve.add_argument("--debug", action="store_true", default=None, help="check that no node changes what it is given")
    add_budget_options(serve, serving=True)
    add_cache_options(serve)
    for flag in WITHOUT_EFFECT:
        serve.add_argument(flag, action="append_const", dest="ignored", const=flag, help=argparse.SUPPRESS)


def _add_network(serve: argparse.ArgumentParser) -> None:
    group = serve.add_argument_group("server")
    group.add_argument(
        "--listen", nargs="?", const=EVERYWHERE, default="127.0.0.1", metavar="IP[,IP]", help="addresses to listen at"
    )
    group.add_argument("--port", type=int, default=DEFAULT_PORT, help=f"port (default: {DEFAULT_PORT})")
    group.add_argument("--tls-keyfile", type=Path, metavar="FILE", help="the key of the certificate, as PEM")
    group.add_argument("--tls-certfile", type=Path, metavar="FILE", help="the certificate, as PEM")
    group.add_argument("--max-upload-size", type=float, default=100.0, metavar="MB", help="largest request")
    group.add_argument(
        "--enable-cors-header", nargs="?", const="*", metavar="ORIGIN", help="an origin whose pages may call the API"
    )
    group.add_argument(
        "--host-name", action="append", default=[], metavar="NAME", help="a name that it is asked under, as a proxy's"
    )
    group.add_argument(
        "--allow-webhook-hosts", metavar="HOST[,HOST]", default="",
        help="hosts on private addresses (name or name:port) that webhooks may be posted to",
    )  # fmt: skip
    group.add_argument("--require-token", action="store_true", help="only who holds a token gets in, from here too")
    group.add_argument("--log-format", choices=("text", "json"), default="text", help="lines of text, or of JSON")
    group.add_argument("--auto-launch", action="store_true", help="open the page in a browser")
    group.add_argument("--multi-user", action="store_true", help="keep settings and files by user")
    group.add_argument("--quick-test-for-ci", dest="quick_test", action="store_true", help="start, read nodes, stop")
    group.add_argument("--max-pending", type=int, default=10_000, metavar="N", help="jobs that may wait")
    group.add_argument(
        "--queue-order", choices=QUEUE_ORDERS, default="submitted",
        help="models: of a client's own jobs first those with the models of the last one (default: as submitted)",
    )  # fmt: skip


def serve_options(arguments: argparse.Namespace, argv: Sequence[str]) -> ServerOptions:
    """Return the server's part of what was given. Raises `InputError` for what cannot be meant."""
    if (arguments.tls_keyfile is None) != (arguments.tls_certfile is None):
        raise InputError("--tls-keyfile and --tls-certfile belong together", hint="give both, or none")
    if not 0 <= arguments.port < 65536:
        raise InputError("the port is not one", expected="0 to 65535", got=str(arguments.port))
    addresses = tuple(dict.fromkeys(part.strip() for part in arguments.listen.split(",") if part.strip()))
    return ServerOptions(
        listen=addresses or ("127.0.0.1",),
        port=arguments.port,
        tls_key=arguments.tls_keyfile,
        tls_certificate=arguments.tls_certfile,
        max_upload_bytes=int(arguments.max_upload_size * (1 << 20)),
        cors_origins=() if arguments.enable_cors_header is None else (arguments.enable_cors_header,),
        host_names=tuple(arguments.host_name),
        require_token=arguments.require_token,
        webhook_hosts=tuple(one.strip() for one in arguments.allow_webhook_hosts.split(",") if one.strip()),
        preview_method=arguments.preview_method,
        preview_size=arguments.preview_size,
        multi_user=arguments.multi_user,
        auto_launch=arguments.auto_launch,
        quick_test=arguments.quick_test,
        verbose=arguments.log_level,
        max_pending=arguments.max_pending,
        queue_order=arguments.queue_order,
        argv=tuple(argv),
    )


def refuse_unknown(unknown: Sequence[str], known: Sequence[str]) -> None:
    """Raise `InputError` for flags that the server does not have, with what to use instead."""
    first = next((one for one in unknown if one.startswith("-")), unknown[0])
    flag = first.split("=")[0]
    hint = REPLACED.get(flag)
    if hint is None:
        near = difflib.get_close_matches(flag, [*known, *WITHOUT_EFFECT], n=3, cutoff=0.5)
        hint = f"did you mean {' or '.join(near)}?" if near else "main.py serve --help lists what there is"
    raise InputError(f"the server has no {flag}", got=" ".join(unknown)[:200], hint=hint)
