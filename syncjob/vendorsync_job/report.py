"""The report of a run: made from its progress, written once, as the last act."""

from __future__ import annotations

import logging
import os
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

from vendorsync_api.reasons import RunReason, Trigger
from vendorsync_api.run import TERMINATION_PATH, RunReport
from vendorsync_job.models import Counts

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from vendorsync_job.errors import SyncError

log = logging.getLogger(__name__)

GONE = {"plants": "newly vanished", "alerts": "ended"}
"""What becomes of stored records that a complete listing lacks, by stream."""


class Outcome(Struct, frozen=True):
    """Why a run ended, in a word and a sentence; the sentence is empty when all is well."""

    reason: RunReason = RunReason.SYNCED
    message: str = ""

    @classmethod
    def of(cls, error: SyncError) -> Outcome:
        """Return the outcome that an error means."""
        return cls(error.reason, str(error))


def build(
    *,
    vendor: str,
    stream: str,
    outcome: Outcome,
    trigger: Trigger,
    start: datetime,
    end: datetime,
    complete: bool,
    counts: Counts,
    calls: int,
    budget_remaining: int | None = None,
) -> RunReport:
    """Return the report; a good run has no message."""
    return RunReport(
        vendor=vendor,
        stream=stream,
        result=outcome.reason.result,
        reason=outcome.reason.value,
        message=outcome.message,
        trigger=trigger,
        exit_code=int(outcome.reason.exit_code),
        start_time=_timestamp(start),
        completion_time=_timestamp(end),
        duration_seconds=round((end - start).total_seconds(), 3),
        complete=complete,
        total=counts.total,
        created=counts.created,
        updated=counts.updated,
        unchanged=counts.unchanged,
        rejected=counts.rejected,
        duplicate=counts.duplicate,
        vanished=counts.vanished,
        repaired=counts.repaired,
        values_dropped=counts.values_dropped,
        calls=calls,
        budget_remaining=budget_remaining,
    )


class ReportFile:
    """Where the report goes; whoever comes first writes it, the run or its watchdog."""

    def __init__(self, paths: Sequence[Path], *, redact: Callable[[str], str] = str) -> None:
        self._paths = paths
        self.redact = redact
        self._written = threading.Lock()

    def write(self, report: RunReport) -> bool:
        """Write the report in one piece; tell whether this call was the first."""
        if not self._written.acquire(blocking=False):
            return False
        clean = report.model_copy(update={"message": self.redact(report.message)})
        raw = clean.to_message().encode()
        for path in self._paths:
            try:
                _write(path, raw)
            except OSError as error:
                log.error("the report cannot be written: %s", error)  # noqa: TRY400
        return True


def _write(path: Path, raw: bytes) -> None:
    # No rename: in a pod the file is a mount of its own, and a rename fails with EXDEV.
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    try:
        os.write(descriptor, raw)
    finally:
        os.close(descriptor)


def sentence(written: RunReport) -> str:
    """Return a report in one line for people."""
    how = f"{written.result.value} ({written.reason})"
    if written.message:
        how += f": {written.message}"
    repaired = f" ({written.repaired} repaired)" if written.repaired else ""
    dropped = f" ({written.values_dropped} values dropped)" if written.values_dropped else ""
    gone = f", {written.vanished} {GONE[written.stream]}" if written.vanished else ""
    return (
        f"{how}; {written.total} records: {written.created} created, {written.updated} updated"
        f"{repaired}, {written.unchanged} unchanged, {written.rejected} rejected"
        f"{dropped}, {written.duplicate} duplicate{gone} in {written.duration_seconds:.1f} s with"
        f" {written.calls} calls"
    )


def report_paths(
    extra: Path | None, termination: Path = Path(TERMINATION_PATH)
) -> tuple[Path, ...]:
    """Return where the report goes: the termination message of a container, and a file if asked."""
    found = [termination] if termination.exists() else []
    return tuple(found if extra is None else [*found, extra])


def refuse(error: SyncError, paths: Sequence[Path]) -> int:
    """Report a run that could not even start, and return its exit code."""
    now = datetime.now(UTC)
    written = build(
        vendor="",
        stream="plants",
        outcome=Outcome.of(error),
        trigger=Trigger.MANUAL,
        start=now,
        end=now,
        complete=False,
        counts=Counts(),
        calls=0,
    )
    log.error("run refused: %s", error, extra={"reason": written.reason})
    ReportFile(paths).write(written)
    return written.exit_code


def _timestamp(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
