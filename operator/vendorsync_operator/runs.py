"""Pure: what finished Jobs and the reports of their pods say about a vendor.

A report is text that a pod wrote: it is bounded and cleaned before anything of it is shown, and the
Job, not the report, says which vendor and stream it was, what started it and when it ended.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from vendorsync_api.reasons import WHOLE_LISTING, Result, RunReason
from vendorsync_api.run import CONTAINER, RunReport
from vendorsync_api.v1alpha1 import MAX_ID, VendorStatus

if TYPE_CHECKING:
    from collections.abc import Iterable

    from vendorsync_operator.live import LiveJob

MESSAGE_LIMIT = 350
_REASON = re.compile(r"[A-Z][A-Za-z]{0,59}")
_COUNTS = (
    "total", "created", "updated", "unchanged", "rejected", "duplicate", "vanished", "repaired",
)  # fmt: skip
_REPORT_VERSION = 1


@dataclass(frozen=True)
class Outcome:
    """How one Job ended; `report` is None where its pod left none that can be read."""

    job: LiveJob
    report: RunReport | None
    exit_code: int | None = None
    fault: str = ""
    """Why there is no report, for people."""

    @property
    def order(self) -> tuple[str, bool, str]:
        """Orders the Jobs of one vendor and stream by their end.

        Ends have whole seconds; a run that was skipped comes before the others of its second.
        """
        return self.job.finished, _verdict(self)[0] is not Result.SKIPPED, self.job.key[1]


def unrecorded(entry: VendorStatus, jobs: Iterable[LiveJob], *, since: str = "") -> list[LiveJob]:
    """Return the finished Jobs of a vendor and stream that may not be recorded, oldest first.

    Others of the recorded one's second are among them: the status cannot tell whether they were.
    Jobs that started before `since` (RFC 3339 UTC) were another resource's of the same name.
    """
    newest, name = entry.completion_time or "", entry.job or ""
    found = [
        job
        for job in jobs
        if (job.vendor, job.stream) == (entry.name, entry.stream)
        and job.finished
        and job.finished >= newest
        and (job.finished, job.key[1]) != (newest, name)
        and (job.started or job.finished) >= since
    ]
    return sorted(found, key=lambda job: (job.finished, job.key[1]))


def outcome(job: LiveJob, pods: Iterable[dict[str, Any]]) -> Outcome:
    """Return how a Job ended, from the run's newest container of its pods that terminated."""
    terminated = [state for pod in pods for state in _terminated(pod)]
    if not terminated:
        return Outcome(job, None, fault=_fault(job))
    last = max(terminated, key=lambda state: str(state.get("finishedAt") or ""))
    exit_code = _clamp(last.get("exitCode"), 255)
    text = last.get("message")
    if not text:
        return Outcome(job, None, exit_code, _fault(job, last.get("reason")))
    try:
        report = RunReport.model_validate_json(text)
    except ValidationError:
        return Outcome(job, None, exit_code, "the pod's report cannot be read")
    if report.version != _REPORT_VERSION:
        return Outcome(
            job,
            None,
            exit_code,
            f"the pod's report has version {_clamp(report.version, MAX_ID)}, this operator reads"
            f" {_REPORT_VERSION}; use images of the same release",
        )
    return Outcome(job, report, exit_code)


def _terminated(pod: dict[str, Any]) -> list[dict[str, Any]]:
    statuses = (pod.get("status") or {}).get("containerStatuses") or ()
    own = (status for status in statuses if status.get("name") == CONTAINER)
    states = ((status.get("state") or {}).get("terminated") for status in own)
    return [state for state in states if state]


def _fault(job: LiveJob, container_reason: str | None = None) -> str:
    if job.completed:
        return "the Job completed, but its pod and its report are gone"
    words = [container_reason] if container_reason not in (None, "Error", "Completed") else []
    if job.reason:
        words.append(f"{job.reason}: {job.message}" if job.message else job.reason)
    return "the pod left no report" + (f"; {'; '.join(map(str, words))}" if words else "")


def advance(entry: VendorStatus, outcomes: Iterable[Outcome]) -> VendorStatus:
    """Return the entry after the outcomes of its Jobs, oldest first; known ones change nothing."""
    for ended in sorted(outcomes, key=lambda each: each.order):
        real = entry.result != Result.SKIPPED
        recorded = (entry.completion_time or "", real, entry.job or "")
        if ended.order > recorded:
            entry = _advance(entry, ended)
        elif ended.order < recorded and ended.job.finished == entry.completion_time:
            entry = _advance_beside(entry, ended)
    return entry


def _advance_beside(entry: VendorStatus, ended: Outcome) -> VendorStatus:
    """Return the entry as if a run of the recorded one's second had been recorded before it."""
    result, reason = _verdict(ended)
    if result is Result.SKIPPED:
        return entry
    if reason in WHOLE_LISTING and standing(entry) not in WHOLE_LISTING:
        entry = entry.model_copy(update={"last_total": _counts(ended)["total"]})
    if result is not Result.SUCCEEDED:
        return entry.model_copy(update={"last_failure_time": ended.job.finished})
    return entry.model_copy(
        update={
            "last_successful_time": ended.job.finished,
            "consecutive_failures": entry.consecutive_failures and 1,
            "hard_failures": None if hard_failures(entry) else entry.hard_failures,
        }
    )


