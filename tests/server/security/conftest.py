"""Running servers for the tests of who gets in."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from security_app import Server, running

from engine.server.security import Policy, Role, token_file
from engine.server.security.tokens import add_token


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server on this machine, no token asked for."""
    with running(tmp_path_factory.mktemp("open")) as found:
        yield found


@pytest.fixture(scope="module")
def tokens(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str]]:
    """The file of tokens, and one token of each role by the role's name."""
    path = token_file(tmp_path_factory.mktemp("user"))
    return path, {role.name.lower(): add_token(path, f"{role.name.lower()}-token", role) for role in list(Role)[1:]}


@pytest.fixture(scope="module")
def locked(tmp_path_factory: pytest.TempPathFactory, tokens: tuple[Path, dict[str, str]]) -> Iterator[Server]:
    """A server that asks everybody for a token."""
    with running(tmp_path_factory.mktemp("locked"), Policy(token_required=True, token_file=tokens[0])) as found:
        yield found
