"""Keep the tokens that let people in: made once, shown once, stored as scrypt hashes in a file only we can read.

A token reads ``sl_<id>_<secret>``: the id finds the record, so one attempt costs one hash, and the secret has 256
random bits. Parameters of scrypt (RFC 7914): N = 2^14, r = 8, p = 1, 16 MiB and some 50 ms.
"""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import enum
import hashlib
import hmac
import json
import os
import re
import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from engine.errors import InputError, OutputError

FILE_NAME = "tokens.json"
PREFIX = "sl_"
SCRYPT_N, SCRYPT_R, SCRYPT_P = 1 << 14, 8, 1
MAX_FILE_BYTES = 1 << 20
_TOKEN = re.compile(r"sl_([0-9a-f]{12})_([A-Za-z0-9_-]{43})")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}")


class Role(enum.IntEnum):
    """Order what people may do: each role includes those before it."""

    PUBLIC = 0
    VIEW = 1
    RUN = 2
    ADMIN = 3


ROLE_NAMES = ("view", "run", "admin")


@dataclasses.dataclass(frozen=True, slots=True)
class TokenRecord:
    """What is stored of a token: whose it is, what it allows, and the salted hash of its secret (hex)."""

    token_id: str
    name: str
    role: Role
    salt: str
    digest: str
    created: str


def token_file(user_directory: Path) -> Path:
    """Return where the tokens of ``user_directory`` are: behind a dot, where no name of a client leads."""
    return user_directory / ".safelight" / FILE_NAME


def add_token(path: Path, name: str, role: Role) -> str:
    """Make a token for ``name`` and return it; this is the only time that it can be seen.

    Raises `InputError` when the name is taken or is none, `OutputError` when the file cannot be written.
    """
    records = read_tokens(path)
    if not _NAME.fullmatch(name):
        raise InputError(
            "this is no name for a token", expected="letters, digits and . _ @ -, at most 64", got=repr(name)
        )
    if any(record.name == name for record in records):
        raise InputError(f"there is a token called {name!r} already", hint=f"main.py tokens remove {name}")
    if role is Role.PUBLIC:
        raise InputError("a token needs a role", expected=", ".join(ROLE_NAMES))
    token_id, secret, salt = secrets.token_hex(6), secrets.token_urlsafe(32), secrets.token_hex(16)
    created = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    record = TokenRecord(token_id, name, role, salt, _hash(secret, salt), created)
    _write(path, [*records, record])
    return f"{PREFIX}{token_id}_{secret}"


def remove_token(path: Path, name: str) -> None:
    """Remove the token of ``name``: it lets nobody in from now on. Raises `InputError` when there is none."""
    records = read_tokens(path)
    kept = [record for record in records if record.name != name]
    if len(kept) == len(records):
        known = ", ".join(record.name for record in records) or "none"
        raise InputError(f"there is no token called {name!r}", expected=f"one of: {known}")
    _write(path, kept)


def read_tokens(path: Path) -> tuple[TokenRecord, ...]:
    """Read the records in the order in which they were made; none when there is no file.

    Raises `InputError` when the file is damaged, or may be read or written by others (POSIX).
    """
    try:
        with path.open("rb") as file:
            status = os.fstat(file.fileno())
            if os.name == "posix" and status.st_mode & 0o077:
                raise InputError(
                    f"{path.name} may be read by others", got=oct(status.st_mode & 0o777), hint="chmod 600"
                )
            document = json.loads(file.read(MAX_FILE_BYTES))
        return tuple(_record(entry) for entry in document["tokens"])
    except FileNotFoundError:
        return ()
    except OSError as error:
        raise InputError(f"{path.name} cannot be read: {error.strerror or error}") from error
    except (ValueError, KeyError, TypeError) as error:
        hint = "remove the file and make the tokens again"
        raise InputError(f"the list of tokens in {path.name} is damaged", got=str(path), hint=hint) from error


def find_record(records: Sequence[TokenRecord], token: str) -> TokenRecord | None:
    """Return the record that ``token`` belongs to, None when there is none. Takes as long either way (some 50 ms)."""
    found = _TOKEN.fullmatch(token)
    record = next((one for one in records if found and one.token_id == found[1]), None)
    salt, expected = (record.salt, record.digest) if record else ("00" * 16, "00" * 32)
    given = _hash(found[2] if found else "", salt)
    return record if hmac.compare_digest(given, expected) and record is not None else None


def _hash(secret: str, salt: str) -> str:
    return hashlib.scrypt(
        secret.encode(), salt=bytes.fromhex(salt), n=SCRYPT_N, r=SCRYPT_R, p=SCRYPT_P, maxmem=64 << 20, dklen=32
    ).hex()


def _record(entry: Any) -> TokenRecord:
    texts = {name: entry[name] for name in ("token_id", "name", "salt", "digest", "created")}
    if not all(isinstance(text, str) for text in texts.values()):
        raise TypeError("a field is not text")
    bytes.fromhex(texts["salt"]), bytes.fromhex(texts["digest"])
    return TokenRecord(role=Role[str(entry["role"]).upper()], **texts)


def _write(path: Path, records: Sequence[TokenRecord]) -> None:
    """Replace the file in one step; it is never open to others, not even for a moment."""
    entries = [{**dataclasses.asdict(record), "role": record.role.name.lower()} for record in records]
    temporary = path.with_name(f".{secrets.token_hex(8)}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump({"tokens": entries}, file, indent=1)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        raise OutputError(f"{path.name} was not saved: {error.strerror or error}", got=str(path.parent)) from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
