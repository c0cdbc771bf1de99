"""The call of a pack's node that runs now: who asks, for which node, and the modes that packs expect around it."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import dataclasses
import inspect
import itertools
import sys
import threading
from collections.abc import Awaitable, Callable, Coroutine, Generator, Iterator
from typing import Any

from engine.errors import NodeFailure


@dataclasses.dataclass(frozen=True, slots=True)
class Owner:
    """The pack that a class came from.

    ``module`` is shown as its ``python_module``; ``version`` is the digest of the pack's whole tree, so that results
    of an edited pack are not taken for those of its new code.
    """

    name: str
    module: str
    version: str


class Call:
    """One call of a node. ``index`` counts the calls of the node for the items of a list; ``graphs`` its graphs."""

    __slots__ = ("context", "graphs", "index", "owner")

    def __init__(self, owner: Owner, context: Any, index: int = 0) -> None:
        self.owner = owner
        self.context = context
        self.index = index
        self.graphs: Iterator[int] = itertools.count()

    @property
    def node_id(self) -> str:
        """The id of the node that is called."""
        return str(self.context.node_id)


_current: contextvars.ContextVar[Call | None] = contextvars.ContextVar("safelight_pack_call", default=None)
_importing: contextvars.ContextVar[str | None] = contextvars.ContextVar("safelight_pack_import", default=None)


def current_call() -> Call | None:
    """Return the call that runs in this thread or task, or None outside any."""
    return _current.get()


def who_asks() -> str:
    """Name the pack whose code runs, for messages: ``pack 'x'``, or ``a pack`` where it is not known."""
    call = _current.get()
    name = call.owner.name if call is not None else _importing.get()
    return f"pack {name!r}" if name else "a pack"


@contextlib.contextmanager
def importing(name: str) -> Iterator[None]:
    """Remember that the code of pack ``name`` is being imported."""
    token = _importing.set(name)
    try:
        yield
    finally:
        _importing.reset(token)


class calling:
    """Run the body as part of a call: packs that ask who runs are told, and tensors need no gradients."""

    __slots__ = ("_call", "_mode", "_token")

    def __init__(self, call: Call) -> None:
        self._call = call

    def __enter__(self) -> None:
        self._token = _current.set(self._call)
        # A pack without tensors does not make torch load.
        mode = getattr(sys.modules.get("torch"), "inference_mode", None)
        self._mode = None if mode is None else mode()
        if self._mode is not None:
            self._mode.__enter__()

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        if self._mode is not None:
            self._mode.__exit__(kind, error, trace)
        _current.reset(self._token)
        if isinstance(error, AttributeError):
            failure = _not_offered(error, self._call)
            if failure is not None:
                raise failure from error


def _not_offered(error: AttributeError, call: Call) -> NodeFailure | None:
    """Return the error to raise where a pack asked one of our own values for what it does not have, or None."""
    kind = error.obj if isinstance(error.obj, type) else type(error.obj)
    if error.name is None or error.obj is None or not kind.__module__.startswith("engine."):
        return None
    return NodeFailure(
        f"pack {call.owner.name!r} asks a {kind.__name__} for {error.name!r}, which Safelight does not offer",
        code="E-NOT-OFFERED",
        hint="patching models from node packs is not supported yet; use the built-in nodes for it",
    )


class Stepped:
    """Await something so that each of its steps, and nothing between them, runs as part of ``call``.

    The inference mode of torch belongs to the thread, so holding it across an ``await`` would hand it to whatever
    else the loop runs meanwhile.
    """

    def __init__(self, call: Call, awaitable: Awaitable[Any], then: Callable[[Any], Any]) -> None:
        self._call = call
        self._awaitable = awaitable
        self._then = then

    def __await__(self) -> Generator[Any, Any, Any]:
        steps = self._awaitable.__await__()
        step: Callable[[], Any] = lambda: next(steps)  # noqa: E731
        while True:
            try:
                with calling(self._call):
                    waited_for = step()
            except StopIteration as done:
                with calling(self._call):
                    return self._then(done.value)
            try:
                answer = yield waited_for
            except BaseException as error:  # noqa: BLE001 (handed on to whoever waits)
                step = _thrower(steps, error)
            else:
                step = _sender(steps, answer)


def _thrower(steps: Any, error: BaseException) -> Callable[[], Any]:
    def step() -> Any:
        if not hasattr(steps, "throw"):
            raise error
        return steps.throw(error)

    return step


def _sender(steps: Any, answer: Any) -> Callable[[], Any]:
    def step() -> Any:
        return next(steps) if answer is None or not hasattr(steps, "send") else steps.send(answer)

    return step


def settle(made: Any) -> Any:
    """Return ``made``, or what it gives when it is awaitable. Works inside a running loop, too, which then waits."""
    if not inspect.isawaitable(made):
        return made
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(_awaited(made))
    return _in_a_thread(_awaited(made))


async def _awaited(awaitable: Awaitable[Any]) -> Any:
    return await awaitable


def _in_a_thread(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """Run ``coroutine`` in a loop of its own in another thread, and wait for it."""
    outcome: list[Any] = []
    raised: list[BaseException] = []
    context = contextvars.copy_context()

    def work() -> None:
        try:
            outcome.append(context.run(asyncio.run, coroutine))
        except BaseException as error:  # noqa: BLE001 (raised again below, in the thread that asked)
            raised.append(error)

    thread = threading.Thread(target=work, name="safelight-settle")
    thread.start()
    thread.join()
    if raised:
        raise raised[0]
    return outcome[0]
