"""Pure: why a run that should go on does not, from its Job, its pods, and Events where it has none.

What the kubelet and the API server say holds names of pods, counters and times. So each cause is
told in our own words, with those of theirs that stay the same while the state does.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from vendorsync_api.reasons import DelayReason
from vendorsync_api.run import CONTAINER
from vendorsync_api.v1alpha1 import Delay
from vendorsync_operator.bounds import cut
from vendorsync_operator.results import refusals
from vendorsync_operator.results.runs import end_of, keepers_of, newest_pod

if TYPE_CHECKING:
    from collections.abc import Iterable

    from vendorsync_operator.cache.live import LiveCronJob, LiveJob

    Document = dict[str, Any]

PROMPTNESS = timedelta(seconds=45)
"""In which a Job has a container that runs, unless something is wrong."""
LATE = timedelta(seconds=50)
"""After a tick: by then its Job exists and was given its time. Less than a minute, which is what
the promise is; more than PROMPTNESS, so that one look at the clock serves both."""
NEWNESS = timedelta(seconds=5)
"""After its creation, a CronJob's: a tick by then may have been before it."""
SLOW_START = timedelta(minutes=2)
"""Time for a node to pull an image and to mount volumes, of which nothing is heard meanwhile."""
PARTING = timedelta(seconds=30)
"""After the end of the run's container, other containers of its pod have this long to end."""
OVERTIME = timedelta(minutes=1)
"""Past its deadline a Job has this long to end its pods; their own grace is half of it."""

_DELAY_LIMIT = 350
"""Characters of a message."""
_IMAGE_TROUBLE = frozenset(
    {
        "ErrImagePull",
        "ImagePullBackOff",
        "InvalidImageName",
        "ErrImageNeverPull",
        "ImageInspectError",
        "RegistryUnavailable",
        "SignatureValidationFailed",
    }
)
_STARTING = frozenset({"ContainerCreating", "PodInitializing"})
_NODES = {
    "node affinity/selector": "no node has the labels of spec.run.nodeSelector",
    "untolerated taint": "nodes have taints that spec.run.tolerations does not cover",
    "Insufficient cpu": "nodes lack cpu",
    "Insufficient memory": "nodes lack memory",
    "Insufficient ephemeral-storage": "nodes lack ephemeral storage",
    "Too many pods": "nodes hold as many pods as they may",
    "unschedulable": "nodes are cordoned",
}


def covers(live: LiveCronJob, tick: datetime) -> bool:
    """Tell whether a tick lies so far after a CronJob's creation that its controller counts it."""
    return not live.created or tick >= _moment(live.created) + NEWNESS


def due(job: LiveJob) -> datetime:
    """Return from when on a Job that has not ended is worth a look."""
    if job.waiting:
        return _moment(job.created) + (timedelta() if job.ran else PROMPTNESS)
    return _ending(job) or datetime.max.replace(tzinfo=UTC)


def of_time(job: LiveJob, now: datetime) -> Delay | None:
    """Return why a Job that has not ended should have, whatever its pods say."""
    ending = _ending(job)
    if ending is None or now < ending:
        return None
    return Delay(
        reason=DelayReason.NOT_ENDING,
        message="the run's Job is past its deadline and has not ended",
    )


def of_pods(job: LiveJob, pods: Iterable[Document], now: datetime) -> Delay | None:
    """Return why no container of a Job runs, as its newest pod tells; None while all is well."""
    newest = newest_pod(pods)
    status = newest.get("status") or {}
    if newest["metadata"].get("deletionTimestamp"):
        return _leaving(newest, now)
    if status.get("phase") not in (None, "Pending"):
        return _of_sidecars(newest, now)
    age = now - _moment(newest["metadata"].get("creationTimestamp") or job.created)
    return (
        _of_container(newest)
        or _of_scheduling(newest, is_new=age < PROMPTNESS)
        or (_still_starting() if age >= SLOW_START else None)
    )


def _leaving(pod: Document, now: datetime) -> Delay | None:
    """A pod that outlives its own deletion keeps the next one from being made."""
    if now < _moment(pod["metadata"]["deletionTimestamp"]) + OVERTIME:
        return None
    return Delay(
        reason=DelayReason.NOT_ENDING,
        message="a pod of the run was deleted, but its node has not confirmed that",
    )


