"""The chart by the real Helm: values, rights, security, and the manifests made from it."""

import json
from pathlib import Path

import pytest

from dev import generate
from dev.plane import chart
from tests.packaging.conftest import CHART
from vendorsync_api.schedule import Window
from vendorsync_job.store.migrate import LATEST
from vendorsync_operator.health import OUTAGE_LIMIT
from vendorsync_operator.settings import Settings

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(1200)]

ROOT = Path(__file__).resolve().parents[2]


def of_kind(documents, kind):
    return [document for document in documents if document["kind"] == kind]


def operators_role(documents):
    """Return the role that the operator's own binding names."""
    (binding,) = of_kind(documents, "ClusterRoleBinding")
    roles = {role["metadata"]["name"]: role for role in of_kind(documents, "ClusterRole")}
    return roles[binding["roleRef"]["name"]]


def settings(documents):
    """Return the settings of an operator with the chart's environment."""
    return Settings.from_env(chart.environment(documents, "pod"))


def pods(documents):
    """Return the pod templates of the operator and of the migration."""
    found = {document["kind"]: document["spec"]["template"] for document in workloads(documents)}
    return found["Deployment"], found["Job"]


def workloads(documents):
    return [document for document in documents if document["kind"] in ("Deployment", "Job")]


def test_allowances_of_the_values_are_those_of_the_operator(render):
    bought = [{"adapter": "solarman", "calls": 200_000, "seconds": 31_536_000, "per": "App"}]

    (found,) = settings(render(allowances=bought)).allowances

    assert (found.adapter, found.calls, found.seconds, found.per) == tuple(bought[0].values())


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
    documents = render(watch__namespaces=["solar", "wind"], aggregateRoles=False)

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
    rules = operators_role(render())["rules"]
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
    for pod in (each["spec"] for each in pods(render())):
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["runAsUser"] == 65_532
        assert pod["securityContext"]["runAsGroup"] == 65_532
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        for container in pod["containers"]:
            security = container["securityContext"]
            assert security["allowPrivilegeEscalation"] is False
            assert security["readOnlyRootFilesystem"] is True
            assert security["capabilities"] == {"drop": ["ALL"]}


@pytest.mark.parametrize("nobody", ["", None])
def test_a_cluster_may_choose_the_users_of_all_pods(render, nobody):
    documents = render(
        operator__runAsUser=nobody, migration__runAsUser=nobody, runs__runAsUser=nobody
    )

    for pod in pods(documents):
        assert pod["spec"]["securityContext"] == {
            "runAsNonRoot": True,
            "seccompProfile": {"type": "RuntimeDefault"},
        }
    assert settings(documents).run_as_user is None


def test_users_may_be_numbers_as_large_as_those_of_openshift(render):
    user = 1_000_650_000
    documents = render(operator__runAsUser=user, migration__runAsUser=user, runs__runAsUser=user)

    for pod in pods(documents):
        assert pod["spec"]["securityContext"]["runAsUser"] == user
        assert pod["spec"]["securityContext"]["runAsGroup"] == user
    assert settings(documents).run_as_user == user


def test_pods_carry_the_labels_and_annotations_that_are_given(render):
    given = {"team/solar": "a", "number": "7", "word": "on"}
    documents = render(
        operator__podLabels=given,
        operator__podAnnotations=given,
        migration__podLabels=given,
        migration__podAnnotations=given,
        runs__podLabels=given,
        runs__podAnnotations=given,
    )

    for pod, bare in zip(pods(documents), pods(render()), strict=True):
        assert pod["metadata"]["labels"] == bare["metadata"]["labels"] | given
        assert pod["metadata"]["annotations"] == given
    assert settings(documents).run_labels == given
    assert settings(documents).run_annotations == given


def test_the_migration_has_resources_of_its_own(render):
    _, before = pods(render())
    _, after = pods(render(migration__resources__limits__cpu="1"))

    (container,) = before["spec"]["containers"]
    assert container["resources"] == {
        "requests": {"cpu": "20m", "memory": "64Mi"},
        "limits": {"memory": "256Mi"},
    }
    (container,) = after["spec"]["containers"]
    assert container["resources"]["limits"] == {"memory": "256Mi", "cpu": "1"}


