"""Reading the fields of a request: of their type and in their range, or an error that names them all."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from typing import Any, Final

from engine.server.sdapi.refusals import FieldErrors

MOST: Final = 2**128
"""No whole number is larger."""


class Fields:
    """The fields of one body, with what was found wrong so far. Null is the same as left out."""

    def __init__(self, body: Mapping[str, Any]) -> None:
        self._body = body
        self._errors: list[tuple[str, str]] = []

    def given(self, name: str) -> Any:
        """Return a value as it came; None where it was left out."""
        return self._body.get(name)

    def wrong(self, name: str, why: str) -> None:
        """Note that a field cannot be meant or done."""
        self._errors.append((name, why))

    def whole(self, name: str, default: int, low: int, high: int, *, multiple: int = 1) -> int:
        """Return a whole number within ``low`` .. ``high``."""
        value = self._number(name, default)
        if value != int(value) or not low <= value <= high:
            self.wrong(name, f"a whole number from {low} to {high} is expected, not {value:g}")
            return default
        if int(value) % multiple:
            self.wrong(name, f"a multiple of {multiple} is expected, not {int(value)}")
            return default
        return int(value)

    def real(self, name: str, default: float, low: float, high: float) -> float:
        """Return a number within ``low`` .. ``high``."""
        value = self._number(name, default)
        if not low <= value <= high:
            self.wrong(name, f"a number from {low:g} to {high:g} is expected, not {value:g}")
            return default
        return float(value)

    def _number(self, name: str, default: float) -> float:
        value = self._body.get(name)
        if value is None:
            return default
        if isinstance(value, str):
            try:
                value = float(value) if len(value) < 40 else None
            except ValueError:
                value = None
        if isinstance(value, int) and abs(value) > MOST:
            value = None
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
            self.wrong(name, "a number is expected")
            return default
        return value

    def text(self, name: str, default: str = "") -> str:
        """Return a text."""
        value = self._body.get(name)
        if value is None:
            return default
        if not isinstance(value, str):
            self.wrong(name, "a text is expected")
            return default
        return value

    def truth(self, name: str, default: bool) -> bool:
        """Return true or false; 0 and 1 are taken, too."""
        value = self._body.get(name)
        if value is None:
            return default
        if value not in (True, False):
            self.wrong(name, "true or false is expected")
            return default
        return bool(value)

    def texts(self, name: str) -> tuple[str, ...]:
        """Return a list of texts."""
        value = self._body.get(name)
        if value is None:
            return ()
        if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
            self.wrong(name, "a list of texts is expected")
            return ()
        return tuple(value)

    def mapping(self, name: str) -> Mapping[str, Any]:
        """Return an object."""
        value = self._body.get(name)
        if value is None:
            return {}
        if not isinstance(value, Mapping):
            self.wrong(name, "an object is expected")
            return {}
        return value

    def only(self, name: str, neutral: Collection[Any], why: str = "is not supported") -> None:
        """Refuse a field that has any but a neutral value, one that changes nothing."""
        value = self._body.get(name)
        if value is not None and value not in neutral:
            self.wrong(name, why)

    def done(self) -> None:
        """Raise `FieldErrors` with everything that was wrong."""
        if self._errors:
            raise FieldErrors(self._errors)
