"""Pure: texts of a bounded length; an ellipsis stands for what is cut off."""

from __future__ import annotations

_ELLIPSIS = "…"
_READ = 8192
"""Characters of a text that are looked at."""


def cut(text: str, limit: int) -> str:
    """Return a text of at most that many characters."""
    return text if len(text) <= limit else text[: limit - 1] + _ELLIPSIS


def cut_bytes(text: str, limit: int) -> str:
    """Return a text of at most that many bytes of UTF-8, cut between two characters."""
    encoded = text.encode(errors="replace")
    if len(encoded) <= limit:
        return text
    return encoded[: limit - len(_ELLIPSIS.encode())].decode(errors="ignore") + _ELLIPSIS


def one_line(text: str, limit: int) -> str:
    """Return one printable line of at most that many characters."""
    line = " ".join("".join(c if c.isprintable() else " " for c in text[:_READ]).split())
    return cut(line, limit)
