"""Everything that a run needs to speak with its vendor: policy, credentials, client, adapter."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from msgspec import Struct

from vendorsync_api.policy import PolicyError, load_policy
from vendorsync_job import vendors
from vendorsync_job.errors import AdapterUnavailableError, ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from vendorsync_api.policy import VendorPolicy
    from vendorsync_api.run import RunSpec
    from vendorsync_job.models import Account
    from vendorsync_job.ports import Purpose, VendorAdapter

    Spend = Callable[[Purpose], None]


class VendorAccess(Struct, frozen=True):
    """An adapter on an open client, and the account that it speaks for."""

    origin: str
    adapter: VendorAdapter
    account: Account
    calls: Callable[[], int]
    """How many calls the vendor has got so far."""


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


@contextmanager
def open_access(
    spec: RunSpec,
    policy: VendorPolicy,
    credentials: Mapping[str, str],
    *,
    mounts: Path,
    fingerprint_key: bytes,
    deadline: float,
    sleep: Callable[[float], None],
    spend: Callable[[Account], Spend] = lambda _: lambda _: None,
) -> Iterator[VendorAccess]:
    """Open the client of a run; `deadline` is on the monotonic clock, `sleep` is for its pauses.

    `spend` gives what takes the calls of an account out of its allowance.
    """
    # A run that the gate turns away never pays for these.
    from vendorsync_job.accounts import account  # noqa: PLC0415
    from vendorsync_job.http import HttpVendorClient  # noqa: PLC0415
    from vendorsync_job.network import endpoint  # noqa: PLC0415

    try:
        options = policy.check_options(spec.vendor.options)
    except PolicyError as error:
        raise ConfigurationError(str(error)) from error
    target = endpoint(spec, policy, mounts)
    adapter = vendors.load(spec.vendor.adapter)
    who = account(policy, credentials, options, target.host, fingerprint_key)
    with HttpVendorClient(
        target.origin,
        adapter_title=policy.title,
        allow_private=target.allow_private,
        ca_file=target.ca_file,
        deadline=deadline,
        sleep=sleep,
        spend=spend(who),
    ) as client:
        yield VendorAccess(
            target.origin,
            adapter(client, credentials, options),
            who,
            lambda: client.calls,
        )
