"""Count what a client may do too often: a bucket for each, in a table that cannot grow without end."""

from __future__ import annotations

import ipaddress
import time
from collections import OrderedDict
from collections.abc import Callable

MAX_CLIENTS = 4096


class Throttle:
    """Give each client ``burst`` tries, and one more every ``pause_s`` seconds. For one event loop."""

    def __init__(self, burst: int, pause_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._burst = burst
        self._pause_s = pause_s
        self._clock = clock
        self._spent: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def wait_s(self, client: str) -> float:
        """Return how many seconds ``client`` must wait for its next try; 0 when it may try now."""
        spent = self._level(client)
        return max(0.0, (spent - self._burst + 1) * self._pause_s) if spent > self._burst - 1 else 0.0

    def spend(self, client: str) -> None:
        """Take one try from ``client``."""
        self._spent[client] = (self._level(client) + 1, self._clock())
        self._spent.move_to_end(client)
        while len(self._spent) > MAX_CLIENTS:
            self._spent.popitem(last=False)

    def forget(self, client: str) -> None:
        """Give ``client`` all its tries back."""
        self._spent.pop(client, None)

    def _level(self, client: str) -> float:
        spent, when = self._spent.get(client, (0.0, 0.0))
        return max(0.0, spent - (self._clock() - when) / self._pause_s)


def client_key(remote: str | None) -> str:
    """Return what tells clients apart: the address; of IPv6 the /64 network, which one household has whole."""
    try:
        address = ipaddress.ip_address((remote or "").partition("%")[0])
    except ValueError:
        return remote or ""
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is None:
        return str(ipaddress.ip_network((address, 64), strict=False))
    return str(getattr(address, "ipv4_mapped", None) or address)
