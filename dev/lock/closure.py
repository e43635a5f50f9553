"""Whether a lock is closed: all that is wanted, and all that this requires in turn, is pinned.

An installer that resolves nothing takes a lock as it is. What is missing in it would be noticed by
the first import that fails, and one that resolves would take it from wherever an index has it.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from packaging.utils import canonicalize_name

from dev.lock.environments import ENVIRONMENTS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from packaging.requirements import Requirement

    from dev.lock.environments import Environment
    from dev.lock.metadata import Metadata
    from dev.lock.pins import Pin


class OpenLockError(RuntimeError):
    """A lock is not closed; the text says what is missing."""


def demand_closed(
    lock: str, pins: Sequence[Pin], wanted: Sequence[Requirement], known: Mapping[str, Metadata]
) -> None:
    """Raise OpenLockError, with every fault of a lock and one environment that has it."""
    found: dict[str, Environment] = {}
    for environment in ENVIRONMENTS:
        for fault in faults(pins, wanted, known, environment):
            found.setdefault(fault, environment)
    if found:
        lines = (f"  {fault} ({environment})" for fault, environment in found.items())
        raise OpenLockError("\n".join([f"{lock} is not closed; run make lock:", *lines]))


def faults(
    pins: Iterable[Pin],
    wanted: Iterable[Requirement],
    known: Mapping[str, Metadata],
    environment: Environment,
) -> Iterator[str]:
    """Yield what is wrong with a lock in one environment; `wanted` is what it was made for."""
    here = [pin for pin in pins if environment.meets(pin.marker)]
    yield from _unfit(here, known, environment)
    installed = {pin.name: pin for pin in here}
    for requirement, source in _required(installed, wanted, known, environment):
        held = installed.get(canonicalize_name(requirement.name))
        if held is None:
            yield f"{source} requires {requirement}, which is not pinned"
        elif not requirement.specifier.contains(held.version, prereleases=True):
            yield f"{source} requires {requirement}, and {held} is pinned"


def _unfit(
    pins: Iterable[Pin], known: Mapping[str, Metadata], environment: Environment
) -> Iterator[str]:
    """Yield what is wrong with single pins."""
    seen: dict[str, Pin] = {}
    for pin in pins:
        if pin.name in seen:
            yield f"both {seen[pin.name]} and {pin} are pinned"
        elif pin.key not in known:
            yield f"{pin} is not in metadata.json"
        elif not known[pin.key].python.contains(environment.full, prereleases=True):
            yield f"{pin} requires Python {known[pin.key].python}"
        seen[pin.name] = pin


def _required(
    installed: Mapping[str, Pin],
    wanted: Iterable[Requirement],
    known: Mapping[str, Metadata],
    environment: Environment,
) -> Iterator[tuple[Requirement, str]]:
    """Yield each requirement with who has it, those of the extras that are asked for among them."""
    asked: dict[str, set[str]] = defaultdict(set)

    def brought(pin: Pin, extras: set[str]) -> Iterator[tuple[Requirement, str]]:
        new = extras - asked[pin.name]
        asked[pin.name] |= new
        for extra in sorted(new if pin.key in known else ()):
            source = f"{pin.name}[{extra}]=={pin.version}" if extra else pin.key
            for requirement, marker in known[pin.key].conditional:
                if environment.meets(marker, extra):
                    yield requirement, source

    here = (each for each in wanted if environment.meets(str(each.marker or "")))
    waiting = [(each, "the project") for each in here]
    for pin in installed.values():
        waiting += brought(pin, {"", *pin.extras})
    while waiting:
        requirement, source = waiting.pop()
        yield requirement, source
        if found := installed.get(canonicalize_name(requirement.name)):
            waiting += brought(found, set(map(canonicalize_name, requirement.extras)))
