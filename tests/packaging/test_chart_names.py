"""Releases of any name: what the chart makes has names and labels that Kubernetes takes."""

import re
import shutil

import pytest
import yaml

from tests.packaging.conftest import CHART
from vendorsync_api.pods import is_label_value

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(1200)]

SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
ROLE = re.compile(rf"{SUBDOMAIN.pattern}(:{SUBDOMAIN.pattern})*")
DEFINITION = "CustomResourceDefinition"
CLUSTER_WIDE = ("ClusterRole", "ClusterRoleBinding")
NAMES = [
    "123",
    "on",
    "no",
    "true",
    "null",
    "1e3",
    "0x1f",
    "1.5",
    "default",
    "view",
    "my.release",
    pytest.param("a" * 53, id="long"),
    pytest.param("a" * 39 + "." + "b" * 13, id="cut after a dot"),
    pytest.param("a" * 32 + "." + "b" * 20, id="cut at a dot"),
    pytest.param("a" * 32 + "-" + "b" * 20, id="cut at a dash"),
    pytest.param("a" * 31 + "--" + "b" * 20, id="cut at two dashes"),
]


def names(value, key=""):
    """Yield every text under a key that holds a name."""
    if isinstance(value, dict):
        for inner, each in value.items():
            yield from names(each, inner)
    elif isinstance(value, list):
        for each in value:
            yield from names(each, key)
    elif key in ("name", "namespace", "serviceAccountName", "secretName", "resourceNames"):
        yield value


def labels(value):
    """Yield every map of labels, annotations and label selectors."""
    if isinstance(value, dict):
        for key, each in value.items():
            if key in ("labels", "matchLabels", "annotations") and each:
                yield each
            yield from labels(each)
    elif isinstance(value, list):
        for each in value:
            yield from labels(each)


def check(documents):
    for document in documents:
        name = document["metadata"]["name"]
        assert (ROLE if document["kind"] in CLUSTER_WIDE else SUBDOMAIN).fullmatch(name)
        assert len(name) <= 63 or document["kind"] in CLUSTER_WIDE
        # A definition also describes fields called name and labels.
        own = document["metadata"] if document["kind"] == DEFINITION else document
        assert all(isinstance(each, str) for each in names(own))
        for found in labels(own):
            assert all(map(is_label_value, found.values())), found


@pytest.mark.parametrize("release", NAMES)
@pytest.mark.parametrize("namespaces", [[], ["123", "on"]], ids=["cluster", "namespaces"])
def test_a_release_of_any_name_has_names_and_labels_that_kubernetes_takes(
    render, release, namespaces
):
    documents = render(release, "456", watch__namespaces=namespaces)

    check(documents)
    found = {(each["kind"], each["metadata"]["name"]): each for each in documents}
    (deployment,) = (each for each in documents if each["kind"] == "Deployment")
    account = deployment["spec"]["template"]["spec"]["serviceAccountName"]
    assert ("ServiceAccount", account) in found
    for binding in (each for each in documents if each["kind"].endswith("Binding")):
        assert (binding["roleRef"]["kind"], binding["roleRef"]["name"]) in found
        assert [each["name"] for each in binding["subjects"]] == [account]


def test_two_long_names_stay_two(render):
    first, second = (
        {(each["kind"], each["metadata"]["name"]) for each in render(f"{'a' * 48}-{end}")}
        for end in ("one", "two")
    )

    assert {kind for kind, _ in first & second} == {DEFINITION}


@pytest.mark.parametrize("release", ["view", "edit", "admin", "cluster-admin"])
def test_a_release_called_as_a_role_of_kubernetes_leaves_that_role_alone(render, release):
    made = [each for each in render(release) if each["kind"] in CLUSTER_WIDE]

    assert made
    assert release not in {each["metadata"]["name"] for each in made}


def test_a_release_called_default_leaves_the_service_account_of_that_name_alone(render):
    (account,) = (each for each in render("default") if each["kind"] == "ServiceAccount")

    assert account["metadata"]["name"] == "vendorsync-default"


def test_two_releases_of_one_name_in_two_namespaces_share_nothing_that_is_cluster_wide(render):
    first, second = (
        {
            each["metadata"]["name"]
            for each in render("solar", place)
            if each["kind"] in CLUSTER_WIDE
        }
        for place in ("one", "two")
    )

    # One operator for the whole cluster is all that there may be.
    assert first & second == {"vendorsync:solar"}


@pytest.mark.parametrize("version", ["10.20.30-rc.1+build.7", "1.0.0-RC.1", "1.0.0-" + "x" * 80])
def test_any_version_gives_names_and_labels_that_kubernetes_takes(render, tmp_path, version):
    copy = shutil.copytree(CHART, tmp_path / "vendorsync")
    about = yaml.safe_load((copy / "Chart.yaml").read_text())
    (copy / "Chart.yaml").write_text(
        yaml.safe_dump({**about, "version": version, "appVersion": version})
    )

    check(render("r" * 53, chart=copy))
