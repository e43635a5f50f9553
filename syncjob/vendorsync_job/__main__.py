"""Command line of the sync job: run, check, migrate, version.

Signals are taken over before anything else is imported: process 1 of a container that has no
handler for SIGTERM ignores it. So this module imports inside of functions, for the others as well:
each command, and each part of a run, pays for its own libraries only.
"""

from __future__ import annotations

import argparse
import gc
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from vendorsync_job.deadline import Stop

if TYPE_CHECKING:
    import logging
    from collections.abc import Callable, Mapping, Sequence

    from vendorsync_api.run import RunReport
    from vendorsync_job.errors import SyncError
    from vendorsync_job.redact import Redactor
    from vendorsync_job.report import Outcome
    from vendorsync_job.run import Inputs, Run, Setting


class Parser(argparse.ArgumentParser):
    """Ends with the exit code of configuration and usage, where argparse would take 2."""

    def error(self, message: str) -> NoReturn:
        """Say what is wrong and end the process."""
        self.print_usage(sys.stderr)
        self.exit(64, f"{self.prog}: {message}\n")


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    top = Parser(prog="vendorsync_job", description="One sync of one vendor.")
    commands = top.add_subparsers(dest="command", required=True)
    run = commands.add_parser("run", help="list the vendor's plants and write what changed")
    check = commands.add_parser(
        "check", help="log in once, whatever the database knows of the account, and count plants"
    )
    for command in (run, check):
        command.add_argument(
            "--spec", type=Path, help="JSON file with the RunSpec (default: $VENDORSYNC_RUN)"
        )
        command.add_argument(
            "--mounts",
            type=Path,
            default=Path("/var/run/vendorsync"),
            help="folder of credentials/, database/, token-keys/ and ca/ (default: %(default)s)",
        )
        command.add_argument(
            "--text-logs", action="store_true", help="log lines for people instead of JSON"
        )
    run.add_argument(
        "--dry-run",
        action="store_true",
        help="compare only, write nothing; what is absent is not judged",
    )
    run.add_argument(
        "--full-compare",
        action="store_true",
        help="compare rows themselves, not only what was last written to them",
    )
    run.add_argument("--report", type=Path, help="write the report to this file as well")
    _add_migrate(commands)
    columns = commands.add_parser(
        "columns", help="tell what becomes of each column of the application's tables"
    )
    _add_database(columns, "file with the URL of runs, or the owner's")
    commands.add_parser("version", help="print the version")
    return top


def _add_migrate(commands: argparse._SubParsersAction[Parser]) -> None:
    migrate = commands.add_parser("migrate", help="bring the database up to date; owner's role")
    _add_database(migrate, "file with the owner's URL")
    migrate.add_argument(
        "--run-url-file", type=Path, help="file with the URL of runs; creates that role"
    )
    migrate.add_argument(
        "--policies",
        action="store_true",
        help="add the organization policy to tables of yours that have row-level security on",
    )


def _add_database(command: Parser, whose: str) -> None:
    command.add_argument("--url-file", type=Path, required=True, help=whose)
    command.add_argument("--schema", default="public", help="schema of the application's tables")


def main(arguments: Sequence[str] | None = None, environ: Mapping[str, str] | None = None) -> int:
    """Run one command and return its exit code."""
    stop = Stop()
    stop.listen()
    environ = os.environ if environ is None else environ
    options = parser().parse_args(arguments)
    commands: dict[str, Callable[[], int]] = {
        "run": lambda: _run(options, environ, stop),
        "check": lambda: _check(options, environ, stop),
        "migrate": lambda: _migrate(options, stop),
        "columns": lambda: _columns(options),
        "version": _version,
    }
    # Modules live as long as the process: looking for garbage while they load finds none.
    gc.disable()
    try:
        return commands[options.command]()
    finally:
        gc.enable()


def _run(options: argparse.Namespace, environ: Mapping[str, str], stop: Stop) -> int:
    from vendorsync_job.errors import SyncError  # noqa: PLC0415
    from vendorsync_job.report import refuse, report_paths  # noqa: PLC0415
    from vendorsync_job.settings import load_spec  # noqa: PLC0415

    reports = report_paths(options.report)
    people = options.dry_run and sys.stdout.isatty()
    handler = _logs(options, environ, people=people)
    try:
        spec = load_spec(options.spec, environ)
    except SyncError as error:
        return refuse(error, reports)
    from vendorsync_job.run import Run  # noqa: PLC0415

    run = Run(spec, _setting(options, environ, stop, handler, reports))
    written = run.execute(_stream)
    if people:
        _print([run.redactor(line) for line in preview(written)])
    return written.exit_code


def _stream(run: Run, inputs: Inputs) -> Outcome:
    # Here, since a run that the gate turns away shall pay for neither psycopg nor httpx.
    from vendorsync_job.stream import sync_stream  # noqa: PLC0415

    # What is loaded stays, so nobody has to look at it again.
    gc.freeze()
    gc.enable()
    return sync_stream(run, inputs)


def _check(options: argparse.Namespace, environ: Mapping[str, str], stop: Stop) -> int:
    import logging  # noqa: PLC0415

    from vendorsync_job.check import check  # noqa: PLC0415
    from vendorsync_job.errors import SyncError  # noqa: PLC0415
    from vendorsync_job.redact import RedactingFilter, Redactor  # noqa: PLC0415
    from vendorsync_job.settings import load_spec  # noqa: PLC0415

    gc.enable()
    handler = _logs(options, environ, people=sys.stdout.isatty())
    redactor = Redactor()
    handler.addFilter(RedactingFilter(redactor))
    try:
        spec = load_spec(options.spec, environ)
        finding = check(spec, _setting(options, environ, stop, handler, ()), redactor.add)
    except SyncError as error:
        return _fail(error, redactor)
    if sys.stdout.isatty():
        _print(finding.lines())
    else:
        logging.getLogger("vendorsync_job.check").info("checked", extra=vars(finding))
    return 0


