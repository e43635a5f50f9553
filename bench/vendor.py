"""The job as a process against a simulated Solarman: how soon it asks, how little it adds."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import orjson

from bench.database import ORGANIZATION, VENDOR, create
from bench.fleet import Fleet, OneToken
from bench.measure import Figure, alternate, demand, shown, timed
from bench.report import Goal, Line
from dev.simulators import Accounts, simulators
from dev.trial.folder import trial_folder
from vendorsync_api.vendors import SOLARMAN
from vendorsync_job.answers import json_object
from vendorsync_job.http import HttpVendorClient, Limits
from vendorsync_job.network import Endpoint
from vendorsync_job.vendors.solarman import LIST_PATH, SolarmanAdapter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from bench.database import Bench
    from dev.database import PostgresServer
    from dev.simulators.running import Simulators
    from dev.trial.folder import TrialFolder

ACCOUNT: Final = "sim-north"
STARTS: Final = 15
IMPORTS: Final = "import httpx, psycopg, pydantic, time; print(time.time())"
LISTINGS: Final = 3
READINGS: Final = 1000
PLANTS: Final = 10_000
PAGE_SECONDS: Final = 0.1


def start(server: PostgresServer, starts: int = STARTS) -> Iterator[Line]:
    """Measure from the start of the process to the vendor's first request."""
    with _Scene.open(server, "start", plants=250) as scene:
        # What any side imports is compiled from now on, as in the images.
        scene.job()
        scene.plain()
        scene.imports()
        ours, plain, imports = alternate(
            starts,
            lambda _: scene.until_first_call(scene.job),
            lambda _: scene.until_first_call(scene.plain),
            lambda _: scene.imports(),
        )
    for words, baseline in (
        ("importing httpx, psycopg and pydantic", imports),
        ("a bare script with the three", plain),
    ):
        yield Line(
            "job start to first vendor request",
            _middle(ours),
            f"{words}: {_middle(baseline)}",
            ours.median / baseline.median,
            Goal(1.5, at_least=False),
        )


def pages(server: PostgresServer, plants: int = PLANTS) -> Iterator[Line]:
    """Measure the reading of a page's bytes, and a first run on slow pages against the pages."""
    yield _page_read()
    with _Scene.open(server, "pages", plants=plants) as scene:
        scene.vendors.truth("solarman", ACCOUNT)
        scene.vendors.fault("latency", path=LIST_PATH, seconds=PAGE_SECONDS)

        def our_side(_: int) -> float:
            scene.bench.empty()
            report = scene.job()
            demand((report["result"], report["created"]), ("Succeeded", plants))
            return float(report["durationSeconds"])

        ours, baseline = alternate(LISTINGS, our_side, lambda _: scene.sum_of_pages(plants))
    yield Line(
        f"{plants:,} new plants, {PAGE_SECONDS * 1000:.0f} ms a page of {SOLARMAN.page_size}",
        str(ours),
        f"the adapter's own pages: {baseline}",
        ours.best / baseline.best,
        Goal(1.15, at_least=False),
    )


def _page_read() -> Line:
    """Measure a page from its bytes to an object of a checked shape, against parsing alone."""
    body = orjson.dumps({"success": True, "stationList": Fleet(SOLARMAN.page_size).rows()})

    def our_side(_: int) -> float:
        return timed(
            lambda: json_object([body], encoding="", content_type="", limit=Limits().answer)
        )

    ours, baseline = alternate(READINGS, our_side, lambda _: timed(lambda: orjson.loads(body)))
    return Line(
        f"a page of {SOLARMAN.page_size} rows: parsed, and its shape checked",
        _a_row(ours),
        f"orjson.loads of its bytes: {_a_row(baseline)}",
        ours.best / baseline.best,
        Goal(2.1, at_least=False),
    )


def _a_row(figure: Figure) -> str:
    return f"{figure.best / SOLARMAN.page_size * 1e6:.1f} µs a row"


