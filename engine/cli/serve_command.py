"""The command ``serve``: what ``main.py`` does when it is given no command."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Sequence

from engine.cli.arguments import settings_from
from engine.cli.serve_arguments import serve_options
from engine.settings import read_settings

LOG_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"


def serve(arguments: argparse.Namespace, argv: Sequence[str]) -> int:
    """Serve until told to stop, and return the exit code."""
    logging.basicConfig(level=arguments.log_level, format=LOG_FORMAT, stream=sys.stderr, force=True)
    if arguments.log_format == "json":
        from engine.server.json_log import JsonLines

        for handler in logging.getLogger().handlers:
            handler.setFormatter(JsonLines())
    options = serve_options(arguments, argv)
    settings = read_settings(settings_from(arguments))
    if getattr(arguments, "ignored", None):
        logging.getLogger("safelight.server").info("without effect here: %s", " ".join(arguments.ignored))
    from engine.server.first_page import FirstPage, may_answer
    from engine.server.listening import listen

    sockets = listen(options)  # from here on clients wait instead of being refused
    first_page = FirstPage(sockets).start() if may_answer(options) else None
    from engine.server.running import serve as run
    from engine.server.security import clean_logs

    for handler in logging.getLogger().handlers:
        clean_logs(handler)

    return run(settings, options, sockets, first_page=first_page)
