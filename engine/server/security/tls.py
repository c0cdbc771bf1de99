"""Make the TLS context of ``--tls-keyfile`` and ``--tls-certfile``."""

from __future__ import annotations

import os
import ssl
from pathlib import Path

from engine.errors import InputError


def tls_context(keyfile: Path | None, certfile: Path | None) -> ssl.SSLContext | None:
    """Return a context for a server, None when neither file is given. TLS 1.2 with forward secrecy, or newer.

    Raises `InputError` when one file is missing, cannot be read, does not fit the other, or when others may read the
    key (POSIX).
    """
    if keyfile is None and certfile is None:
        return None
    if keyfile is None or certfile is None:
        given = "--tls-keyfile" if certfile is None else "--tls-certfile"
        raise InputError("TLS needs a key and a certificate", expected="--tls-keyfile and --tls-certfile", got=given)
    _check_key(keyfile)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers("ECDHE+AESGCM:ECDHE+CHACHA20")
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
    context.set_alpn_protocols(["http/1.1"])
    try:
        context.load_cert_chain(certfile, keyfile, password=_no_password)
    except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
        reason = getattr(error, "reason", None) or getattr(error, "strerror", None) or str(error)
        raise InputError(
            f"the TLS files cannot be used: {reason}",
            expected="a PEM certificate chain and its key without a password",
            got=f"{certfile.name}, {keyfile.name}",
        ) from error
    return context


def _no_password() -> str:
    raise ValueError("the key has a password")  # asking for it would hang a server that starts by itself


def _check_key(keyfile: Path) -> None:
    try:
        mode = keyfile.stat().st_mode
    except OSError as error:
        raise InputError(f"the TLS key cannot be read: {error.strerror}", got=keyfile.name) from error
    if os.name == "posix" and mode & 0o007:
        raise InputError("everybody on this machine may read the TLS key", got=oct(mode & 0o777), hint="chmod 600")
