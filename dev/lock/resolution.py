"""How uv makes a lock: exact versions and hashes for every platform and Python, no addresses."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from packaging.requirements import Requirement

from dev.lock import closure, metadata
from dev.lock.environments import PYTHONS
from dev.lock.folder import LOCKS, ROOT
from dev.lock.pins import read

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

COMMON: Final = [
    "--quiet",
    "--universal",
    "--python-version",
    PYTHONS[0],
    "--generate-hashes",
    "--no-emit-index-url",
    "--no-emit-find-links",
    "--no-annotate",
    "--no-header",
]


def make(wanted: Mapping[str, Sequence[str]], options: Mapping[str, Iterable[str]]) -> None:
    """Write requirements/<name>.txt for each name, and what their distributions require.

    `options` are more of uv's own by name. Raises OpenLockError for a lock that misses something.
    """
    uv = str(Path(sys.executable).parent / "uv")
    for name, requirements in wanted.items():
        target = f"requirements/{name}.txt"
        print(target, flush=True)
        command = [uv, "pip", "compile", *COMMON, *options.get(name, ()), "-"]
        subprocess.run(
            [*command, f"--output-file={target}"],
            cwd=ROOT,
            check=True,
            input="\n".join(requirements),
            text=True,
            stdout=subprocess.DEVNULL,
        )
    known = metadata.refresh()
    for name, requirements in wanted.items():
        pins = read(LOCKS / f"{name}.txt")
        closure.demand_closed(name, pins, [*map(Requirement, requirements)], known)
