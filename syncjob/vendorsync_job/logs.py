"""Logs: one JSON object a line, or the text format of the former system, with the run's context.

Text of vendors reaches the logs; control characters and those that turn the direction of writing
are escaped, so a line is a line.
"""

from __future__ import annotations

import json
import logging
import sys
import unicodedata
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

FORMAT_VARIABLE = "VENDORSYNC_LOG_FORMAT"
"""`text` asks for the text format."""

JOINERS = "\u200c\u200d"

_CONTEXT: ContextVar[Mapping[str, Any]] = ContextVar("log context", default={})  # noqa: B039
_PLAIN = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


@contextmanager
def context(**values: object) -> Iterator[None]:
    """Put values on every line that is logged inside the block; None takes none."""
    added = {name: value for name, value in values.items() if value is not None}
    token = _CONTEXT.set({**_CONTEXT.get(), **added})
    try:
        yield
    finally:
        _CONTEXT.reset(token)


def log_dropped(log: logging.Logger, why: str) -> None:
    """Log the first value that a record does without."""
    log.warning("a value cannot be stored, and its record does without: %s", why)


def configure(
    *, text: bool, stream: TextIO | None = None, level: int = logging.INFO
) -> logging.Handler:
    """Send all logs to one stream and return the handler, which takes filters."""
    handler = logging.StreamHandler(stream or sys.stdout)
    handler.setFormatter(TextFormatter() if text else JsonFormatter())
    logging.basicConfig(handlers=[handler], level=level, force=True)
    return handler


class JsonFormatter(logging.Formatter):
    """One JSON object a line: time, level, logger, message, the context, the extra fields."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        line = {
            "time": _timestamp(record),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            **_CONTEXT.get(),
            **_extra(record),
        }
        trace = _trace(self, record)
        if trace:
            line["exception"] = trace
        # ASCII only: whatever turns the direction of writing becomes an escape.
        return json.dumps(line, default=str)


class TextFormatter(logging.Formatter):
    """`[timestamp] [SOURCE] [OPERATION] [LEVEL] [Vendor:ID] [Org:ID] message`."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        now = _CONTEXT.get()
        parts = [
            _timestamp(record),
            str(now.get("source", "system")).upper(),
            str(now.get("operation", "")),
            record.levelname,
            f"Vendor:{now['vendorId']}" if "vendorId" in now else "",
            f"Org:{now['orgId']}" if "orgId" in now else "",
        ]
        message = record.getMessage()
        extra = " ".join(
            f"{name}={_shown(value)}"
            for name, value in _extra(record).items()
            if isinstance(value, str | int | float) or (value and isinstance(value, list))
        )
        head = " ".join(f"[{part}]" for part in parts if part)
        trace = _trace(self, record)
        return plain(f"{head} {message} {extra}".rstrip()) + (f"\n{trace}" if trace else "")


def plain(text: str) -> str:
    """Return text with control and format characters escaped, Indic joiners apart."""
    return "".join(
        f"\\u{ord(letter):04x}"
        if unicodedata.category(letter) in {"Cc", "Cf", "Cs"} and letter not in JOINERS
        else letter
        for letter in text
    )


def _extra(record: logging.LogRecord) -> dict[str, Any]:
    return {name: value for name, value in vars(record).items() if name not in _PLAIN}


def _shown(value: object) -> str:
    # Items are quoted: names of plants hold blanks and commas.
    return json.dumps(value, ensure_ascii=False) if isinstance(value, list) else str(value)


def _trace(formatter: logging.Formatter, record: logging.LogRecord) -> str:
    if record.exc_info and not record.exc_text:
        return formatter.formatException(record.exc_info)
    return record.exc_text or ""


def _timestamp(record: logging.LogRecord) -> str:
    moment = datetime.fromtimestamp(record.created, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
