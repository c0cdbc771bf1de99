"""Start a server whose nodes are those of `server_nodes`, with the flags of ``main.py``."""

from __future__ import annotations

import logging
import sys

from engine.cli.arguments import build_parser, settings_from
from engine.cli.serve_arguments import serve_options
from engine.server.listening import listen
from engine.server.running import Parts, serve
from engine.settings import read_settings

if __name__ == "__main__":
    arguments = build_parser().parse_args(["serve", *sys.argv[1:]])
    logging.basicConfig(level="INFO", stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    options = serve_options(arguments, ())
    parts = Parts(session="server_nodes:make_session", warm=False)
    sys.exit(serve(read_settings(settings_from(arguments)), options, listen(options), parts=parts))
