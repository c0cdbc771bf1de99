"""Count the bytes of a device: who holds what, how much there is, and what happens when it is too much.

The ledger knows no tensors. It can be told to fail at the n-th allocation, and that somebody else takes memory, which
is how tests and simulated devices bring about what a real card does on a bad day.
"""

from __future__ import annotations

from collections.abc import Container, Hashable

__all__ = ["DeviceFull", "Ledger"]


class DeviceFull(Exception):
    """Say that a device has not the memory that was asked for."""

    def __init__(self, wanted: int, free: int, capacity: int) -> None:
        super().__init__(f"the device is full: {wanted} bytes wanted, {free} of {capacity} free")
        self.wanted, self.free, self.capacity = wanted, free, capacity


class Ledger:
    """Hold what is allocated by key. `failing` are the numbers (from 0) of allocations that fail whatever is free."""

    def __init__(self, capacity: int, failing: Container[int] = ()) -> None:
        self._size = capacity
        self._taken = 0
        self._failing = failing
        self._held: dict[Hashable, int] = {}
        self.live = self.peak = self.allocations = 0

    @property
    def capacity(self) -> int:
        """Return what can be held: all, less what somebody else took, but never less than what is held now."""
        return max(self.live, self._size - self._taken)

    @property
    def free(self) -> int:
        """Return how many bytes can be allocated."""
        return self.capacity - self.live

    def take_away(self, nbytes: int) -> None:
        """Let somebody else have `nbytes` from now on; what is held stays, and is theirs once it is let go."""
        self._taken += nbytes

    def allocate(self, key: Hashable, nbytes: int) -> None:
        """Hold `nbytes` under `key`. Raises `DeviceFull`, and `KeyError` where the key is held already."""
        number, self.allocations = self.allocations, self.allocations + 1
        if key in self._held:
            raise KeyError(f"{key!r} is allocated already")
        if nbytes > self.free or number in self._failing:
            raise DeviceFull(nbytes, self.free, self.capacity)
        self._held[key] = nbytes
        self.live += nbytes
        self.peak = max(self.peak, self.live)

    def release(self, key: Hashable) -> None:
        """Let go of what `key` holds. Raises `KeyError` where that is nothing."""
        self.live -= self._held.pop(key)

    def __contains__(self, key: Hashable) -> bool:
        return key in self._held
