"""``server``: what packs register with a server, kept until one serves it.

Packs add routes and listeners while they are imported, whether a server will run or not. Everything is collected here;
`PromptServer.deliver` is where a server puts its own way of telling clients.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from typing import Any

from engine.compat.calling import current_call

__all__ = ["BinaryEventTypes", "PromptServer", "Route", "Routes"]


class BinaryEventTypes:
    """Numbers of the kinds of binary messages."""

    PREVIEW_IMAGE = 1
    UNENCODED_PREVIEW_IMAGE = 2
    TEXT = 3
    PREVIEW_IMAGE_WITH_METADATA = 4


@dataclasses.dataclass(frozen=True, slots=True)
class Route:
    """One route of a pack: what it answers and by which function."""

    method: str
    path: str
    handler: Callable[..., Any]
    options: dict[str, Any]


class Routes:
    """Collects routes by decorators, as a table of routes of aiohttp does."""

    def __init__(self) -> None:
        self.collected: list[Route] = []

    def route(self, method: str, path: str, **options: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
        """Return a decorator that adds its function as a route."""

        def add(handler: Callable[..., Any]) -> Callable[..., Any]:
            self.collected.append(Route(method, path, handler, options))
            return handler

        return add

    def get(self, path: str, **options: Any) -> Any:
        """Add a route for GET."""
        return self.route("GET", path, **options)

    def post(self, path: str, **options: Any) -> Any:
        """Add a route for POST."""
        return self.route("POST", path, **options)

    def put(self, path: str, **options: Any) -> Any:
        """Add a route for PUT."""
        return self.route("PUT", path, **options)

    def patch(self, path: str, **options: Any) -> Any:
        """Add a route for PATCH."""
        return self.route("PATCH", path, **options)

    def delete(self, path: str, **options: Any) -> Any:
        """Add a route for DELETE."""
        return self.route("DELETE", path, **options)

    def head(self, path: str, **options: Any) -> Any:
        """Add a route for HEAD."""
        return self.route("HEAD", path, **options)

    def __iter__(self) -> Iterator[Route]:
        return iter(self.collected)

    def __len__(self) -> int:
        return len(self.collected)


class _App:
    """Stands for the application object: takes what packs add to it, and keeps it."""

    def __init__(self) -> None:
        self.added: list[Any] = []
        self.router = self
        self.middlewares: list[Any] = []
        self.on_startup: list[Any] = []
        self.on_shutdown: list[Any] = []

    def add_routes(self, routes: Any) -> list[Any]:
        """Keep routes that a pack adds directly."""
        self.added.extend(routes)
        return []

    def add_static(self, prefix: str, path: Any, **options: Any) -> None:
        """Keep a folder that a pack wants served."""
        self.added.append((prefix, path, options))

    def add_get(self, path: str, handler: Any, **options: Any) -> None:
        """Keep a route for GET."""
        self.added.append(Route("GET", path, handler, options))

    def add_post(self, path: str, handler: Any, **options: Any) -> None:
        """Keep a route for POST."""
        self.added.append(Route("POST", path, handler, options))

    def add_route(self, method: str, path: str, handler: Any, **options: Any) -> None:
        """Keep a route."""
        self.added.append(Route(method, path, handler, options))


class _Queue:
    """Stands for the queue: nothing waits, nothing runs."""

    def get_current_queue(self) -> tuple[list[Any], list[Any]]:
        """Return what runs and what waits."""
        return [], []

    get_current_queue_volatile = get_current_queue

    def get_tasks_remaining(self) -> int:
        """Return how much there is to do."""
        return 0

    def get_history(self, *chosen: Any, **more: Any) -> dict[str, Any]:
        """Return what was done."""
        return {}


class PromptServer:
    """The one server object that packs talk to. Without a server, what they send goes nowhere."""

    instance: PromptServer

    def __init__(self) -> None:
        self.routes = Routes()
        self.app = _App()
        self.client_id: str | None = None
        self.last_prompt_id: str | None = None
        self.number = 0
        self.port = 0
        self.address = "127.0.0.1"
        self.sockets: dict[str, Any] = {}
        self.sockets_metadata: dict[str, Any] = {}
        self.loop: Any = None
        self.messages: Any = None
        self.prompt_queue: Any = _Queue()
        self.supports = ["custom_nodes_from_web"]
        self.on_prompt_handlers: list[Callable[[Any], Any]] = []
        self.deliver: Callable[[Any, Any, str | None], None] = _nobody_hears

    @property
    def last_node_id(self) -> str | None:
        """The node that runs, or None."""
        call = current_call()
        return None if call is None else call.node_id

    async def send(self, event: Any, data: Any, sid: str | None = None) -> None:
        """Send a message to one client, or to all where ``sid`` is None."""
        self.deliver(event, data, sid)

    async def send_json(self, event: Any, data: Any, sid: str | None = None) -> None:
        """Send a message, as `send` does."""
        self.deliver(event, data, sid)

    def send_sync(self, event: Any, data: Any, sid: str | None = None) -> None:
        """Send a message to one client, or to all where ``sid`` is None. Safe from any thread."""
        self.deliver(event, data, sid)

    def send_progress_text(self, text: Any, node_id: str, sid: str | None = None) -> None:
        """Show a line of text on a node."""
        self.deliver(BinaryEventTypes.TEXT, {"node": node_id, "text": text}, sid)

    def queue_updated(self) -> None:
        """Tell clients that the queue changed."""
        self.deliver("status", {}, None)

    def add_on_prompt_handler(self, handler: Callable[[Any], Any]) -> None:
        """Keep a function that may change a prompt before it is queued."""
        self.on_prompt_handlers.append(handler)

    def trigger_on_prompt(self, json_data: Any) -> Any:
        """Hand a prompt through all these functions."""
        for handler in self.on_prompt_handlers:
            json_data = handler(json_data)
        return json_data

    def add_routes(self) -> None:
        """Do nothing: routes are added when a server starts."""


def _nobody_hears(event: Any, data: Any, sid: str | None) -> None:
    return None


# Packs expect exactly one, from the moment they are imported.
PromptServer.instance = PromptServer()
