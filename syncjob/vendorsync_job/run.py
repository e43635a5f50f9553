"""One run, from the gate to the report.

Everything that can go wrong on the way becomes a reason with one sentence; the report and the exit
code are all that leaves a run.
"""

from __future__ import annotations

import logging
import os
import threading
import time
import uuid
from contextvars import copy_context
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Protocol

from msgspec import Struct
from msgspec.structs import replace

from vendorsync_api.reasons import RunReason
from vendorsync_job import gate, logs, report
from vendorsync_job.deadline import Watchdog
from vendorsync_job.errors import SyncError
from vendorsync_job.models import Veiled
from vendorsync_job.mounts import Mounts, secrets_of
from vendorsync_job.redact import RedactingFilter, Redactor
from vendorsync_job.report import Outcome
from vendorsync_job.settings import policy_of
from vendorsync_job.sync import Progress

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager
    from pathlib import Path

    from vendorsync_api.policy import VendorPolicy
    from vendorsync_api.reasons import Trigger
    from vendorsync_api.run import RunReport, RunSpec
    from vendorsync_job.deadline import Stop
    from vendorsync_job.mounts import TokenKeys

log = logging.getLogger(__name__)

SOURCES = {"Schedule": "cron", "Manual": "manual", "Request": "request"}


class Inputs(Veiled, frozen=True):
    """What the mounted Secrets and the adapter's policy bring."""

    hidden = ("credentials", "database_url")

    policy: VendorPolicy
    credentials: dict[str, str]
    database_url: str
    token_keys: TokenKeys


class Stream(Protocol):
    """The part of a run that needs the database and the vendor."""

    def __call__(self, run: Run, inputs: Inputs) -> Outcome:
        """Do it; any error it raises becomes the run's reason."""


class Setting(Struct, frozen=True):
    """What surrounds a run: mounts, the Job it belongs to, where its report goes, its clocks."""

    mounts: Path
    stop: Stop
    job_name: str = ""
    trigger: str = ""
    reports: tuple[Path, ...] = ()
    handlers: tuple[logging.Handler, ...] = ()
    """Log handlers, which learn what they must not show."""
    dry_run: bool = False
    full_compare: bool = False
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    monotonic: Callable[[], float] = time.monotonic


class Run:
    """One run and its state; used once."""

    def __init__(self, spec: RunSpec, setting: Setting) -> None:
        self.spec = spec
        self.setting = setting
        self.id = uuid.uuid4()
        self.progress = Progress()
        self.redactor = Redactor()
        self.calls: Callable[[], int] = int
        """How many calls the vendor has got so far."""
        self.budget_remaining: int | None = None
        """How many calls the account's tightest allowance still has, when the listing has ended."""
        self.cancel: Callable[[], None] = lambda: None
        """Cancels the statement that the database is busy with; called from another thread."""
        self.started = setting.now()
        self.deadline = setting.monotonic() + spec.deadline_seconds
        self.start = gate.start(spec.schedule, setting.job_name, setting.trigger, self.started)
        self._context = copy_context()
        self._file = report.ReportFile(setting.reports, redact=self.redactor)

    @property
    def trigger(self) -> Trigger:
        """What started the run."""
        return self.start.trigger

    def execute(self, stream: Stream) -> RunReport:
        """Do the run under a watchdog and return the report, which is written as the last act."""
        for handler in self.setting.handlers:
            handler.addFilter(RedactingFilter(self.redactor))
        watchdog = Watchdog(
            self.setting.stop,
            seconds=self.spec.deadline_seconds,
            cancel=self._cancel_statement,
            emergency=self._end_now,
        )
        with self._log_context(), watchdog:
            self._context = copy_context()
            log.info("run started", extra={"trigger": self.trigger.value})
            written = self.report(self.guarded(lambda: self._steps(stream)))
            self._log_end(written)
            self._file.write(written)
        return written

    def guarded(self, steps: Callable[[], Outcome]) -> Outcome:
        """Turn every error into an outcome; only an unknown one is worth a traceback."""
        try:
            with self.setting.stop.armed():
                return steps()
        except SyncError as error:
            if error.reason is RunReason.INTERNAL_ERROR:
                log.exception("run failed")
            return Outcome.of(error)
        except Exception as error:
            log.exception("run failed")
            return Outcome(
                RunReason.INTERNAL_ERROR, f"unexpected {type(error).__name__}; the log has more"
            )

    def report(self, outcome: Outcome) -> RunReport:
        """Return the report as things stand."""
        return report.build(
            vendor=self.spec.vendor.name,
            stream=self.spec.stream,
            # A vendor may send a secret back in its words, and a table gets the report as well.
            outcome=replace(outcome, message=self.redactor(outcome.message)),
            trigger=self.trigger,
            start=self.started,
            end=self.setting.now(),
            complete=self.progress.complete,
            counts=self.progress.counts,
            calls=self.calls(),
            budget_remaining=self.budget_remaining,
        )

    def _steps(self, stream: Stream) -> Outcome:
        mounts = Mounts(self.setting.mounts, self.spec)
        policy = policy_of(self.spec)
        credentials = mounts.credentials(policy)
        self.redactor.add(*secrets_of(policy, credentials))
        url = mounts.database_url()
        self.redactor.add(*secrets_of(policy, {}, url))
        keys = mounts.token_keys()
        gate.check(self.spec.schedule, self.start, self.setting.now())
        return stream(self, Inputs(policy, credentials, url, keys))

    def _cancel_statement(self) -> None:
        self.cancel()

    def _end_now(self, error: SyncError) -> None:
        """End the process with a report; what was not committed is rolled back by the server."""
        written = self.report(Outcome.of(error))
        if self._file.write(written):
            # In a thread, since the run may hang with the lock of the logs in its hand.
            last = threading.Thread(
                target=self._context.run, args=(self._log_end, written), daemon=True
            )
            last.start()
            last.join(1)
            os._exit(written.exit_code)

    def _log_context(self) -> AbstractContextManager[None]:
        spec = self.spec
        return logs.context(
            source=SOURCES[self.trigger.value],
            requestId=str(self.id),
            operation=f"sync-{spec.stream}",
            vendorName=spec.vendor.title,
            orgId=spec.organization.id,
            run=self.setting.job_name or str(self.id),
            stream=spec.stream,
        )

    def _log_end(self, written: RunReport) -> None:
        log.log(
            logging.ERROR if written.exit_code else logging.INFO,
            "run ended: %s",
            report.sentence(written),
            extra={"report": written.wire()},
        )