@dataclass(frozen=True)
class _Scene:
    """Vendors, database and the files of a run."""

    vendors: Simulators
    bench: Bench
    folder: TrialFolder

    @classmethod
    @contextmanager
    def open(cls, server: PostgresServer, name: str, *, plants: int) -> Iterator[_Scene]:
        """Open a scene whose account has so many plants."""
        known = Accounts.from_file()
        resized = tuple(
            replace(account, plants=plants) if account.name == ACCOUNT else account
            for account in known.solarman
        )
        bench = create(server, name)
        with (
            tempfile.TemporaryDirectory(prefix="vendorsync-bench-") as scratch,
            simulators(replace(known, solarman=resized)) as vendors,
        ):
            folder = trial_folder(
                Path(scratch),
                origin=vendors.solarman_url,
                ca=vendors.ca_file.read_text(encoding="utf-8"),
                url=bench.url,
            )
            spec = json.loads(folder.spec.read_text(encoding="utf-8"))
            demand(spec["organization"]["id"], ORGANIZATION)
            spec["vendor"]["id"] = VENDOR
            folder.spec.write_text(json.dumps(spec), encoding="utf-8")
            yield cls(vendors, bench, folder)

    def job(self) -> dict[str, Any]:
        """Run the job's process and return its report."""
        path = self.folder.path / "report.json"
        command = [sys.executable, "-m", "vendorsync_job", "run", *self.folder.arguments]
        subprocess.run(
            [*command, "--report", str(path)],
            check=True,
            stdout=subprocess.DEVNULL,
            env=self._environment,
        )
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return found

    def plain(self) -> None:
        """Run the bare script's process."""
        path = self.folder.path
        url = (path / "database" / "url").read_text(encoding="utf-8")
        origin, ca = self.vendors.solarman_url, str(path / "ca" / "ca.crt")
        told = [str(self.folder.spec), url, origin, ca, LIST_PATH]
        subprocess.run(
            [sys.executable, "-m", "bench.plain", *told], check=True, env=self._environment
        )

    def until_first_call(self, work: Callable[[], object]) -> float:
        """Return the seconds until the work's process has called the vendor."""
        self.vendors.clear_calls()
        began = time.time()
        work()
        first = self.vendors.calls()[0]
        return datetime.fromisoformat(first.started_at).timestamp() - began

    def imports(self) -> float:
        """Return the seconds until a process has imported the three libraries."""
        began = time.time()
        done = subprocess.run(
            [sys.executable, "-c", IMPORTS],
            check=True,
            capture_output=True,
            text=True,
            env=self._environment,
        )
        return float(done.stdout) - began

    @property
    def _environment(self) -> dict[str, str]:
        """Keep bytecode in the scene's folder, whatever the caller's settings are."""
        kept = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
        return {**kept, "PYTHONPYCACHEPREFIX": str(self.folder.path / "bytecode")}

    def sum_of_pages(self, plants: int) -> float:
        """Read the listing with the real adapter and client alone; return the sum of its pages."""
        credentials = {
            path.name: path.read_text(encoding="utf-8")
            for path in (self.folder.path / "credentials").iterdir()
        }
        seconds, records = 0.0, 0
        with HttpVendorClient(
            Endpoint(self.vendors.solarman_url, allow_private=True, ca_file=self.vendors.ca_file),
            adapter_title=SOLARMAN.title,
        ) as client:
            adapter = SolarmanAdapter(client, credentials, SOLARMAN.check_options({}))
            listed = adapter.plants(OneToken(adapter.authenticate().token))
            while records < plants:
                began = time.perf_counter()
                page = next(listed)
                seconds += time.perf_counter() - began
                records += len(page.records)
        return seconds


def _middle(figure: Figure) -> str:
    seconds = figure.seconds
    return f"median {shown(figure.median)} ({shown(min(seconds))} to {shown(max(seconds))})"
