"""Pure: what finished Jobs and the reports of their pods say about a vendor.

A report is text that a pod wrote: it is bounded and cleaned before anything of it is shown, and the
Job, not the report, says which vendor and stream it was, what started it and when it ended.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from vendorsync_api.reasons import WHOLE_LISTING, DelayReason, Result, RunReason
from vendorsync_api.run import CONTAINER, RunReport
from vendorsync_api.v1alpha1 import MAX_ID, VendorStatus
from vendorsync_operator.bounds import one_line

if TYPE_CHECKING:
    from collections.abc import Iterable

    from vendorsync_operator.cache.live import LiveJob

MESSAGE_LIMIT = 350
_REASON = re.compile(r"[A-Z][A-Za-z]{0,59}")
_COUNTS = (
    "total", "created", "updated", "unchanged", "rejected", "duplicate", "vanished", "repaired",
)  # fmt: skip
_REPORT_VERSION = 1
_LISTED = (Result.SUCCEEDED, Result.PARTIAL)
_LOST = "the run's Job completed, but its pod and its report are gone"
_SILENT = (Result.SKIPPED, Result.UNKNOWN)
"""They say nothing of how the vendor stands: what the last real run said of it holds."""


@dataclass(frozen=True)
class Outcome:
    """How one Job ended; `report` is None where its pod left none that can be read."""

    job: LiveJob
    report: RunReport | None
    exit_code: int | None = None
    fault: str = ""
    """Why there is no report, for people."""
    ended: str = ""
    """When the run's container ended, RFC 3339 UTC; empty where nothing is left of it."""
    lost: bool = False
    """The Job completed, so there was a report, and nothing is left of it."""

    @property
    def order(self) -> tuple[str, bool, str]:
        """Orders the Jobs of one vendor and stream by their end.

        Ends have whole seconds; a run that says nothing comes before the others of its second.
        """
        return self.job.finished, _verdict(self)[0] not in _SILENT, self.job.key[1]


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
        fault = _LOST if job.completed else _fault(job)
        return Outcome(job, None, fault=fault, lost=job.completed)
    last = max(terminated, key=_ended)
    report, fault = _report(job, last)
    return Outcome(job, report, _clamp(last.get("exitCode"), 255), fault, _ended(last))


def early_outcome(job: LiveJob, pods: Iterable[dict[str, Any]]) -> Outcome | None:
    """Return how a run ended whose Job goes on, since other containers keep its newest pod.

    None for one that goes on itself, or whose Job is about to end or to try again.
    """
    pod = newest_pod(pods)
    terminated = _terminated(pod)
    if not (terminated and keepers_of(pod)):
        return None
    last = terminated[-1]
    completed = last.get("exitCode") == 0
    return outcome(replace(job, finished=_ended(last), completed=completed), [pod])


