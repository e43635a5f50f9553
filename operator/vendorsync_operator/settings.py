"""The operator's settings, read once from a mapping such as the environment."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import TYPE_CHECKING

from pydantic import ConfigDict, TypeAdapter, ValidationError

from vendorsync_api.pods import annotation_faults, is_label_value, label_faults
from vendorsync_api.run import AllowedEndpoint
from vendorsync_api.schedule import Cron, ScheduleError, Window, minute_of_day, zone
from vendorsync_api.v1alpha1 import Allowance

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

NONE = "none"
"""The word for no such thing: a variable that is empty means the default."""


class AdapterAllowance(Allowance):
    """What an administrator says that accounts of an adapter have; no tenant may declare more."""

    model_config = ConfigDict(extra="forbid")

    adapter: str


_ENDPOINTS = TypeAdapter(tuple[AllowedEndpoint, ...])
_TEXTS = TypeAdapter(dict[str, str])
_USER_LIMIT = 2**31 - 1
_ALLOWANCES = TypeAdapter(tuple[AdapterAllowance, ...])
_WORDS = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}


class SettingsError(ValueError):
    """A setting that cannot be used; the text names the variable, its value and what to do."""


@dataclass(frozen=True)
class ScheduleDefaults:
    """What a resource inherits where it says nothing; the variables keep their old names."""

    enabled: bool = True
    """ENABLE_PLANT_SYNC_CRON: false suspends every CronJob."""
    interval: int | None = 15
    cron: str | None = None
    """PLANT_SYNC_CRON_SCHEDULE, instead of the interval."""
    time_zone: str = "Asia/Kolkata"
    window: Window | None = field(default_factory=lambda: Window(19 * 60, 6 * 60))
    """SYNC_WINDOW_START to SYNC_WINDOW_END: the restricted hours; none where both say `none`."""


@dataclass(frozen=True)
class Settings:
    """Everything that can be set from outside; times are in seconds."""

    job_image: str
    pull_policy: str = "IfNotPresent"
    service_account: str | None = None
    """Service account of the runs, in the namespace of the resource; it needs no rights."""
    run_as_user: int | None = 65_532
    """User and group of the runs' processes; None leaves both to the cluster and the image."""
    run_labels: Mapping[str, str] = field(default_factory=dict)
    run_annotations: Mapping[str, str] = field(default_factory=dict)
    """Both are added to the pods of the runs, beside what a resource adds."""
    namespaces: tuple[str, ...] = ()
    """Namespaces to watch; all when empty."""
    schedule: ScheduleDefaults = ScheduleDefaults()
    allowed_endpoints: tuple[AllowedEndpoint, ...] = ()
    allowances: tuple[AdapterAllowance, ...] = ()
    """VENDORSYNC_ALLOWANCES: for resources that declare none, and the most that others may."""
    application_schema: str = "public"
    batch_size: int = 5000
    concurrency_limit: int = 5
    """CONCURRENCY_LIMIT: runs that write at once, across a database."""
    legacy_tokens: str = "Ignore"
    """spec.database.legacyTokens of resources that do not say it."""
    status_interval: float = 2.0
    """The least time between two writes of one resource's status."""
    workers: int = 8
    instance: str = "vendorsync"
    """VENDORSYNC_INSTANCE: which CronJobs are ours; each release has a name of its own."""
    lease_name: str = "vendorsync-operator"
    """Operators with the same Lease take turns; those that share a resource must share it."""
    lease_namespace: str | None = None
    """POD_NAMESPACE; the namespace of the pod's service account if it is not given."""
    pod: str | None = None
    """POD_ID: what this operator is called in the Lease, in Events and to the API server."""
    health_port: int = 8080
    log_level: str = "INFO"

    @classmethod
    def from_env(cls, env: Mapping[str, str]) -> Settings:
        """Return the settings of an environment, or raise SettingsError."""
        image = f"vendorsync-syncjob:{version('vendorsync')}"
        return cls(
            job_image=env.get("VENDORSYNC_JOB_IMAGE") or image,
            pull_policy=_choice(
                env,
                "VENDORSYNC_JOB_IMAGE_PULL_POLICY",
                "IfNotPresent",
                ("Always", "IfNotPresent", "Never"),
            ),
            service_account=env.get("VENDORSYNC_JOB_SERVICE_ACCOUNT") or None,
            run_as_user=_user(env),
            run_labels=_texts(env, "VENDORSYNC_RUN_LABELS", label_faults),
            run_annotations=_texts(env, "VENDORSYNC_RUN_ANNOTATIONS", annotation_faults),
            namespaces=_words(env.get("VENDORSYNC_NAMESPACES", "")),
            schedule=_schedule(env),
            allowed_endpoints=_endpoints(env.get("VENDORSYNC_ALLOWED_ENDPOINTS") or "[]"),
            allowances=_allowances(env.get("VENDORSYNC_ALLOWANCES") or "[]"),
            application_schema=env.get("VENDORSYNC_APPLICATION_SCHEMA") or "public",
            batch_size=int(_number(env, "VENDORSYNC_BATCH_SIZE", 5000, 100, 50_000)),
            concurrency_limit=int(_number(env, "CONCURRENCY_LIMIT", 5, 1, 1000)),
            legacy_tokens=_choice(
                env, "VENDORSYNC_LEGACY_TOKENS", "Ignore", ("Ignore", "Read", "ReadWrite")
            ),
            status_interval=_number(env, "VENDORSYNC_STATUS_INTERVAL_SECONDS", 2, 0, 300),
            workers=int(_number(env, "VENDORSYNC_WORKERS", 8, 1, 100)),
            instance=_instance(env),
            lease_name=env.get("VENDORSYNC_LEASE_NAME") or cls.lease_name,
            lease_namespace=env.get("POD_NAMESPACE") or None,
            pod=env.get("POD_ID") or None,
            health_port=int(_number(env, "VENDORSYNC_HEALTH_PORT", 8080, 0, 65_535)),
            log_level=_choice(
                env, "VENDORSYNC_LOG_LEVEL", "INFO", ("DEBUG", "INFO", "WARNING", "ERROR")
            ),
        )