def _migrate(options: argparse.Namespace, stop: Stop) -> int:
    from contextlib import closing  # noqa: PLC0415

    from vendorsync_job.errors import SyncError  # noqa: PLC0415
    from vendorsync_job.redact import Redactor  # noqa: PLC0415
    from vendorsync_job.store.connection import Database  # noqa: PLC0415
    from vendorsync_job.store.inventory import inventory  # noqa: PLC0415
    from vendorsync_job.store.migrate import migrate  # noqa: PLC0415
    from vendorsync_job.store.rights import is_ours  # noqa: PLC0415
    from vendorsync_job.store.schema import lacks  # noqa: PLC0415

    gc.enable()
    redactor = Redactor()
    try:
        run_url = _url(options.run_url_file, redactor) if options.run_url_file else None
        owner_url = _url(options.url_file, redactor)
        database = Database(owner_url, schema=options.schema)
        with closing(database), stop.armed():
            done = migrate(database, run_url=run_url, policies=options.policies)
            wanting = lacks(database)
            with database.transaction(read_only=True) as cursor:
                ours = is_ours(cursor, database.schema)
            columns = [] if ours else inventory(database)
    except SyncError as error:
        return _fail(error, redactor)
    _print(done or [f"nothing to do: {database.where} is up to date"])
    _print([f"runs of {stream} will be refused: {fault}" for stream, fault in wanting.items()])
    _print(columns)
    return 0


def _columns(options: argparse.Namespace) -> int:
    from contextlib import closing  # noqa: PLC0415

    from vendorsync_job.errors import SyncError  # noqa: PLC0415
    from vendorsync_job.redact import Redactor  # noqa: PLC0415
    from vendorsync_job.store.connection import Database  # noqa: PLC0415
    from vendorsync_job.store.inventory import inventory  # noqa: PLC0415

    redactor = Redactor()
    try:
        database = Database(_url(options.url_file, redactor), schema=options.schema)
        with closing(database):
            lines = inventory(database)
    except SyncError as error:
        return _fail(error, redactor)
    _print(lines)
    return 0


def _url(file: Path, redactor: Redactor) -> str:
    """Return the URL that a file holds, hidden from then on; an error names the file."""
    from vendorsync_job.errors import ConfigurationError  # noqa: PLC0415
    from vendorsync_job.settings import read_url  # noqa: PLC0415
    from vendorsync_job.store.url import passwords  # noqa: PLC0415

    url = read_url(file)
    try:
        redactor.add(url, *passwords(url))
    except ConfigurationError as error:
        raise ConfigurationError(f"{file}: {error}") from None
    return url


def _version() -> int:
    from importlib.metadata import version  # noqa: PLC0415

    _print([f"vendorsync {version('vendorsync')}"])
    return 0


def _logs(
    options: argparse.Namespace, environ: Mapping[str, str], *, people: bool
) -> logging.Handler:
    """Send logs to stdout; where people read the result there, only warnings, and to stderr."""
    import logging  # noqa: PLC0415

    from vendorsync_job import logs  # noqa: PLC0415

    text = options.text_logs or people or environ.get(logs.FORMAT_VARIABLE) == "text"
    if people:
        return logs.configure(text=text, stream=sys.stderr, level=logging.WARNING)
    return logs.configure(text=text)


def _setting(
    options: argparse.Namespace,
    environ: Mapping[str, str],
    stop: Stop,
    handler: logging.Handler,
    reports: tuple[Path, ...],
) -> Setting:
    from vendorsync_api.run import JOB_NAME_VARIABLE, TRIGGER_VARIABLE  # noqa: PLC0415
    from vendorsync_job.run import Setting  # noqa: PLC0415

    return Setting(
        mounts=options.mounts,
        stop=stop,
        job_name=environ.get(JOB_NAME_VARIABLE, ""),
        trigger=environ.get(TRIGGER_VARIABLE, ""),
        reports=reports,
        handlers=(handler,),
        dry_run=getattr(options, "dry_run", False),
        full_compare=getattr(options, "full_compare", False),
    )


def preview(report: RunReport) -> list[str]:
    """Return a dry run's report for people: what would change, and whatever is to be said of it."""
    from vendorsync_api.reasons import Result  # noqa: PLC0415

    lines = []
    if report.result in (Result.SUCCEEDED, Result.PARTIAL):
        lines += [
            f"plants listed: {report.total}",
            f"would be created: {report.created}",
            f"would be updated: {report.updated}",
            f"unchanged: {report.unchanged}",
        ]
    if report.rejected:
        lines.append(f"could not be stored: {report.rejected}")
    if report.message:
        lines.append(f"{report.reason}: {report.message}")
    return lines


def _fail(error: SyncError, redact: Callable[[str], str]) -> int:
    sys.stderr.write(f"{error.reason.value}: {redact(str(error))}\n{error.reason.advice}\n")
    return int(error.reason.exit_code)


def _print(lines: Sequence[str]) -> None:
    from vendorsync_job.logs import plain  # noqa: PLC0415

    sys.stdout.write("".join(f"{plain(line)}\n" for line in lines))


if __name__ == "__main__":
    sys.exit(main())
