"""`python -m bench.operator [WORK ...]`: the operator's measures, a line each.

Real etcd and kube-apiserver with their defaults, but for etcd's fsync, which is off; the operator
is a process with the chart's rights. Ours and the baseline take turns in one run on one machine; a
figure is the best round with the worst in brackets. With STRICT=1 a short line fails the bench.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
from functools import partial
from typing import TYPE_CHECKING, Final

from bench import creation, edit, finishing, spread, start
from bench.report import HEAD, exit_code, table
from bench.scene import Scene
from dev.cluster.toolchain import kubernetes_version

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from bench.report import Line

    Work = Callable[[Scene], Iterator[Line]]

ALONE: Final[Mapping[str, Work]] = {"spread": spread.hashed}
"""Needs no cluster."""
GROWING: Final[Mapping[str, Work]] = {
    "creation": creation.from_nothing,
    "memory": start.memory,
    "restart": start.restart,
    "edit": edit.one,
    "large": partial(start.memory, sizes=start.LARGE),
}
"""On one plane, in this order: each part adds to what the one before has left."""
FINISHING: Final[Mapping[str, Work]] = {"finishing": finishing.quarter}
"""On a plane with controllers."""
WORKS: Final = {**ALONE, **GROWING, **FINISHING}


def main(arguments: list[str] | None = None) -> int:
    """Measure, print the table and return the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.operator",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("works", nargs="*", metavar="WORK", help=f"all, or {', '.join(WORKS)}")
    parser.add_argument(
        "--quick",
        action="store_true",
        help=f"a tenth of the resources, and {finishing.QUICK // 60} minutes for"
        f" {finishing.SECONDS // 60}",
    )
    options = parser.parse_args(arguments)
    wanted = set(options.works or WORKS)
    if unknown := wanted - WORKS.keys():
        parser.error(f"no work {', '.join(sorted(unknown))}; there are {', '.join(WORKS)}")
    # The clusters must end with us.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    print(f"Kubernetes {kubernetes_version()}, etcd without fsync; {os.cpu_count()} cores")
    print(" | ".join(HEAD).rstrip(" |"), flush=True)
    lines: list[Line] = []
    for line in _measure(wanted, _quick() if options.quick else WORKS):
        lines.append(line)
        print(" | ".join(line.cells), flush=True)
    print(f"\n{table(lines)}")
    return exit_code(lines, os.environ)


def _measure(wanted: set[str], works: Mapping[str, Work]) -> Iterator[Line]:
    """Yield the lines of the works that are wanted, on a plane for each group that needs one."""
    for group, controllers in ((GROWING, False), (FINISHING, True)):
        if names := [name for name in group if name in wanted]:
            with Scene.open("bench", controllers=controllers) as scene:
                for name in names:
                    yield from works[name](scene)
    for name in ALONE:
        if name in wanted:
            yield from spread.hashed()


def _quick() -> Mapping[str, Work]:
    """Return the works at sizes that take minutes; the goals are those of the real sizes."""
    return {
        **WORKS,
        "creation": partial(creation.from_nothing, count=creation.COUNT // 10),
        "memory": partial(start.memory, sizes=[size // 10 for size in start.SIZES]),
        "restart": partial(start.restart, count=start.COUNT // 10),
        "edit": partial(edit.one, count=edit.COUNT // 10),
        "large": partial(start.memory, sizes=[size // 10 for size in start.LARGE]),
        "finishing": partial(finishing.quarter, count=100, seconds=finishing.QUICK),
    }


if __name__ == "__main__":
    sys.exit(main())
