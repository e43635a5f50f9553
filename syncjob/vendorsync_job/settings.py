"""What the command line and the environment hand over: the run's specification and URLs.

And the policy that the specification names.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import ValidationError

from vendorsync_api.policy import PolicyError, load_policy
from vendorsync_api.run import RUN_VARIABLE, RunSpec
from vendorsync_job.errors import AdapterUnavailableError, ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from vendorsync_api.policy import VendorPolicy

VERSION = 1
_SOURCE = "`python -m vendorsync_operator render FILE --run VENDOR` prints one"


def load_spec(file: Path | None, environ: Mapping[str, str]) -> RunSpec:
    """Return the RunSpec from a file, else from the environment; raises ConfigurationError."""
    where = f"${RUN_VARIABLE}" if file is None else str(file)
    text = environ.get(RUN_VARIABLE, "") if file is None else _read(file)
    if not text.strip():
        raise ConfigurationError(
            f"{where} is empty; the operator sets it in its Jobs, elsewhere use run --spec FILE"
        )
    try:
        # A later operator may say more than this job knows; a person's unknown key is a slip.
        spec = RunSpec.model_validate_json(text, extra="ignore" if file is None else "forbid")
    except ValidationError as error:
        fault = error.errors(include_input=False, include_url=False)[0]
        field = ".".join(map(str, fault["loc"]))
        what = f"{field}: {fault['msg']}" if field else fault["msg"]
        raise ConfigurationError(f"{where} is no contract of a run: {what}; {_SOURCE}") from None
    if spec.version != VERSION:
        raise ConfigurationError(
            f"{where} has version {spec.version} and this job reads {VERSION};"
            " use operator and job images of the same release"
        )
    return spec


def policy_of(spec: RunSpec) -> VendorPolicy:
    """Return the policy of the run's adapter, or raise an error of configuration."""
    try:
        policy = load_policy(spec.vendor.adapter)
    except PolicyError as error:
        raise AdapterUnavailableError(str(error)) from error
    if spec.stream not in policy.streams:
        raise ConfigurationError(
            f"adapter {policy.adapter} has no stream {spec.stream!r};"
            f" it has {', '.join(policy.streams)}"
        )
    return policy


def read_url(file: Path) -> str:
    """Return the connection string that a file holds."""
    text = _read(file).strip()
    if not text:
        raise ConfigurationError(f"{file} is empty; write the database URL into it")
    return text


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigurationError(f"{file} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"{file} is not text in UTF-8: {error.reason}") from None
