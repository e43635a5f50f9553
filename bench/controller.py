"""`python -m bench.controller [WORK ...]`: the operator's measures, a line each.

Real etcd and kube-apiserver with their defaults, but for etcd's fsync, which is off; the operator
is a process with the chart's rights. Ours and the baseline take turns in one run on one machine; a
figure is the best round with the worst in brackets. With STRICT=1 a short line fails the bench.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
from dataclasses import dataclass
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


@dataclass(frozen=True)
class Works:
    """The works at one size."""

    alone: Mapping[str, Callable[[], Iterator[Line]]]
    """Need no cluster."""
    growing: Mapping[str, Work]
    """On one plane, in this order: each part adds to what the one before has left."""
    finishing: Mapping[str, Work]
    """On a plane with controllers."""

    @property
    def names(self) -> tuple[str, ...]:
        """All of them."""
        return (*self.alone, *self.growing, *self.finishing)


WORKS: Final = Works(
    alone={"spread": spread.hashed},
    growing={
        "creation": creation.from_nothing,
        "memory": start.memory,
        "restart": start.restart,
        "edit": edit.one,
        "large": partial(start.memory, sizes=start.LARGE),
    },
    finishing={"finishing": finishing.quarter},
)
QUICK: Final = Works(
    alone=WORKS.alone,
    growing={
        "creation": partial(creation.from_nothing, count=creation.COUNT // 10),
        "memory": partial(start.memory, sizes=[size // 10 for size in start.SIZES]),
        "restart": partial(start.restart, count=start.COUNT // 10),
        "edit": partial(edit.one, count=edit.COUNT // 10),
        "large": partial(start.memory, sizes=[size // 10 for size in start.LARGE]),
    },
    finishing={"finishing": partial(finishing.quarter, count=100, seconds=finishing.QUICK)},
)
"""Sizes that take minutes; the goals are those of the real sizes."""
SMOKE: Final = Works(
    alone={"spread": partial(spread.hashed, count=30)},
    growing={
        "creation": partial(creation.from_nothing, count=10),
        "memory": partial(start.memory, sizes=(10, 20)),
        "restart": partial(start.restart, count=20),
        "edit": partial(edit.one, count=20),
        "large": partial(start.memory, sizes=(30,)),
    },
    finishing={
        "finishing": partial(finishing.quarter, count=finishing.FEW, seconds=finishing.A_TICK)
    },
)
"""Sizes that show no more than that each work does what it should."""


def main(arguments: list[str] | None = None) -> int:
    """Measure, print the table and return the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.controller",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "works", nargs="*", metavar="WORK", help=f"all, or {', '.join(WORKS.names)}"
    )
    size = parser.add_mutually_exclusive_group()
    size.add_argument(
        "--quick",
        action="store_true",
        help=f"a tenth of the resources, and {finishing.QUICK // 60} minutes for"
        f" {finishing.SECONDS // 60}",
    )
    size.add_argument(
        "--smoke", action="store_true", help="tiny sizes: it runs, and its figures mean nothing"
    )
    options = parser.parse_args(arguments)
    wanted = set(options.works or WORKS.names)
    if unknown := wanted - set(WORKS.names):
        parser.error(f"no work {', '.join(sorted(unknown))}; there are {', '.join(WORKS.names)}")
    # The clusters must end with us.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    print(f"Kubernetes {kubernetes_version()}, etcd without fsync; {os.cpu_count()} cores")
    print(" | ".join(HEAD).rstrip(" |"), flush=True)
    lines: list[Line] = []
    works = SMOKE if options.smoke else QUICK if options.quick else WORKS
    for line in _measure(wanted, works):
        lines.append(line)
        print(" | ".join(line.cells), flush=True)
    print(f"\n{table(lines)}")
    return exit_code(lines, os.environ)


def _measure(wanted: set[str], works: Works) -> Iterator[Line]:
    """Yield the lines of the works that are wanted, on a plane for each group that needs one."""
    for group, controllers in ((works.growing, False), (works.finishing, True)):
        if names := [name for name in group if name in wanted]:
            with Scene.open("bench", controllers=controllers) as scene:
                for name in names:
                    yield from group[name](scene)
    for name, work in works.alone.items():
        if name in wanted:
            yield from work()


if __name__ == "__main__":
    sys.exit(main())