def _of_sidecars(pod: Document, now: datetime) -> Delay | None:
    """Return which containers keep a pod whose run has ended; they have a moment to end, too."""
    ended, keepers = end_of(pod), keepers_of(pod)
    if not (ended and keepers) or now < _moment(ended) + PARTING:
        return None
    containers = f"container{'s' * (len(keepers) > 1)} {', '.join(keepers)}"
    return Delay(
        reason=DelayReason.SIDECAR_RUNNING,
        message=cut(f"the run has ended, but its pod is kept by the {containers}", _DELAY_LIMIT),
    )


def _of_container(pod: Document) -> Delay | None:
    for status in (pod.get("status") or {}).get("containerStatuses") or ():
        waiting = (status.get("state") or {}).get("waiting") or {}
        reason = waiting.get("reason")
        if status.get("name") == CONTAINER and reason and reason not in _STARTING:
            return _refused_container(reason, status, str(waiting.get("message") or ""))
    return None


def _refused_container(reason: str, status: Document, message: str) -> Delay:
    if reason in _IMAGE_TROUBLE:
        # The kubelet goes back and forth between trying and waiting: one word for both.
        image = str(status.get("image") or "of the run")[:200]
        return Delay(
            reason=DelayReason.IMAGE_UNAVAILABLE,
            message=f"the node cannot get the run's image {image}",
        )
    told = refusals.missing(message) or f"the node reports {_word(reason)}"
    return Delay(
        reason=DelayReason.CONTAINER_REFUSED, message=f"the run's container cannot be made: {told}"
    )


def _of_scheduling(pod: Document, *, is_new: bool) -> Delay | None:
    if pod.get("spec", {}).get("nodeName"):
        return None
    conditions = (pod.get("status") or {}).get("conditions") or ()
    found: Document = next((c for c in conditions if c.get("type") == "PodScheduled"), {})
    if not found and is_new:
        return None
    text = str(found.get("message") or "")
    causes = [told for words, told in _NODES.items() if words in text]
    told = ", ".join(causes) or "the scheduler gives no known cause"
    if not found:
        told = "no scheduler has tried it yet"
    return Delay(
        reason=DelayReason.UNSCHEDULABLE, message=f"the run's pod cannot be scheduled: {told}"
    )


def _still_starting() -> Delay:
    return Delay(
        reason=DelayReason.POD_PENDING,
        message="the run's pod has a node, but its container has not started there",
    )


def without_pod(job: LiveJob, events: Iterable[Document]) -> Delay | None:
    """Return why a Job has no pod, from its Events of creations that failed.

    None for one that had a pod, or is said to have one: the next is about to be made.
    """
    told = _refusal(events, job.key[1], job.cron_job)
    if told is None and job.tried:
        return None
    if told is None:
        return Delay(reason=DelayReason.POD_PENDING, message="the run's Job has no pod")
    return Delay(reason=DelayReason.POD_REFUSED, message=f"the run's pod is refused: {told}")


def without_job(cron_job: str, events: Iterable[Document], *, since: str) -> Delay:
    """Return why a tick passed without a Job, from such Events of the CronJob since then."""
    told = _refusal((event for event in events if _seen(event) >= since[:19]), cron_job)
    if told is None:
        return Delay(
            reason=DelayReason.NOT_STARTED, message="the time of a run passed, but no Job was made"
        )
    return Delay(reason=DelayReason.JOB_REFUSED, message=f"the run's Job is refused: {told}")


def _refusal(events: Iterable[Document], *owners: str) -> str | None:
    """Return what the newest Event says that stays the same, None if there is no Event."""
    newest = max(events, key=_seen, default=None)
    if newest is None:
        return None
    return refusals.told(str(newest.get("message") or newest.get("note") or ""), *owners)


def _seen(event: Document) -> str:
    series = event.get("series") or {}
    times = (series.get("lastObservedTime"), event.get("lastTimestamp"), event.get("eventTime"))
    return max((str(time)[:19] for time in times if time), default="")


def _ending(job: LiveJob) -> datetime | None:
    """Return when a Job must have ended by its own deadline, None if it has none."""
    if not (job.started and job.deadline_seconds):
        return None
    return _moment(job.started) + timedelta(seconds=job.deadline_seconds) + OVERTIME


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _word(text: str) -> str:
    return "".join(c for c in text if c.isalnum())[:60]
