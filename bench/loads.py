"""100,000 plants from payload dicts to commit, against dlt and a Singer target."""

from __future__ import annotations

import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Final

import orjson

from bench.database import create
from bench.fleet import Fleet
from bench.loaders import foreign, ours
from bench.measure import alternate, demand
from bench.report import Goal, Line

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from bench.database import Bench
    from bench.loaders import Program
    from dev.database import PostgresServer

COUNT: Final = 100_000
ROUNDS: Final = 3
BASELINES: Final = {
    "dlt": "dlt merge, upsert, parquet by ADBC",
    "singer": "Singer target-postgres, COPY",
    "arrow": "dlt, dicts made an Arrow table first",
}

GOALS: Final = {"dlt": Goal(15), "singer": Goal(10), "arrow": Goal(2.5)}


def changed(server: PostgresServer, count: int = COUNT) -> Iterator[Line]:
    """Measure all of them in turns, each in a process and a database of its own."""
    programs = {
        "ours": ours(),
        "dlt": foreign("dlt"),
        "singer": foreign("singer"),
        "arrow": foreign("dlt", BENCH_ARROW="1"),
    }
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        files = [_written(folder, count, version) for version in range(ROUNDS + 1)]
        sides = [
            _side(stack, create(server, f"load_{name}"), program, files, count)
            for name, program in programs.items()
        ]
        figures = dict(zip(programs, alternate(ROUNDS, *sides), strict=True))
        for name, words in BASELINES.items():
            own, baseline = figures["ours"], figures[name]
            yield Line(
                f"{count:,} plants, 1 % changed, from payload dicts",
                str(own),
                f"{words}: {baseline}",
                baseline.best / own.best,
                GOALS[name],
            )


def _written(folder: Path, count: int, version: int) -> Path:
    path = folder / f"{version}.jsonl"
    path.write_bytes(b"\n".join(orjson.dumps(row) for row in Fleet(count, version).rows()))
    return path


def _side(
    stack: ExitStack, bench: Bench, program: Program, files: list[Path], count: int
) -> Callable[[int], float]:
    """Load the first version, and return what loads the version of a round."""
    url = bench.url if program.command == ours().command else bench.owner_url
    loader = stack.enter_context(program.loading(url))
    loader.load(file=str(files[0]))

    def side(number: int) -> float:
        bench.settle()
        answer = loader.load(file=str(files[number]))
        demand(answer["updated"], count // 100 if "created" in answer else count)
        return float(answer["seconds"])

    return side
