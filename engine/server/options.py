"""The choices that concern the server alone; what concerns runs is in `engine.settings.Settings`."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Literal

PreviewMethod = Literal["default", "none", "auto", "latent2rgb", "taesd"]
PREVIEW_METHODS: tuple[str, ...] = ("default", "none", "auto", "latent2rgb", "taesd")
QueueOrder = Literal["submitted", "models"]
QUEUE_ORDERS: tuple[str, ...] = ("submitted", "models")
DEFAULT_PORT = 8188


@dataclasses.dataclass(frozen=True, slots=True)
class ServerOptions:
    """Say where the server listens and what it allows.

    ``listen`` are addresses to bind. ``max_upload_bytes`` bounds a request's body. ``cors_origins`` are the origins,
    beside the server's own, whose pages may read answers; ``host_names`` the names that it is asked under, beside those
    of this machine; with ``require_token`` only who holds a token gets in. ``max_pending`` bounds the queue,
    ``queue_order`` leaves a client's own jobs as they came or groups them by models, ``history_size`` says what is
    remembered of jobs that ended. ``socket_bytes`` is what may wait for a WebSocket client that does not read before it
    is let go of. ``preview_method`` "default" sends previews to clients that say what they can do and to those whose
    job asks for them; any other but "none" sends them to all.
    ``webhook_hosts`` may be on private addresses and are posted to all the same.
    """

    listen: tuple[str, ...] = ("127.0.0.1",)
    port: int = DEFAULT_PORT
    tls_key: Path | None = None
    tls_certificate: Path | None = None
    max_upload_bytes: int = 100 << 20
    cors_origins: tuple[str, ...] = ()
    host_names: tuple[str, ...] = ()
    require_token: bool = False
    preview_method: PreviewMethod = "default"
    preview_size: int = 512
    multi_user: bool = False
    auto_launch: bool = False
    quick_test: bool = False
    verbose: str = "INFO"
    max_pending: int = 10_000
    queue_order: QueueOrder = "submitted"
    history_size: int = 10_000
    socket_bytes: int = 32 << 20
    webhook_hosts: tuple[str, ...] = ()
    argv: tuple[str, ...] = ()
