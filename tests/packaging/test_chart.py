"""The chart by the real Helm: values, rights, security, and the manifests made from it."""

import json
import re
import subprocess
from pathlib import Path

import pytest
import yaml

from dev import generate
from dev.cluster import toolchain
from dev.cluster.progress import Progress
from vendorsync_job.store.migrate import LATEST
from vendorsync_operator.health import OUTAGE_LIMIT

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(1200)]

ROOT = Path(__file__).resolve().parents[2]
CHART = ROOT / "charts" / "vendorsync"


@pytest.fixture(scope="module")
def helm():
    binary = toolchain.ensure_binaries((toolchain.HELM,), Progress()) / "helm"

    def run(*arguments):
        return subprocess.run([binary, *arguments], check=False, capture_output=True, text=True)

    return run


@pytest.fixture(scope="module")
def render(helm):
    def rendered(**values):
        sets = [f"--set-json={key.replace('__', '.')}={json.dumps(v)}" for key, v in values.items()]
        version = f"--kube-version={toolchain.kubernetes_version()}"
        answer = helm("template", "vendorsync", CHART, "--namespace=vendorsync", version, *sets)
        assert answer.returncode == 0, answer.stderr
        return [document for document in yaml.safe_load_all(answer.stdout) if document]

    return rendered


def of_kind(documents, kind):
    return [document for document in documents if document["kind"] == kind]


def test_the_install_manifest_is_current():
    text = (ROOT / "manifests" / "install.yaml").read_text()

    assert text == generate.TARGETS["manifests/install.yaml"](), "run make generate"


def test_the_chart_passes_helms_own_lint(helm):
    answer = helm("lint", "--strict", CHART)

    assert answer.returncode == 0, answer.stdout


def test_the_crd_can_be_left_out_and_kept(render):
    assert of_kind(render(crds__enabled=False), "CustomResourceDefinition") == []
    kept = of_kind(render(), "CustomResourceDefinition")[0]["metadata"]
    assert kept["annotations"] == {"helm.sh/resource-policy": "keep"}
    loose = of_kind(render(crds__keep=False), "CustomResourceDefinition")[0]["metadata"]
    assert "annotations" not in loose


def test_named_namespaces_give_roles_and_no_cluster_rights(render):
    documents = render(watch__namespaces=["solar", "wind"])

    assert of_kind(documents, "ClusterRole") == []
    assert of_kind(documents, "ClusterRoleBinding") == []
    roles = of_kind(documents, "Role")
    assert [role["metadata"]["namespace"] for role in roles] == ["solar", "wind", "vendorsync"]


def test_the_release_may_stand_in_a_namespace_that_it_watches(render):
    documents = render(watch__namespaces=["vendorsync"])

    for kind in ("Role", "RoleBinding"):
        names = [each["metadata"]["name"] for each in of_kind(documents, kind)]
        assert names == ["vendorsync", "vendorsync-lease"]


def test_replicas_share_one_lease_that_they_may_renew_by_name_only(render):
    documents = render()
    (role,) = of_kind(documents, "Role")
    (container,) = of_kind(documents, "Deployment")[0]["spec"]["template"]["spec"]["containers"]
    env = {each["name"]: each.get("value", each.get("valueFrom")) for each in container["env"]}

    assert role["metadata"]["namespace"] == "vendorsync"
    assert [(rule["verbs"], rule.get("resourceNames")) for rule in role["rules"]] == [
        (["create"], None),
        (["get", "update"], [env["VENDORSYNC_LEASE_NAME"]]),
    ]
    assert env["POD_NAMESPACE"] == {"fieldRef": {"fieldPath": "metadata.namespace"}}


def test_two_replicas_stand_apart_and_one_may_be_evicted_at_a_time(render):
    documents = render()
    (deployment,) = of_kind(documents, "Deployment")
    (budget,) = of_kind(documents, "PodDisruptionBudget")
    spec = deployment["spec"]

    assert spec["replicas"] == 2
    assert spec["strategy"]["rollingUpdate"] == {"maxSurge": 1, "maxUnavailable": 0}
    assert "preferredDuringSchedulingIgnoredDuringExecution" in json.dumps(spec["template"])
    assert budget["spec"]["maxUnavailable"] == 1
    assert budget["spec"]["selector"] == spec["selector"]


def test_one_replica_has_no_budget_that_would_block_a_drain(render):
    assert of_kind(render(operator__replicas=1), "PodDisruptionBudget") == []


def test_an_affinity_of_ones_own_takes_the_place_of_the_charts(render):
    own: dict = {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {}}}

    (deployment,) = of_kind(render(operator__affinity=own), "Deployment")

    assert deployment["spec"]["template"]["spec"]["affinity"] == own


def test_the_probes_leave_time_for_a_busy_operator(render):
    (deployment,) = of_kind(render(), "Deployment")
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    startup, liveness = container["startupProbe"], container["livenessProbe"]

    assert startup["timeoutSeconds"] == liveness["timeoutSeconds"] == 10
    assert startup["periodSeconds"] * startup["failureThreshold"] > OUTAGE_LIMIT


@pytest.mark.fault("S2")
def test_the_rights_are_the_few_that_are_used(render):
    rules = of_kind(render(), "ClusterRole")[0]["rules"]
    granted = {
        (resource, verb)
        for rule in rules
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }

    assert not {resource for resource, _ in granted} & {"secrets", "*"}
    assert "*" not in {verb for _, verb in granted}
    assert granted == {
        *(("vendorsyncs", verb) for verb in ("get", "list", "watch")),
        ("vendorsyncs/status", "patch"),
        *(("cronjobs", v) for v in ("get", "list", "watch", "create", "patch", "delete")),
        *(("jobs", verb) for verb in ("list", "watch", "create")),
        ("pods", "list"),
        ("events", "list"),
        ("events", "create"),
    }


def test_every_pod_is_restricted(render):
    documents = render()
    pods = [d["spec"]["template"]["spec"] for d in documents if d["kind"] in ("Deployment", "Job")]

    assert len(pods) == 2
    for pod in pods:
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        for container in pod["containers"]:
            security = container["securityContext"]
            assert security["allowPrivilegeEscalation"] is False
            assert security["readOnlyRootFilesystem"] is True
            assert security["capabilities"] == {"drop": ["ALL"]}


def test_what_changes_the_migration_changes_its_name(render):
    """A Job is immutable: an upgrade under the same name would be refused."""

    def name(**values):
        return of_kind(render(**values), "Job")[0]["metadata"]["name"]

    assert name() == name(concurrencyLimit=9)
    helpers = (CHART / "templates" / "_helpers.tpl").read_text()
    assert f"$schema := {LATEST} -" in helpers
    assert len({name(), name(migration__secretName="other"), name(images__syncjob__tag="2")}) == 3


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("images.pullPolicy", "sometimes"),
        ("defaults.windowStart", "7pm"),
        ("concurrencyLimit", 0),
        ("operator.replicas", 0),
        ("batchSize", 1),
        ("allowedEndpoints", [{"adapter": "solarman", "origin": "http://a.test"}]),
        ("watch.namespace", ["solar"]),
    ],
)
def test_a_bad_value_is_refused_by_name(helm, key, value):
    answer = helm("template", "x", CHART, f"--set-json={key}={json.dumps(value)}")

    assert answer.returncode != 0
    assert re.search(key.rsplit(".", 1)[-1], answer.stderr)
