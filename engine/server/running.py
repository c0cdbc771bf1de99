"""Starting the server, keeping it until it is told to stop, and stopping it without losing anything."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import importlib
import logging
import signal
import socket
import sqlite3
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from aiohttp import web

from engine.errors import InputError
from engine.jobs.job import listener_in
from engine.jobs.options import SupervisorOptions
from engine.jobs.previews import PreviewOptions
from engine.jobs.supervisor import Supervisor
from engine.server.app import Middleware, make_app
from engine.server.catalogue import Catalogue
from engine.server.console import Console
from engine.server.desk import Desk
from engine.server.first_page import FirstPage
from engine.server.forecasts import Forecaster
from engine.server.hub import Hub
from engine.server.listening import BACKLOG
from engine.server.options import ServerOptions
from engine.server.plans import Planning
from engine.server.security import Guard, make_guard, say_how_to_get_in, tls_context
from engine.server.state import ServerState
from engine.server.store import DirectoryLock, Store
from engine.server.traffic import Traffic
from engine.server.user_files import UserFiles
from engine.server.versions import Versions
from engine.server.webhooks import Webhooks
from engine.server.written_files import WrittenFiles
from engine.settings import Settings

GRACE_S: Final = 2.0
"""So long a job that runs may take to end when the server is told to stop."""
QUIET_S: Final = 0.5
"""So long nothing is answered before the worker is loaded: a page that is being opened has the processor for itself."""
MOST_QUIET_S: Final = 3.0
"""So long the worker waits for quiet, which a client that asks all the time never gives."""
QUEUE_FOLDER: Final = "queue"
OWN_FOLDER: Final = ".safelight"
"""Below the user's folder; no name of a request leads there."""

_log = logging.getLogger("safelight.server")


@dataclasses.dataclass(frozen=True, slots=True)
class Parts:
    """How a server's parts are made; tests replace some."""

    session: str = "engine.session:Session"
    eager: bool = True
    warm: bool = True


def serve(
    settings: Settings,
    options: ServerOptions,
    sockets: Sequence[socket.socket],
    parts: Parts | None = None,
    first_page: FirstPage | None = None,
) -> int:
    """Serve until SIGINT or SIGTERM; return the exit code. ``first_page`` answers on the sockets until then."""
    return asyncio.run(_serve(settings, options, sockets, parts or Parts(), first_page))


async def _serve(
    settings: Settings,
    options: ServerOptions,
    sockets: Sequence[socket.socket],
    parts: Parts,
    first_page: FirstPage | None,
) -> int:
    guard = _make_guard(settings, options)
    context = tls_context(options.tls_key, options.tls_certificate)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        with contextlib.suppress(NotImplementedError):  # Windows: Ctrl-C ends asyncio.run itself
            loop.add_signal_handler(number, stop.set)
    async with running(settings, options, guard.middlewares, parts) as (state, app):
        guard.attach(app)
        traffic = Traffic()
        app.on_response_prepare.append(traffic.noticed)
        await state.desk.restore()  # before the first answer, which may be how long the queue is
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0, keepalive_timeout=30.0)
        await runner.setup()
        held = [] if first_page is None else await asyncio.to_thread(first_page.hand_over)
        for one in sockets:
            await web.SockSite(runner, one, ssl_context=context, backlog=BACKLOG).start()
        for connection in held:
            assert runner.server is not None
            with contextlib.suppress(OSError):
                await loop.connect_accepted_socket(runner.server, connection)
        _announce(options, sockets, guard)
        quiet_s = 0 if options.quick_test else QUIET_S
        getting_ready = loop.create_task(_get_ready(state, traffic, eager=parts.eager, quiet_s=quiet_s))
        if options.quick_test:
            await getting_ready
        else:
            await stop.wait()
            getting_ready.cancel()
        _log.info("stopping")
        await state.desk.close(GRACE_S)
        await state.hub.close()
        await runner.cleanup()
    return 0


async def _get_ready(state: ServerState, traffic: Traffic, *, eager: bool, quiet_s: float) -> None:
    """Read what every page asks for, begin with the jobs that an earlier server left, and load what the first job
    needs once nobody waits for an answer."""
    await state.catalogue.ask(state.catalogue.warm)
    state.desk.pump()
    await traffic.quiet(quiet_s, MOST_QUIET_S)
    if eager and not state.desk.closing:
        state.supervisor.start()


