"""The chart on a real API server by the real Helm: odd names and values, other releases, the end.

Inputs: a plane with controllers whose own operator, installed without Helm, watches `solar` alone.
"""

import json
import os
import shlex
import subprocess

import pytest

from dev.cluster.command import wait_until
from dev.cluster.errors import CommandError
from dev.plane import Plane
from dev.plane.chart import CHART
from dev.plane.resources import YEARLY, vendor_sync

WATCHED = "solar"
WITHOUT_ZONES = """
for folder in /usr/share/zoneinfo /usr/share/lib/zoneinfo /usr/lib/locale/TZ /etc/zoneinfo; do
  [ ! -d $folder ] || mount -t tmpfs none $folder
done
exec "$@"
"""
"""Runs a program on a machine on which Go finds no time zones; to be started by unshare."""
OTHERS = ("wind", "123")
CRD = "vendorsyncs.vendorsync.dev"
OWNERSHIP = "invalid ownership metadata"
ODD_VALUES = {
    "images": {"operator": {"tag": 20261127}, "syncjob": {"tag": 20261127}},
    "watch": {"namespaces": [WATCHED, *OTHERS]},
    "defaults": {"windowStart": "", "windowEnd": "", "cron": "*/20 * * * *"},
    "operator": {"runAsUser": "", "podLabels": {"on": "true"}, "podAnnotations": {"a/b": "1"}},
    "migration": {"runAsUser": 1_000_650_000, "secretName": "123", "podLabels": {"on": "7"}},
    "runs": {"runAsUser": "", "podAnnotations": {"sidecar.istio.io/inject": "false"}},
    "instance": "123",
}


@pytest.fixture(scope="module")
def plane():
    with Plane("test-chart", controllers=True, namespaces=(WATCHED,)) as plane:
        for name in OTHERS:
            plane.namespace(name)
        yield plane


@pytest.fixture
def install(plane):
    """Install or upgrade a release in the namespace 123; return what Helm prints, its notes too."""
    made = set()

    def run(release, *flags, watches=()):
        made.add(release)
        where = [f"--set-json=watch.namespaces={json.dumps(watches)}"]
        return plane.cluster.helm(
            "upgrade", "--install", release, str(CHART), "--namespace=123", *where, *flags
        )

    yield run
    for release in made:
        plane.cluster.helm("uninstall", release, "--namespace=123", "--ignore-not-found")


@pytest.mark.parametrize(
    "release",
    ["123", "true", "default", "view", pytest.param("a" * 39 + "." + "b" * 13, id="long")],
)
@pytest.mark.parametrize("values", [{}, ODD_VALUES], ids=["plain", "odd"])
def test_the_api_server_takes_a_release_of_any_name(plane, tmp_path, release, values):
    file = tmp_path / "values.json"
    file.write_text(json.dumps(values))
    rendered = plane.cluster.helm(
        "template", release, str(CHART), "--namespace=123", f"--values={file}"
    )

    told = plane.kubectl(
        "apply", "--server-side", "--dry-run=server", "--force-conflicts", "-f", "-", input=rendered
    )

    accepted = [line for line in told.splitlines() if "serverside-applied" in line]
    assert len(accepted) == rendered.count("\nkind: ") > 8


def test_a_second_operator_for_a_namespace_is_warned_of(install):
    without_helm = "are watched by the operator vendorsync (installed without Helm)"

    confined = install("blue", "--set=crds.enabled=false", watches=[WATCHED, "wind"])
    everywhere = install("whole", "--set=crds.enabled=false")

    assert f"{without_helm}." in confined
    assert f"{without_helm} and the release blue in the namespace 123." in everywhere


def test_a_second_release_for_a_namespace_is_warned_of(install):
    install("blue", "--set=crds.enabled=false", watches=["wind"])

    told = install("green", "--set=crds.enabled=false", watches=["123", "wind"])

    assert "watched by the release blue in the namespace 123." in told


def test_releases_for_namespaces_of_their_own_are_not_warned_of(install):
    first = install("blue", "--set=crds.enabled=false", watches=["wind"])
    again = install("blue", "--set=crds.enabled=false", "--set=batchSize=900", watches=["wind"])
    second = install("green", "--set=crds.enabled=false", watches=["123"])

    assert "WARNING" not in first + again + second


