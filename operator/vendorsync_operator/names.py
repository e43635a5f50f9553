"""Names: of the objects that belong to a resource, and our own."""

from __future__ import annotations

import hashlib

FIELD_MANAGER = "vendorsync-operator"
"""What the API server calls this operator as the owner of fields."""
CRON_JOB_LIMIT = 52
"""The CronJob controller adds a dash and ten digits, and a Job's name has at most 63 characters."""


def cron_job_name(resource: str, vendor: str, stream: str) -> str:
    """Return `<resource>-<vendor>-<stream>`, the resource cut and hashed where it is too long."""
    name = f"{resource}-{vendor}-{stream}"
    if len(name) <= CRON_JOB_LIMIT:
        return name
    ending = f"-{_digest(name, 8)}-{vendor}-{stream}"
    return resource[: CRON_JOB_LIMIT - len(ending)].rstrip("-.") + ending


def request_job_name(cron_job: str, request: str, last: str = "") -> str:
    """Return the name of the Job that one syncRequest makes of one CronJob, the same each time.

    `last` is the request before it: a text that is asked for again after another one is new. The
    `r` keeps the name apart from those of scheduled Jobs, which end in digits only.
    """
    return f"{cron_job}-r{_digest(f'{cron_job}/{last}/{request}', 9)}"


def _digest(text: str, length: int) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:length]
