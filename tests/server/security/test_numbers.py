"""Every number of the list has its tests: `grep -rn test_s14 tests` finds those of S14.

| numbers | file in this folder |
|---|---|
| S01 to S13 who asks | `test_s01_to_s13_who_asks.py`, `test_real_server.py`; packs and the first page in `..` |
| S14 to S21 paths | `test_s14_to_s21_paths.py`, `test_real_server.py` |
| S22 to S28 weights | `test_s22_to_s28_weights.py` |
| S29 to S38 pictures, bodies, served files | `test_s29_to_s38_pictures_and_bodies.py`, `test_real_server.py` |
| S39 to S50 workflows, privacy | `test_s39_to_s50_workflows.py`, `../test_webhooks.py`, `../test_users_apart.py` |
| S51 to S55 packs | `tests/compat/test_packs.py`; S52, S53 of their routes in `../test_pack_routes.py` |
| S56 to S60 outgoing requests, operation | `test_s56_to_s60_outgoing_and_operation.py`, `../test_webhooks.py` |
"""

from __future__ import annotations

import re
from pathlib import Path

TESTS = Path(__file__).resolve().parents[2]
NUMBERS = {*range(1, 51), *range(56, 61)}


def found() -> tuple[set[int], set[int]]:
    """Return the numbers that tests are named after, and those of them that have one which is not skipped."""
    named: set[int] = set()
    held: set[int] = set()
    for file in TESTS.rglob("test_*.py"):
        for marks, name in re.findall(r"((?:^@.*\n)*)^(?:async )?def test_(s\d\d\w*)", file.read_text(), re.MULTILINE):
            numbers = {int(one) for one in re.findall(r"(?:^|_)s(\d\d)(?=_|$)", name)}
            span = re.match(r"s(\d\d)_to_s(\d\d)", name)
            numbers |= set(range(int(span[1]), int(span[2]) + 1)) if span else set()
            named |= numbers
            held |= set() if re.search(r"@(pytest\.mark\.skip\(|EDITOR)", marks) else numbers
    return named, held


def test_every_number_has_a_test_that_is_found_by_its_name() -> None:
    named, held = found()
    assert NUMBERS - named == set()
    assert NUMBERS - held == set(), "these are skipped"