def _advance(entry: VendorStatus, ended: Outcome) -> VendorStatus:
    result, reason = _verdict(ended)
    happened = {
        "result": result.value,
        "reason": reason,
        "message": _message(entry, ended, result),
        "trigger": ended.job.trigger.value,
        "job": ended.job.key[1][:63],
        "exit_code": ended.exit_code or None,
        "start_time": _start(ended),
        "completion_time": ended.job.finished,
    }
    if result is Result.SKIPPED:
        # Nothing was listed: the last real run keeps its counts, its standing and, if it failed,
        # its message, which the conditions repeat.
        kept: dict[str, Any] = {"message": entry.message} if failing(entry) else {}
        every, hard = entry.consecutive_failures or 0, hard_failures(entry)
        kept["hard_failures"] = None if hard == every else hard
        return entry.model_copy(update=happened | kept | {"standing": standing(entry)})
    return entry.model_copy(
        update=happened
        | {"standing": None, "last_total": _last_total(entry, ended)}
        | _tallies(entry, ended, result)
        | _counts(ended)
    )


def standing(entry: VendorStatus) -> str | None:
    """Return the reason of the last run that was not skipped, None before the first."""
    return entry.standing if entry.result == Result.SKIPPED else entry.reason


def failing(entry: VendorStatus) -> str | None:
    """Return the reason of the last real run unless it succeeded."""
    return standing(entry) if entry.consecutive_failures else None


def needs_action(reason: str) -> bool:
    """Tell whether somebody has to act; a reason of a later version is taken as no."""
    return reason in set(RunReason) and RunReason(reason).needs_action


def _verdict(ended: Outcome) -> tuple[Result, str]:
    report = ended.report
    if report is None or not _REASON.fullmatch(report.reason):
        return Result.FAILED, RunReason.NO_REPORT.value
    if report.result is Result.SUCCEEDED and not ended.job.completed:
        # The Job's own end is the harder fact: the pod was killed after it wrote its report.
        return Result.FAILED, RunReason.NO_REPORT.value
    return report.result, report.reason


def _message(entry: VendorStatus, ended: Outcome, result: Result) -> str | None:
    if result is Result.SUCCEEDED:
        return None
    text = ended.report.message if ended.report else ended.fault
    if ended.report is None and entry.delay:
        text = f"{entry.delay.message}; {text}"
    return clean(text) or None


def clean(text: str) -> str:
    """Return one printable line of at most MESSAGE_LIMIT characters."""
    line = " ".join("".join(c if c.isprintable() else " " for c in text[:8192]).split())
    return line if len(line) <= MESSAGE_LIMIT else line[: MESSAGE_LIMIT - 1] + "…"


def _tallies(entry: VendorStatus, ended: Outcome, result: Result) -> dict[str, Any]:
    if result is Result.SUCCEEDED:
        return {
            "last_successful_time": ended.job.finished,
            "consecutive_failures": None,
            "hard_failures": None,
        }
    # Failures of one second count once: nobody could tell which of them were counted already.
    one = entry.last_failure_time != ended.job.finished
    failures = max((entry.consecutive_failures or 0) + one, 1)
    hard = hard_failures(entry)
    if result is Result.FAILED:
        hard = max(hard + one, 1)
    return {
        "last_failure_time": ended.job.finished,
        "consecutive_failures": failures,
        "hard_failures": None if result is Result.PARTIAL or hard == failures else hard,
    }


def hard_failures(entry: VendorStatus) -> int:
    """Return how many runs in a row failed outright, which is what slows them.

    What was partial did reach the vendor; what was interrupted says nothing about it.
    """
    if entry.result == Result.PARTIAL:
        return 0
    every = entry.consecutive_failures or 0
    return every if entry.hard_failures is None else min(entry.hard_failures, every)


def _counts(ended: Outcome) -> dict[str, Any]:
    report = ended.report
    if report is None:
        return dict.fromkeys((*_COUNTS, "budget_remaining", "duration_seconds"))
    found: dict[str, Any] = {n: _clamp(getattr(report, n), MAX_ID) or None for n in _COUNTS}
    duration = min(max(report.duration_seconds, 0), 1e6)
    return found | {
        "budget_remaining": _clamp(report.budget_remaining, MAX_ID),
        "duration_seconds": round(duration, 1) if math.isfinite(duration) else None,
    }


def _last_total(entry: VendorStatus, ended: Outcome) -> int | None:
    """Return what the last complete listing had, unless the run's own total says it."""
    return None if _verdict(ended)[1] in WHOLE_LISTING else entry.size


def _start(ended: Outcome) -> str | None:
    """Return when the run began by its own clock, else when its Job did."""
    text = ended.report.start_time if ended.report else ""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return ended.job.started or None
    if moment.utcoffset() is None:
        return ended.job.started or None
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ") if not moment.utcoffset() else text[:40]


def _clamp(number: object, high: int) -> int | None:
    return min(max(number, 0), high) if isinstance(number, int) else None
