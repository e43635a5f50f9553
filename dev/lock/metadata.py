"""What the pinned distributions require: requirements/metadata.json, from their wheels' METADATA.

For each name and version the Python that it wants and its requirements, word for word. A lock has
neither, so that nothing could tell without an index whether one is complete.
"""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
import tempfile
from collections import defaultdict
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Final

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

from dev.lock.environments import ENVIRONMENTS
from dev.lock.folder import LOCKS
from dev.lock.pins import Pin, read

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

FILE: Final = LOCKS / "metadata.json"
Known = dict[str, "Metadata"]
"""By `name==version`."""


@dataclass(frozen=True)
class Metadata:
    """Of one version of a distribution."""

    python: SpecifierSet
    requires: tuple[Requirement, ...]

    @classmethod
    def of(cls, python: str | None, requires: Iterable[str] | None) -> Metadata:
        """Take the values of Requires-Python and Requires-Dist, which may be absent."""
        return cls(SpecifierSet(python or ""), tuple(map(Requirement, requires or ())))

    @cached_property
    def conditional(self) -> tuple[tuple[Requirement, str], ...]:
        """Each requirement with its marker, which may be empty."""
        return tuple((each, str(each.marker or "")) for each in self.requires)

    @property
    def document(self) -> dict[str, object]:
        """What the file holds of it."""
        return {"python": str(self.python), "requires": list(map(str, self.requires))}


def load(file: Path = FILE) -> Known:
    """Return what the file holds."""
    if not file.exists():
        return {}
    stored = json.loads(file.read_text(encoding="utf-8"))
    return {key: Metadata.of(found["python"], found["requires"]) for key, found in stored.items()}


def pinned(folder: Path = LOCKS) -> dict[str, Pin]:
    """Return the pins of all locks that a supported environment installs, by `name==version`."""
    return {
        pin.key: pin
        for path in sorted(folder.glob("*.txt"))
        for pin in read(path)
        if any(each.meets(pin.marker) for each in ENVIRONMENTS)
    }


def refresh() -> Known:
    """Bring the file in step with the locks; pip reads what is new, and nothing else is asked."""
    pins, known = pinned(), load()
    found = known | ask([pin for key, pin in pins.items() if key not in known])
    kept = {key: found[key] for key in sorted(pins)}
    documents = {key: each.document for key, each in kept.items()}
    FILE.write_text(json.dumps(documents, indent=1) + "\n", encoding="utf-8")
    return kept


def ask(pins: Iterable[Pin]) -> Known:
    """Return the METADATA of wheels, as pip reports it without an installation."""
    found: Known = {}
    for python, requirements in _rounds(pins):
        print(f"reading the metadata of {len(requirements)} wheels", flush=True)
        with tempfile.TemporaryDirectory() as scratch:
            report = Path(scratch) / "report.json"
            command = [sys.executable, "-m", "pip", "install", "--dry-run", "--no-deps", "--quiet"]
            command += ["--disable-pip-version-check", "--ignore-installed", f"--report={report}"]
            # Of one Python alone, so that a wheel that ours has no use for is found, too.
            command += ["--only-binary=:all:", f"--python-version={python}", f"--target={scratch}"]
            subprocess.run([*command, *requirements], check=True)
            for item in json.loads(report.read_text(encoding="utf-8"))["install"]:
                told = item["metadata"]
                key = f"{canonicalize_name(told['name'])}=={Version(told['version'])}"
                found[key] = Metadata.of(told.get("requires_python"), told.get("requires_dist"))
    return found


def _rounds(pins: Iterable[Pin]) -> Iterator[tuple[str, list[str]]]:
    """Yield Pythons and what to ask for each; pip takes one version of a name at a time."""
    rounds: Mapping[tuple[str, int], list[str]] = defaultdict(list)
    versions: Mapping[str, Iterator[int]] = defaultdict(itertools.count)
    for pin in pins:
        python = next(each.python for each in ENVIRONMENTS if each.meets(pin.marker))
        rounds[python, next(versions[pin.name])].append(pin.key)
    for (python, _), requirements in rounds.items():
        yield python, requirements
