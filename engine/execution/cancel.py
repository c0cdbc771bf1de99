"""The one way to stop a run: somebody sets a token, the run looks at it between steps."""

from __future__ import annotations

from engine.errors import Cancelled


class CancelToken:
    """A flag that goes up once and stays up.

    It is one attribute and no lock on purpose: a signal handler may interrupt the very thread that would hold the
    lock, and setting an attribute is atomic.
    """

    __slots__ = ("_cancelled",)

    def __init__(self) -> None:
        self._cancelled = False

    def cancel(self) -> None:
        """Ask the run to stop at its next step. Safe from any thread and from a signal handler."""
        self._cancelled = True

    @property
    def cancelled(self) -> bool:
        """Say whether the run was asked to stop."""
        return self._cancelled

    def check(self) -> None:
        """Raise `Cancelled` when the run was asked to stop."""
        if self._cancelled:
            raise Cancelled()