@pytest.mark.requirement("R18")
def test_the_operator_reads_the_charts_own_values_as_its_own_defaults(render):
    found = settings(render())

    assert found.schedule == Settings.from_env({}).schedule
    assert (found.run_as_user, found.run_labels, found.run_annotations) == (65_532, {}, {})
    assert found.batch_size == Settings.from_env({}).batch_size


@pytest.mark.requirement("R16")
@pytest.mark.parametrize(
    ("start", "end", "window"),
    [("20:00", "05:30", Window(1200, 330)), ("", "", None), (None, None, None)],
)
def test_the_default_window_is_the_one_given_or_none(render, start, end, window):
    documents = render(defaults__windowStart=start, defaults__windowEnd=end)

    assert settings(documents).schedule.window == window


def test_namespace_admins_may_do_with_vendor_syncs_what_they_may_with_the_rest(render):
    label = "rbac.authorization.k8s.io/aggregate-to-"
    granted = {
        to: {
            (resource, verb)
            for role in of_kind(render(), "ClusterRole")
            if role["metadata"]["labels"].get(label + to) == "true"
            for rule in role["rules"]
            for resource in rule["resources"]
            for verb in rule["verbs"]
        }
        for to in ("view", "edit", "admin")
    }

    reading = {*(("vendorsyncs", verb) for verb in ("get", "list", "watch"))}
    reading |= {("vendorsyncs/status", "get")}
    changing = {"create", "update", "patch", "delete", "deletecollection"}
    assert granted["view"] == reading
    assert granted["edit"] == reading | {("vendorsyncs", verb) for verb in changing}
    assert granted["admin"] == granted["edit"]
    (alone,) = of_kind(render(aggregateRoles=False), "ClusterRole")
    assert alone == operators_role(render())


@pytest.mark.parametrize(
    ("flag", "tag"),
    [
        ("--set=images.syncjob.tag=20261127", "20261127"),
        ("--set=images.syncjob.tag=7", "7"),
        ("--set=images.syncjob.tag=1.10", "1.10"),
        ("--set=images.syncjob.tag=007", "007"),
        ("--set-string=images.syncjob.tag=1e3", "1e3"),
        ("--set-json=images.syncjob.tag=20261127153000", "20261127153000"),
        ("--set-json=images.syncjob.tag=null", "0.2.0"),
        ('--set-json=images.syncjob.tag=""', "0.2.0"),
    ],
)
def test_a_tag_that_looks_like_a_number_keeps_its_digits(render, flag, tag):
    documents = render("vendorsync", "vendorsync", flag)

    _, migration = pods(documents)
    assert migration["spec"]["containers"][0]["image"] == f"vendorsync/syncjob:{tag}"
    assert settings(documents).job_image == f"vendorsync/syncjob:{tag}"


def test_each_release_is_an_instance_of_its_own_unless_it_takes_the_name_of_another(render):
    assert settings(render("blue", "ops")).instance == "ops.blue"
    assert settings(render("blue", "ops", instance="vendorsync.old")).instance == "vendorsync.old"
    long = [settings(render("r" * 53, "n" * 62 + end)).instance for end in "ab"]
    assert len(set(long)) == 2


def test_what_changes_the_migration_changes_its_name(render):
    """A Job is immutable: an upgrade under the same name would be refused."""

    def name(**values):
        return of_kind(render(**values), "Job")[0]["metadata"]["name"]

    assert name() == name(concurrencyLimit=9) == name(operator__podLabels={"a": "b"})
    helpers = (CHART / "templates" / "_migration.tpl").read_text()
    assert f"$schema := {LATEST} -" in helpers
    different = [
        name(),
        name(migration__secretName="other"),
        name(images__syncjob__tag="2"),
        name(images__pullSecrets=[{"name": "registry"}]),
        name(migration__resources__limits__memory="1Gi"),
        name(migration__podLabels={"a": "b"}),
        name(migration__podAnnotations={"a": "b"}),
        name(migration__runAsUser=""),
        name(migration__policies=True),
    ]
    assert len(set(different)) == len(different)


@pytest.mark.parametrize("wanted", [True, False])
def test_the_migration_adds_policies_where_they_are_asked_for(render, wanted):
    (job,) = of_kind(render(migration__policies=wanted), "Job")
    (container,) = job["spec"]["template"]["spec"]["containers"]

    assert ("--policies" in container["args"]) is wanted