def test_who_may_not_list_roles_can_turn_the_warning_off(install):
    told = install("blue", "--set=crds.enabled=false,warnOfOtherReleases=false", watches=[WATCHED])

    assert "WARNING" not in told


def test_what_is_kept_of_one_release_is_taken_over_or_left_alone_by_the_next(plane, install):
    install("blue", "--take-ownership", watches=["wind"])
    plane.cluster.helm("uninstall", "blue", "--namespace=123")
    assert plane.kubectl("get", "crd", CRD, "-o", "name")

    with pytest.raises(CommandError, match=OWNERSHIP):
        install("green", watches=["wind"])
    notes = install("green", "--set=crds.enabled=false", watches=["wind"])
    assert "--take-ownership" not in notes, "a release without the definition has none to keep"

    notes = install("green", "--take-ownership", watches=["wind"])
    assert OWNERSHIP in notes
    assert "--take-ownership" in notes
    owner = json.loads(plane.kubectl("get", "crd", CRD, "-o", "json"))["metadata"]["annotations"]
    assert owner["meta.helm.sh/release-name"] == "green"


def test_the_commands_of_the_notes_stop_what_an_uninstalled_operator_leaves(plane, install):
    notes = install("blue", "--set=crds.enabled=false", watches=[WATCHED])
    crons, resources = (
        shlex.split(line)[1:] for line in notes.splitlines() if "kubectl delete" in line
    )
    with plane.operator() as operator:
        operator.ready()
        plane.api.create("vendorsyncs", vendor_sync(0, vendors=2, schedule=YEARLY))
        plane.settled()
    assert len(plane.api.list("cronjobs", WATCHED)) == 2

    plane.kubectl(*crons)
    assert plane.api.list("cronjobs", WATCHED) == []
    assert len(plane.api.list("vendorsyncs", WATCHED)) == 1

    plane.kubectl(*resources)
    assert plane.api.list("vendorsyncs", WATCHED) == []


@pytest.mark.parametrize(
    ("role", "reads", "changes"),
    [("view", True, False), ("edit", True, True), ("admin", True, True)],
)
def test_who_has_a_role_of_kubernetes_in_a_namespace_has_its_vendor_syncs_too(
    plane, role, reads, changes
):
    plane.api.apply(
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "RoleBinding",
            "metadata": {"name": role, "namespace": "wind"},
            "roleRef": {
                "apiGroup": "rbac.authorization.k8s.io",
                "kind": "ClusterRole",
                "name": role,
            },
            "subjects": [{"kind": "User", "name": role, "apiGroup": "rbac.authorization.k8s.io"}],
        }
    )

    def may(verb, *flags):
        asked = ("auth", "can-i", verb, "vendorsyncs.vendorsync.dev", "-n", "wind", "--as", role)
        try:
            return plane.kubectl(*asked, *flags).strip() == "yes"
        except CommandError:
            return False

    wait_until(lambda: may("list") == reads, what=f"the rights of {role}")
    assert may("get", "--subresource=status") == reads
    assert may("delete") == changes
    assert not may("patch", "--subresource=status")


@pytest.mark.parametrize(
    ("zone", "taken"), [("Asia/Kolkata", True), ("Asia/Unheard_Of", True), ("Mars/Base", False)]
)
def test_helm_on_a_machine_without_time_zones_still_knows_their_areas(plane, zone, taken):
    helm = plane.cluster.binaries / "helm"
    program = ["unshare", "--mount", "sh", "-c", WITHOUT_ZONES, "sh", str(helm)]
    bare = {name: text for name, text in os.environ.items() if name not in ("ZONEINFO", "GOROOT")}

    answer = subprocess.run(
        [*program, "template", "x", str(CHART), "--set", f"defaults.timeZone={zone}"],
        check=False, capture_output=True, text=True, env=bare,
    )  # fmt: skip

    assert (answer.returncode == 0) == taken, answer.stderr
    assert taken or "is no time zone of the IANA database" in answer.stderr
