"""What a plane makes of a rendered chart and of the API server's records; no cluster."""

import json
from types import SimpleNamespace

import pytest

from dev.plane import audit, chart
from dev.plane.chart import Right
from dev.plane.resources import vendor_sync

ROLE = {
    "kind": "Role",
    "metadata": {"name": "all", "namespace": "acme"},
    "rules": [
        {"apiGroups": ["batch"], "resources": ["jobs", "cronjobs"], "verbs": ["list", "create"]},
        {
            "apiGroups": [""],
            "resources": ["pods"],
            "resourceNames": ["one"],
            "verbs": ["get"],
        },
    ],
}
CREATE_JOBS = Right("batch", "jobs", "create")
LINE = {
    "stage": "RequestReceived",
    "verb": "patch",
    "requestURI": "/apis/vendorsync.dev/v1alpha1/namespaces/acme/vendorsyncs/one/status?force=true",
    "user": {"username": "operator"},
    "objectRef": {
        "resource": "vendorsyncs",
        "subresource": "status",
        "namespace": "acme",
        "name": "one",
    },
    "requestReceivedTimestamp": "2026-11-22T15:00:00.000000Z",
}
METRICS = """\
# TYPE apiserver_request_total counter
apiserver_request_total{code="200",resource="jobs",subresource="",verb="LIST",version="v1"} 2
apiserver_request_total{code="500",resource="jobs",subresource="",verb="LIST",version="v1"} 1
apiserver_request_total{code="200",resource="jobs",subresource="status",verb="APPLY",version="v1"} 4
apiserver_request_total{code="200",resource="",subresource="/readyz",verb="GET",version=""} 9
"""


@pytest.fixture
def log(tmp_path):
    """An audit log, and an API server that records what it is asked."""
    path = tmp_path / "audit.jsonl"
    path.touch()

    def write(**changes):
        with path.open("a") as file:
            file.write(json.dumps(LINE | changes) + "\n")

    def ask(where, name):
        write(requestURI=f"{where}?marker={name}", user={"username": "admin"}, objectRef={})

    return SimpleNamespace(of=audit.AuditLog(path, ask), write=write)


def test_every_right_of_a_role_is_listed():
    assert chart.rights([ROLE]) == [
        Right("", "pods", "get"),
        Right("batch", "cronjobs", "create"),
        Right("batch", "cronjobs", "list"),
        CREATE_JOBS,
        Right("batch", "jobs", "list"),
    ]


def test_what_people_get_is_no_right_of_the_operator():
    label = {"rbac.authorization.k8s.io/aggregate-to-edit": "true"}
    aggregated = {**ROLE, "kind": "ClusterRole", "metadata": {"name": "edit", "labels": label}}

    assert chart.roles([aggregated, ROLE]) == [ROLE]


def test_one_right_is_dropped_and_all_others_stay():
    left = chart.rights(chart.without([ROLE], CREATE_JOBS))

    assert set(chart.rights([ROLE])) - set(left) == {CREATE_JOBS}


def test_a_right_is_asked_for_where_and_for_what_the_role_gives_it():
    assert chart.places([ROLE], CREATE_JOBS) == [("acme", "")]
    assert chart.places([ROLE], Right("", "pods", "get")) == [("acme", "one")]


def test_a_right_reads_as_kubectl_takes_it():
    assert str(CREATE_JOBS) == "create jobs.batch"
    assert str(Right("", "pods", "list")) == "list pods"


def test_the_operators_environment_is_the_deployments_with_its_pod_and_namespace():
    entry = {"fieldRef": {"fieldPath": "metadata.namespace"}}
    container = {
        "env": [{"name": "A", "value": "1"}, {"name": "POD_NAMESPACE", "valueFrom": entry}]
    }
    deployment = {
        "kind": "Deployment",
        "spec": {"template": {"spec": {"containers": [container]}}},
    }

    assert chart.environment([ROLE, deployment], "pod") == {"A": "1", "POD_NAMESPACE": "vendorsync"}


def test_requests_since_the_mark_are_counted_by_verb_and_resource(log):
    log.write()
    log.of.mark()
    log.write()
    log.write(verb="get", objectRef={}, requestURI="/apis?timeout=1")
    log.write(user={"username": "other"})

    assert log.of.count("operator") == {("patch", "vendorsyncs/status"): 1, ("get", "/apis"): 1}


def test_an_answer_is_no_second_request_and_has_a_code(log):
    log.write()
    log.write(stage="ResponseComplete", responseStatus={"code": 403})

    assert [found.code for found in log.of.requests("operator")] == [None]
    assert [found.code for found in log.of.answers("operator")] == [403]


def test_the_servers_counters_are_summed_over_their_codes():
    assert audit.totals(METRICS) == {("list", "jobs"): 3, ("patch", "jobs/status"): 4}


def test_sample_resources_have_organizations_and_accounts_of_their_own():
    made = [vendor_sync(number) for number in range(10)]
    vendors = [vendor for each in made for vendor in each["spec"]["vendors"]]

    assert len({each["spec"]["organization"]["id"] for each in made}) == 10
    assert len({vendor["credentialsSecretRef"]["name"] for vendor in vendors}) == 50
    assert [vendor["adapter"] for vendor in vendors[:3]] == ["solarman", "sungrow", "solarman"]
