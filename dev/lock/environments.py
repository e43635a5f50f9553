"""The interpreters and machines that every lock has to serve, as environment markers see them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from itertools import product
from typing import Final

from packaging.markers import Marker

PYTHONS: Final = ("3.11", "3.12", "3.13", "3.14")
PATCHES: Final = ("0", "99")
"""Of a Python: the first, and one later than any other, since a marker may tell them apart."""
MACHINES: Final = (
    ("Linux", "x86_64"),
    ("Linux", "aarch64"),
    ("Darwin", "x86_64"),
    ("Darwin", "arm64"),
)


@cache
def _parsed(marker: str) -> Marker:
    return Marker(marker)


@dataclass(frozen=True)
class Environment:
    """A CPython on a machine; `python` has two numbers, `full` has three."""

    python: str
    full: str
    system: str
    machine: str

    def __str__(self) -> str:
        """Show it in a message."""
        return f"Python {self.full} on {self.system} {self.machine}"

    def meets(self, marker: str, extra: str = "") -> bool:
        """Tell whether what carries a marker, or none, is wanted here, with an extra or without."""
        return not marker or self._verdict(marker, extra)

    @cache  # noqa: B019 - there are a few dozen, all alive as long as the program
    def _verdict(self, marker: str, extra: str) -> bool:
        return _parsed(marker).evaluate(
            {
                "extra": extra,
                "implementation_name": "cpython",
                "implementation_version": self.full,
                "os_name": "posix",
                "platform_machine": self.machine,
                "platform_python_implementation": "CPython",
                "platform_release": "",
                "platform_system": self.system,
                "platform_version": "",
                "python_full_version": self.full,
                "python_version": self.python,
                "sys_platform": self.system.lower(),
            }
        )


ENVIRONMENTS: Final = tuple(
    Environment(python, f"{python}.{patch}", *machine)
    for python, patch, machine in product(PYTHONS, PATCHES, MACHINES)
)
