"""What the chart says of itself, without Helm: its values, their table, the manifest."""

import json
from pathlib import Path

import pytest
import yaml

from dev import generate, values
from vendorsync_operator import main

ROOT = Path(__file__).resolve().parents[2]
CHART = ROOT / "charts" / "vendorsync"
SCHEMA = json.loads((CHART / "values.schema.json").read_text())
DEFAULTS = yaml.safe_load((CHART / "values.yaml").read_text())
DESCRIBED = dict(values.described(SCHEMA))
INSTALL = {
    (each["kind"], each["metadata"]["name"]): each
    for each in yaml.safe_load_all((ROOT / "manifests" / "install.yaml").read_text())
}


@pytest.mark.parametrize("path", DESCRIBED)
def test_every_value_says_what_it_is(path):
    assert DESCRIBED[path].get("description", "").endswith(".")


def test_every_value_has_a_default_and_every_default_is_described():
    defaults = set(values.given(DEFAULTS))

    assert set(DESCRIBED) <= defaults
    loose = {
        path
        for path in defaults
        if not any(path == each or each.startswith(f"{path}.") or path.startswith(f"{each}.")
                   for each in DESCRIBED)
    }  # fmt: skip
    assert loose == set()


def test_the_readmes_table_of_values_is_current():
    name = "charts/vendorsync/README.md"

    assert (ROOT / name).read_text() == generate.TARGETS[name](), "run make generate"


def test_an_operator_has_more_time_to_stop_than_it_ever_takes():
    spec = INSTALL["Deployment", "vendorsync"]["spec"]["template"]["spec"]

    assert spec["terminationGracePeriodSeconds"] > main.STOP_SECONDS


def test_deleting_all_of_a_namespace_deletes_no_vendor_sync():
    """`kubectl delete all --all` takes what is of the category all."""
    crd = INSTALL["CustomResourceDefinition", "vendorsyncs.vendorsync.dev"]

    assert "all" not in crd["spec"]["names"].get("categories", ())
