"""The log as JSON, one object a line, for programs that collect it."""

from __future__ import annotations

import datetime
import json
import logging
from typing import Final

FIELDS: Final = ("job", "node")
"""What a record says beside its message, where it is about a job (``extra={"job": id}``)."""


class JsonLines(logging.Formatter):
    """Writes a record as ``{"time", "level", "logger", "message", "job", "node", "trace"}``; the last three if any."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line of a record."""
        said = {
            "time": datetime.datetime.fromtimestamp(record.created, datetime.UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        said |= {name: found for name in FIELDS if (found := getattr(record, name, None)) is not None}
        if record.exc_info and not record.exc_text:
            record.exc_text = self.formatException(record.exc_info)
        return json.dumps(said | ({"trace": record.exc_text} if record.exc_text else {}), ensure_ascii=False)