@contextlib.asynccontextmanager
async def running(
    settings: Settings, options: ServerOptions, middlewares: Sequence[Middleware] = (), parts: Parts | None = None
) -> Any:
    """Offer the state and the application of a server whose parts live as long as the context. Does not listen."""
    parts = parts or Parts()
    loop = asyncio.get_running_loop()
    module, _, attribute = parts.session.partition(":")
    catalogue = Catalogue(getattr(importlib.import_module(module), attribute)(settings))
    folders = catalogue.session.folders
    console = Console()
    size = 0 if options.preview_method == "none" else options.preview_size
    made = SupervisorOptions(session=parts.session, eager=False, warm=parts.warm, previews=PreviewOptions(size=size))
    with contextlib.ExitStack() as stack:
        directory = _queue_directory(folders.directories("user")[0] / QUEUE_FOLDER, stack)
        store = _open_store(directory, loop)
        stack.callback(store.close)
        stack.callback(catalogue.close)
        supervisor = Supervisor(settings, made, listener_in(loop, lambda event, _: console.add(event)))
        stack.callback(supervisor.close)
        hub = Hub(options.socket_bytes)
        written = WrittenFiles(directory, [*folders.directories("output"), *folders.directories("temp")])
        desk = Desk(
            catalogue, store, hub, supervisor, console, written,
            max_pending=options.max_pending, history_size=options.history_size, previews=options.preview_method,
            apart=options.multi_user, group_models=options.queue_order == "models",
        )  # fmt: skip
        user_files = UserFiles(folders.directories("user")[0], multi_user=options.multi_user)
        versions = Versions(folders.directories("user")[0] / OWN_FOLDER)
        stack.callback(versions.close)
        webhooks = Webhooks(store, options.webhook_hosts)
        desk.webhooks_due = webhooks.wake
        planning = Planning(catalogue, settings, parts.session)
        state = ServerState(
            options,
            settings,
            folders,
            catalogue,
            store,
            hub,
            desk,
            supervisor,
            console,
            user_files,
            webhooks,
            Forecaster(catalogue, supervisor),
            versions,
            planning,
        )
        telling = loop.create_task(webhooks.run())
        try:
            yield state, make_app(state, middlewares)
        finally:
            telling.cancel()
            await planning.close()
            await asyncio.gather(telling, return_exceptions=True)


def _open_store(directory: Path, loop: asyncio.AbstractEventLoop) -> Store:
    try:
        return Store(directory, loop)
    except (OSError, sqlite3.Error) as error:
        raise InputError(
            f"the queue cannot be kept: {error}",
            expected="a directory for the queue that can be written",
            got=str(directory),
            hint="choose another --user-directory, or move the file jobs.sqlite3 away",
        ) from error


def _queue_directory(wanted: Path, stack: contextlib.ExitStack) -> Path:
    """Return the directory of the queue; one that is forgotten where another server has the user's."""
    lock = DirectoryLock()
    if lock.take(wanted):
        stack.callback(lock.release)
        return wanted
    _log.warning(
        "another server uses %s: this one's queue and history are not kept (choose another --user-directory)", wanted
    )
    return Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="safelight-queue-")))


def _make_guard(settings: Settings, options: ServerOptions) -> Guard:
    """Return what keeps out who does not belong. Raises `InputError` where others could get in without a token."""
    return make_guard(
        settings.user_directory or settings.base_directory / "user",
        listen=options.listen,
        tls=options.tls_certificate is not None,
        host_names=options.host_names,
        cors_origins=options.cors_origins,
        require_token=options.require_token or options.multi_user,  # the token says who it is
        max_upload_bytes=options.max_upload_bytes,
        debug=settings.debug,
    )


def _announce(options: ServerOptions, sockets: Sequence[socket.socket], guard: Guard) -> None:
    kind = "https" if options.tls_certificate is not None else "http"
    for one in sockets:
        host, port = one.getsockname()[:2]
        shown = f"[{host}]" if ":" in host else host
        _log.info("listening: %s://%s:%s", kind, shown, port)
    if sockets and guard.policy.token_required:  # the way in holds a token, so it goes to the terminal, not to the log
        sys.stderr.write(say_how_to_get_in(guard, *sockets[0].getsockname()[:2]) + "\n")
    if options.auto_launch and sockets:
        import webbrowser

        host, port = sockets[0].getsockname()[:2]
        host = "127.0.0.1" if host == "0.0.0.0" else host
        asyncio.get_running_loop().run_in_executor(None, webbrowser.open, f"{kind}://{host}:{port}/")
