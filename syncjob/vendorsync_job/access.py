"""Everything that a run needs to speak with its vendor: account, client, adapter."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from msgspec import Struct

from vendorsync_api.policy import PolicyError
from vendorsync_job import vendors
from vendorsync_job.accounts import account
from vendorsync_job.errors import ConfigurationError
from vendorsync_job.http import HttpVendorClient
from vendorsync_job.network import endpoint

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from vendorsync_api.policy import Options, VendorPolicy
    from vendorsync_api.run import RunSpec
    from vendorsync_job.models import Account
    from vendorsync_job.network import Endpoint
    from vendorsync_job.ports import Purpose, VendorAdapter


class OpenVendor(Struct, frozen=True):
    """An adapter on an open client."""

    adapter: VendorAdapter
    calls: Callable[[], int]
    """How many calls the vendor has got so far."""


class VendorAccess(Struct, frozen=True):
    """Where the vendor is, the account that the run speaks for, and how it is spoken with."""

    policy: VendorPolicy
    credentials: Mapping[str, str]
    options: Options
    endpoint: Endpoint
    account: Account

    @contextmanager
    def open(
        self,
        *,
        deadline: float,
        sleep: Callable[[float], None],
        spend: Callable[[Purpose], None] = lambda _: None,
    ) -> Iterator[OpenVendor]:
        """Open the client: `deadline` is on the monotonic clock, `sleep` is for its pauses.

        `spend` takes each call out of the account's allowance.
        """
        adapter = vendors.load(self.policy.adapter)
        with HttpVendorClient(
            self.endpoint,
            adapter_title=self.policy.title,
            deadline=deadline,
            sleep=sleep,
            spend=spend,
        ) as client:
            made = adapter(client, self.credentials, self.options)
            yield OpenVendor(made, lambda: client.calls)


def access_of(
    spec: RunSpec,
    policy: VendorPolicy,
    credentials: Mapping[str, str],
    *,
    mounts: Path,
    fingerprint_key: bytes,
) -> VendorAccess:
    """Return a run's access to its vendor, or raise ConfigurationError."""
    try:
        options = policy.check_options(spec.vendor.options)
    except PolicyError as error:
        raise ConfigurationError(str(error)) from error
    target = endpoint(spec, policy, mounts)
    who = account(policy, credentials, options, target.host, fingerprint_key)
    return VendorAccess(policy, credentials, options, target, who)