def _schedule(env: Mapping[str, str]) -> ScheduleDefaults:
    built_in = ScheduleDefaults()
    cron = env.get("PLANT_SYNC_CRON_SCHEDULE") or None
    time_zone = env.get("VENDORSYNC_TIME_ZONE") or built_in.time_zone
    try:
        if cron is not None:
            cron = Cron.parse(cron).text
        return ScheduleDefaults(
            enabled=_flag(env, "ENABLE_PLANT_SYNC_CRON", default=True),
            interval=None if cron else built_in.interval,
            cron=cron,
            time_zone=zone(time_zone).key,
            window=_window(env),
        )
    except ScheduleError as error:
        raise SettingsError(f"the operator's schedule settings: {error}") from error


def _window(env: Mapping[str, str]) -> Window | None:
    start = env.get("SYNC_WINDOW_START") or "19:00"
    end = env.get("SYNC_WINDOW_END") or "06:00"
    if _is_none(start) != _is_none(end):
        raise SettingsError(
            f"SYNC_WINDOW_START is {start!r} and SYNC_WINDOW_END is {end!r}; write {NONE} in both"
            " for no restricted hours, or a time of day in both"
        )
    return None if _is_none(start) else Window(minute_of_day(start), minute_of_day(end))


def _user(env: Mapping[str, str]) -> int | None:
    text = env.get("VENDORSYNC_RUN_AS_USER") or str(Settings.run_as_user)
    if _is_none(text):
        return None
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= _USER_LIMIT):
        raise SettingsError(
            f"VENDORSYNC_RUN_AS_USER is {text!r}; write a number from 1 to {_USER_LIMIT}, or {NONE}"
            " to let the cluster choose"
        )
    return int(text)


def _instance(env: Mapping[str, str]) -> str:
    text = env.get("VENDORSYNC_INSTANCE") or Settings.instance
    if not is_label_value(text):
        raise SettingsError(
            f"VENDORSYNC_INSTANCE is {text!r}; it becomes a label, so write at most 63 letters,"
            " digits, dashes, underscores and dots"
        )
    return text


def _texts(
    env: Mapping[str, str], name: str, faults: Callable[[Mapping[str, str]], Iterator[str]]
) -> Mapping[str, str]:
    try:
        found = _TEXTS.validate_json(env.get(name) or "{}", strict=True)
    except ValidationError as error:
        raise SettingsError(f"{name} must be a JSON object whose values are texts") from error
    for fault in faults(found):
        raise SettingsError(f"{name}: {fault}")
    return found


def _endpoints(text: str) -> tuple[AllowedEndpoint, ...]:
    try:
        return _ENDPOINTS.validate_python(json.loads(text))
    except (ValidationError, json.JSONDecodeError) as error:
        raise SettingsError(
            "VENDORSYNC_ALLOWED_ENDPOINTS must be a JSON list of objects with adapter, origin and"
            " optionally allowPrivate and caSecret"
        ) from error


def _allowances(text: str) -> tuple[AdapterAllowance, ...]:
    try:
        return _ALLOWANCES.validate_json(text)
    except ValidationError as error:
        fault = error.errors(include_input=False, include_url=False)[0]
        where = ".".join(map(str, fault["loc"]))
        raise SettingsError(
            "VENDORSYNC_ALLOWANCES must be a JSON list of objects with adapter, calls, seconds and"
            f" optionally per (Account or App): {f'{where}: ' if where else ''}{fault['msg']}"
        ) from error


def _words(text: str) -> tuple[str, ...]:
    return tuple(sorted({word.strip() for word in text.split(",") if word.strip()}))


def _is_none(text: str) -> bool:
    return text.lower() == NONE


def _flag(env: Mapping[str, str], name: str, *, default: bool) -> bool:
    text = env.get(name) or str(default)
    if text.lower() not in _WORDS:
        raise SettingsError(f"{name} is {text!r}; write true or false")
    return _WORDS[text.lower()]


def _choice(env: Mapping[str, str], name: str, default: str, choices: tuple[str, ...]) -> str:
    text = env.get(name) or default
    if text not in choices:
        raise SettingsError(f"{name} is {text!r}; write one of {', '.join(choices)}")
    return text


def _number(env: Mapping[str, str], name: str, default: float, low: float, high: float) -> float:
    text = env.get(name) or str(default)
    try:
        number = float(text)
    except ValueError:
        number = float("nan")
    if not low <= number <= high:
        raise SettingsError(f"{name} is {text!r}; write a number from {low:g} to {high:g}")
    return number
