"""What the locks of the project are made for, as pyproject.toml has it."""

from __future__ import annotations

import tomllib
from typing import TYPE_CHECKING, Any, Final

from dev.lock.folder import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

ALL: Final = "dev"
"""The lock that has everything; the others are parts of it."""


def of_project() -> dict[str, list[str]]:
    """Return the requirements of each lock by its name; the first has everything."""
    document = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    project, groups = document["project"], document["dependency-groups"]
    needed, extras = project["dependencies"], project["optional-dependencies"]
    return {
        ALL: [*needed, *extras["operator"], *extras["syncjob"], *_group("dev", groups)],
        "operator": [*needed, *extras["operator"]],
        "syncjob": [*needed, *extras["syncjob"]],
        "build": [*_group("build", groups)],
        "simulators": [*_group("simulators", groups)],
    }


def _group(name: str, groups: Mapping[str, list[Any]]) -> Iterator[str]:
    """Yield the requirements of a dependency group and of those that it includes."""
    for each in groups[name]:
        if isinstance(each, str):
            yield each
        else:
            yield from _group(each["include-group"], groups)
