"""Keep secrets and forged lines out of the log, whichever logger a line comes through."""

from __future__ import annotations

import logging
import re

MASK = "[hidden]"
_SECRETS = re.compile(
    r"(?P<keep>\bBearer\s+|\bBasic\s+|safelight_session=|"
    r"[\w-]*(?:token|api[_-]?key|password|secret)[\w-]*[\"']?\s*[=:]\s*[\"']?)(?P<secret>[^\s\"'&;,}]+)|\bsl_[0-9a-f]{12}_[\w-]+"
    r"|#[A-Za-z0-9_-]{43}\b",
    re.IGNORECASE,
)
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")


class CleanRecords(logging.Filter):
    """Mask tokens, and write control characters as escapes so that one record is one line (tracebacks apart)."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Clean ``record`` and let it pass."""
        try:
            text = record.getMessage()
        except (TypeError, ValueError):  # arguments that do not fit: the line matters more than its form
            text = f"{record.msg!s} {record.args!r}"
        record.msg, record.args = one_line(without_secrets(text)), ()
        if record.exc_info:
            shown = record.exc_text or logging.Formatter().formatException(record.exc_info)
            record.exc_text = without_secrets(shown)
        return True


def clean_logs(handler: logging.Handler) -> None:
    """Add the filter to ``handler``, once. A handler's filters see what every logger sends there."""
    if not any(isinstance(one, CleanRecords) for one in handler.filters):
        handler.addFilter(CleanRecords())


def without_secrets(text: str) -> str:
    """Replace tokens, keys and passwords in ``text``."""
    return _SECRETS.sub(lambda found: (found["keep"] or "") + MASK, text)


def one_line(text: str) -> str:
    """Write line breaks, escapes of terminals and marks that turn the writing round as backslash escapes."""
    return _CONTROL.sub(lambda found: found[0].encode("unicode_escape").decode("ascii"), text)
