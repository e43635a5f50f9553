"""What a lock pins: a version of a distribution, and the marker under which it is installed."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

if TYPE_CHECKING:
    from pathlib import Path


class PinError(ValueError):
    """A line of a lock pins no exact version; the text is the line."""


@dataclass(frozen=True)
class Pin:
    """A distribution of a lock, with the extras that its line asks for; `marker` may be empty."""

    name: str
    version: Version
    extras: frozenset[str]
    marker: str

    @classmethod
    def parse(cls, line: str) -> Pin:
        """Read a line such as `zipp==4.1.2 ; python_version < '3.12'`; raise PinError."""
        wanted = Requirement(line)
        exact = [each.version for each in wanted.specifier if each.operator == "=="]
        if len(exact) != 1 or exact[0].endswith("*"):
            raise PinError(f"no exact version: {line}")
        extras = frozenset(map(canonicalize_name, wanted.extras))
        marker = str(wanted.marker or "")
        return cls(canonicalize_name(wanted.name), Version(exact[0]), extras, marker)

    @cached_property
    def key(self) -> str:
        """The name and the version, as in a requirement."""
        return f"{self.name}=={self.version}"

    def __str__(self) -> str:
        """Show it in a message."""
        return self.key


def read(path: Path) -> tuple[Pin, ...]:
    """Return the pins of a lock; its hashes are for the installer."""
    lines = path.read_text(encoding="utf-8").replace("\\\n", " ").splitlines()
    requirements = (line.partition(" --hash=")[0].strip() for line in lines)
    return tuple(Pin.parse(line) for line in requirements if line and not line.startswith("#"))