def newest_pod(pods: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """Return the pod that was made last; a Job that tries again makes one after the other."""
    return max(pods, key=lambda pod: str(pod["metadata"].get("creationTimestamp") or ""))


def keepers_of(pod: dict[str, Any]) -> list[str]:
    """Return the names of the containers beside the run's that run, sorted."""
    statuses = (pod.get("status") or {}).get("containerStatuses") or ()
    return sorted(
        str(status.get("name"))
        for status in statuses
        if status.get("name") != CONTAINER and "running" in (status.get("state") or {})
    )


def end_of(pod: dict[str, Any]) -> str:
    """Return when the run's container of a pod ended, RFC 3339 UTC; empty while it goes on."""
    return max(map(_ended, _terminated(pod)), default="")


def _ended(terminated: dict[str, Any]) -> str:
    return str(terminated.get("finishedAt") or "")


def _report(job: LiveJob, terminated: dict[str, Any]) -> tuple[RunReport | None, str]:
    """Return what a container left, or why that is no report."""
    text = terminated.get("message")
    if not text:
        return None, _fault(job, terminated.get("reason"))
    try:
        report = RunReport.model_validate_json(text)
    except ValidationError:
        return None, "the pod's report cannot be read"
    if report.version != _REPORT_VERSION:
        return None, (
            f"the pod's report has version {_clamp(report.version, MAX_ID)}, but this operator"
            f" reads version {_REPORT_VERSION}. Use images of the same release"
        )
    return report, ""


def _terminated(pod: dict[str, Any]) -> list[dict[str, Any]]:
    statuses = (pod.get("status") or {}).get("containerStatuses") or ()
    own = (status for status in statuses if status.get("name") == CONTAINER)
    states = ((status.get("state") or {}).get("terminated") for status in own)
    return [state for state in states if state]


def _fault(job: LiveJob, container_reason: str | None = None) -> str:
    words = [container_reason] if container_reason not in (None, "Error", "Completed") else []
    if job.reason:
        words.append(f"{job.reason}: {job.message}" if job.message else job.reason)
    return "the pod left no report" + (f" ({', '.join(map(str, words))})" if words else "")


def advance(entry: VendorStatus, outcomes: Iterable[Outcome]) -> VendorStatus:
    """Return the entry after the outcomes of its Jobs, oldest first; known ones change nothing."""
    for ended in sorted(outcomes, key=lambda each: each.order):
        if _was_told(entry, ended):
            continue
        recorded = (entry.completion_time or "", not is_silent(entry), entry.job or "")
        if ended.order > recorded:
            entry = _advance(entry, ended)
        elif ended.order < recorded and ended.job.finished == entry.completion_time:
            entry = _advance_beside(entry, ended)
    return entry


def _was_told(entry: VendorStatus, ended: Outcome) -> bool:
    """Tell whether the end of a Job is that of a run whose own end was recorded before it.

    Its pod is gone by then if the Job ended by its deadline. A container that ended later is
    another try.
    """
    recorded = entry.completion_time or ""
    if ended.job.started > recorded or ended.ended > recorded:
        return False
    was_kept = entry.delay is not None and entry.delay.reason == DelayReason.SIDECAR_RUNNING
    return entry.job == ended.job.key[1] or (was_kept and not ended.ended)


def _advance_beside(entry: VendorStatus, ended: Outcome) -> VendorStatus:
    """Return the entry as if a run of the recorded one's second had been recorded before it."""
    result, reason = _verdict(ended)
    if result in _SILENT:
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
    if result in _SILENT:
        # Nothing is known to be listed: the last real run keeps its counts, its standing and, if it
        # failed, its message, which the conditions repeat.
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


def is_silent(entry: VendorStatus) -> bool:
    """Tell whether the last run says nothing of the vendor: it was skipped, or its report lost."""
    return entry.result in _SILENT


def is_lost(entry: VendorStatus) -> bool:
    """Tell whether the report of the last run is lost, and what was known before was no failure."""
    return entry.result == Result.UNKNOWN and not failing(entry)


def standing(entry: VendorStatus) -> str | None:
    """Return the reason of the last run that said how the vendor stands, None before the first."""
    return entry.standing if is_silent(entry) else entry.reason


def failing(entry: VendorStatus) -> str | None:
    """Return the reason of the last real run unless it succeeded."""
    return standing(entry) if entry.consecutive_failures else None


def listed(entry: VendorStatus) -> bool:
    """Tell whether the run that the counts are of read the vendor's listing, if only in part."""
    if not is_silent(entry):
        return entry.result in _LISTED
    return entry.standing in set(RunReason) and RunReason(entry.standing).result in _LISTED


def needs_action(reason: str) -> bool:
    """Tell whether somebody has to act; a reason of a later version is taken as no."""
    return reason in set(RunReason) and RunReason(reason).needs_action


def _verdict(ended: Outcome) -> tuple[Result, str]:
    report = ended.report
    if ended.lost:
        return Result.UNKNOWN, RunReason.REPORT_LOST.value
    if report is None or not _REASON.fullmatch(report.reason):
        return Result.FAILED, RunReason.NO_REPORT.value
    if report.result is Result.SUCCEEDED and ended.exit_code:
        # The end of the process is the harder fact: it was killed after it wrote its report. The
        # end of the Job is not, which other containers of the pod may have kept until its deadline.
        return Result.FAILED, RunReason.NO_REPORT.value
    return report.result, report.reason


def _message(entry: VendorStatus, ended: Outcome, result: Result) -> str | None:
    if result is Result.SUCCEEDED:
        return None
    text = ended.report.message if ended.report else ended.fault
    if ended.report is None and entry.delay:
        text = f"{entry.delay.message}. {text[:1].upper()}{text[1:]}"
    return clean(text) or None


def clean(text: str) -> str:
    """Return one printable line of at most MESSAGE_LIMIT characters."""
    return one_line(text, MESSAGE_LIMIT)


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
