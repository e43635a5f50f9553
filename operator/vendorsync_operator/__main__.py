"""Command line: `run` the operator; `render` and `preview` resources without a cluster."""

from __future__ import annotations

import argparse
import asyncio
import gc
import logging
import os
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from vendorsync_api.policy import load_policy
from vendorsync_api.reasons import ExitCode
from vendorsync_operator import files, preview
from vendorsync_operator.settings import Settings, SettingsError
from vendorsync_operator.spec import render

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from vendorsync_api.v1alpha1 import VendorSync
    from vendorsync_operator.spec.accept import Accepted


class _UsageError(Exception):
    """Bad input; the text is the one sentence to print."""


def command(arguments: Sequence[str] | None = None, env: Mapping[str, str] = os.environ) -> int:
    """Run one command and return its exit code; 64 for bad input."""
    parsed = _parser().parse_args(arguments)
    try:
        settings = Settings.from_env(env)
        match parsed.command:
            case "run":
                return _run(settings)
            case "render":
                _render(settings, parsed)
            case _:
                _preview(settings, parsed)
    except (SettingsError, files.FileError, _UsageError) as error:
        sys.stderr.write(f"vendorsync_operator: {error}\n")
        return ExitCode.CONFIGURATION
    return ExitCode.OK


class _Parser(argparse.ArgumentParser):
    """Ends with the exit code for usage that the sync job has, too."""

    def error(self, message: str) -> None:  # type: ignore[override]
        self.exit(ExitCode.CONFIGURATION, f"{self.prog}: {message}\n")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="python -m vendorsync_operator", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("run", help="run the operator against the current cluster")
    rendering = commands.add_parser("render", help="print the CronJobs of the resources in a file")
    rendering.add_argument("file", help="YAML file, - for standard input")
    rendering.add_argument(
        "--run",
        metavar="VENDOR[/STREAM]",
        help="print the contract of one run instead, of plants if no stream is named, for"
        " python -m vendorsync_job",
    )
    previewing = commands.add_parser("preview", help="print the next runs of resources in a file")
    previewing.add_argument("file", help="YAML file, - for standard input")
    previewing.add_argument(
        "--at", type=_moment, help="start from this moment, RFC 3339 (default: now)"
    )
    previewing.add_argument(
        "--count", type=_count, default=5, help="runs of each vendor and stream (default: 5)"
    )
    for reading in (rendering, previewing):
        reading.add_argument(
            "--namespace",
            "-n",
            default="default",
            help="of resources that name none (default: default); spread: Hashed depends on it",
        )
    return parser


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is None or moment.utcoffset() is None:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a moment with an offset; write for example 2026-11-22T18:50:00+05:30"
        )
    return moment


def _count(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= 1000):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 1 to 1000")
    return int(text)


def _run(settings: Settings) -> int:
    # Here, not above: the two other commands need neither kopf nor the cluster's client.
    from vendorsync_operator import logs, main  # noqa: PLC0415

    logs.configure(settings.log_level)
    # What is read from lists and watches is freed by its last reference; CPython's thresholds would
    # have the collector look through all of it time and again, a third of the time of a start.
    gc.freeze()
    gc.set_threshold(100_000, 50, 100)
    try:
        asyncio.run(main.run(settings))
    except Exception as error:
        # To end and be restarted is the cure for a dead stream; a start costs a few requests.
        logging.getLogger(__name__).critical("operator ended: %s", error, exc_info=True)
        return ExitCode.INTERNAL
    return ExitCode.OK


def _render(settings: Settings, parsed: argparse.Namespace) -> None:
    served = _served(settings, parsed)
    if parsed.run is not None:
        sys.stdout.write(_contract(settings, served, parsed.file, parsed.run))
        return
    documents = [
        render.cron_job(resource, accepted, settings)
        for resource, accepted_ones in served
        for accepted in accepted_ones
    ]
    sys.stdout.write(files.dump(documents))


def _contract(
    settings: Settings, served: list[tuple[VendorSync, list[Accepted]]], path: str, wanted: str
) -> str:
    """Return the RunSpec of one vendor's run as JSON for people."""
    vendor, _, stream = wanted.partition("/")
    runs = {
        accepted.assignment.key: render.run_spec(resource, accepted, settings)
        for resource, accepted_ones in served
        for accepted in accepted_ones
    }
    key = vendor, stream or "plants"
    if len(served) > 1 or key not in runs:
        names = ", ".join(sorted("/".join(found) for found in runs))
        raise _UsageError(
            f"{path} has no single resource with a run {'/'.join(key)!r}; it has: {names}"
        )
    return runs[key].model_dump_json(by_alias=True, exclude_none=True, indent=2) + "\n"


def _preview(settings: Settings, parsed: argparse.Namespace) -> None:
    after = parsed.at or datetime.now(UTC)
    table = preview.table(_served(settings, parsed), after=after, count=parsed.count)
    sys.stdout.write(f"{table}\n")


def _served(
    settings: Settings, parsed: argparse.Namespace
) -> list[tuple[VendorSync, list[Accepted]]]:
    """Return the resources of a file, all of which can be served, or raise _UsageError."""
    found = []
    for resource in files.load(parsed.file, namespace=parsed.namespace):
        accepted, refused = preview.judged(resource, settings=settings, policies=load_policy)
        subject = f"{parsed.file}: VendorSync {resource.metadata.name}"
        for refusal in refused:
            raise _UsageError(f"{subject}: {refusal}")
        for each in accepted:
            if each.notice:
                said = f"{subject}: {each.assignment}: {each.notice}"
                sys.stderr.write(f"vendorsync_operator: {said}\n")
        found.append((resource, accepted))
    return found


if __name__ == "__main__":
    sys.exit(command())
