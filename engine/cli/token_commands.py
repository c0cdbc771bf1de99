"""The command ``tokens``: who may use the server from elsewhere."""

from __future__ import annotations

import argparse

from engine.cli.arguments import settings_from
from engine.cli.report import print_json
from engine.server.security.tokens import Role, add_token, read_tokens, remove_token, token_file
from engine.settings import read_settings


def tokens(arguments: argparse.Namespace) -> int:
    """Run one of the actions and return the exit code. A new token is printed once and stored only as a hash."""
    settings = read_settings(settings_from(arguments))
    path = token_file(settings.user_directory or settings.base_directory / "user")
    if arguments.action == "add":
        role = Role[arguments.role.upper()]
        token = add_token(path, arguments.name, role)
        if arguments.json:
            print_json({"ok": True, "name": arguments.name, "role": arguments.role, "token": token})
        else:
            print(token)
    elif arguments.action == "remove":
        remove_token(path, arguments.name)
        if arguments.json:
            print_json({"ok": True, "removed": arguments.name})
        else:
            print(f"{arguments.name} is not let in any more")
    else:
        records = read_tokens(path)
        if arguments.json:
            listed = [{"name": one.name, "role": one.role.name.lower(), "created": one.created} for one in records]
            print_json({"ok": True, "tokens": listed})
        else:
            for one in records:
                print(f"{one.name:<32} {one.role.name.lower():<6} {one.created}")
            if not records:
                print("no tokens; make one with: main.py tokens add NAME --role run")
    return 0
