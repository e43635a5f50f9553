"""Adapters are found by name and imported one by one."""

from __future__ import annotations

import subprocess
import sys

import pytest

from vendorsync_job.errors import AdapterUnavailableError
from vendorsync_job.vendors import load, names


def test_the_built_in_adapters_are_installed():
    assert {"solarman", "sungrow"} <= set(names())


def test_an_unknown_adapter_is_refused_with_the_known_ones():
    with pytest.raises(AdapterUnavailableError, match=r"'sim' is not installed.*solarman, sungrow"):
        load("sim")


def test_only_the_adapter_asked_for_is_imported_and_no_library_with_it():
    program = (
        "import sys; from vendorsync_job.vendors import load; load('sungrow');"
        "print([name for name in ('vendorsync_job.vendors.solarman', 'httpx', 'httpcore', 'jwt',"
        " 'psycopg', 'kopf', 'kubernetes') if name in sys.modules])"
    )

    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )

    assert done.stdout.strip() == "[]"
