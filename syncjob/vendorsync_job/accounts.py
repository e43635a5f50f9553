"""Which account at which vendor a run speaks for, without telling who that is."""

from __future__ import annotations

import hmac
from hashlib import sha256
from typing import TYPE_CHECKING

from vendorsync_job.models import Account

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from vendorsync_api.policy import Options, VendorPolicy


def account(
    policy: VendorPolicy,
    credentials: Mapping[str, str],
    options: Options,
    host: str,
    fingerprint_key: bytes,
) -> Account:
    """Return the account that credentials and options name at a host.

    Two resources with the same account get the same key, so they share its token, its blocks and
    its budgets; those with the same app share what the vendor allows that app. The fingerprint
    changes with any credential the adapter uses, and tells nothing without `fingerprint_key`.
    """
    chosen = options.model_dump(mode="json")
    identity = [
        *((key, credentials[key]) for key in policy.identity_keys if credentials.get(key)),
        *(
            (key, str(chosen[key]))
            for key in policy.identity_options
            if chosen.get(key) is not None
        ),
    ]
    place = [("adapter", policy.adapter), ("host", host)]
    # The first name keeps it apart from an account that its app alone tells apart.
    app = [("app", ""), *place, *((key, credentials.get(key, "")) for key in policy.app_keys)]
    secrets = [(key, credentials[key]) for key in sorted(policy.keys) if key in credentials]
    return Account(
        key=sha256(_framed([*place, *identity])).digest(),
        adapter=policy.adapter,
        host=host,
        fingerprint=hmac.digest(fingerprint_key, _framed(secrets), "sha256"),
        app=sha256(_framed(app)).digest() if policy.app_keys else None,
    )


def _framed(fields: Iterable[tuple[str, str]]) -> bytes:
    """Join names and values with their lengths, so that no two lists give the same bytes."""
    parts = [part.encode() for field in fields for part in field]
    return b"".join(len(part).to_bytes(4, "big") + part for part in parts)
