"""Records: what their text shows."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from vendorsync_api.vendors import SOLARMAN
from vendorsync_job.models import Grant, Token
from vendorsync_job.mounts import Secret, TokenKeys
from vendorsync_job.run import Inputs
from vendorsync_job.store.exchange import Statement

NOW = datetime(2026, 3, 2, tzinfo=UTC)
HUSH = "hush-hush"
KEYS = TokenKeys({"one": HUSH.encode()}, "one", HUSH.encode())


@pytest.mark.parametrize(
    ("record", "shown"),
    [
        (Grant(HUSH, refresh_token=HUSH, expires_in=60.0), "expires_in=60.0"),
        (Token(HUSH, NOW, NOW, generation=7, refresh_token=HUSH), "generation=7"),
        (Secret("login", "plants", {"password": HUSH.encode()}), "name='login'"),
        (KEYS, "current='one'"),
        (Inputs(SOLARMAN, {"password": HUSH}, HUSH, KEYS), "adapter='solarman'"),
        (Statement("SELECT %s", (HUSH,)), "query='SELECT %s'"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_records_text_shows_no_secret(record, shown):
    assert HUSH not in repr(record)
    assert shown in repr(record)
