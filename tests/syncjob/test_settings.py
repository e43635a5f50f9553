"""The contract of a run, from a file or from the environment."""

import json

import pytest

from vendorsync_api.run import RUN_VARIABLE
from vendorsync_job.errors import ConfigurationError
from vendorsync_job.settings import load_spec

SPEC = {
    "resource": {"namespace": "solar", "name": "organization-a"},
    "organization": {"id": 3, "name": "Organization A"},
    "vendor": {"name": "solarman", "adapter": "solarman", "baseUrl": "https://a.test"},
    "credentials": {"name": "a"},
    "database": {"name": "b", "keys": ["url"]},
}


def test_a_slip_in_a_file_is_refused_by_name(tmp_path):
    """Ignored, it would send the credentials to the adapter's own endpoint."""
    file = tmp_path / "run.json"
    file.write_text(json.dumps(SPEC))

    with pytest.raises(ConfigurationError, match=r"vendor\.baseUrl: Extra inputs"):
        load_spec(file, {})


def test_what_a_later_operator_adds_is_left_alone():
    spec = load_spec(None, {RUN_VARIABLE: json.dumps({**SPEC, "fromTheFuture": 1})})

    assert spec.vendor.base_url is None


def test_an_empty_contract_says_where_it_comes_from():
    with pytest.raises(ConfigurationError, match=r"VENDORSYNC_RUN is empty; .*run --spec FILE"):
        load_spec(None, {})


def test_another_version_is_refused():
    with pytest.raises(ConfigurationError, match="has version 9 and this job reads 1"):
        load_spec(None, {RUN_VARIABLE: json.dumps({**SPEC, "version": 9})})
