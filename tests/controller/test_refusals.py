"""Refusals as a kube-apiserver 1.34 words them and the controllers tell them in Events."""

import pytest

from vendorsync_operator.results import refusals

JOB = "acme-alpha-plants-29364510"
POD = f'Error creating: pods "{JOB}-x7k2p" is forbidden: '


def told(text):
    return refusals.told(text, JOB, "acme-alpha-plants")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        pytest.param(
            "failed quota: q: must specify limits.cpu for: run",
            "ResourceQuota q wants spec.run.resources.limits.cpu to be set",
            id="a limit that a quota wants",
        ),
        pytest.param(
            "failed quota: q: must specify cpu for: run; limits.cpu for: istio-proxy,run",
            "ResourceQuota q wants spec.run.resources.requests.cpu and limits.cpu of the container"
            " istio-proxy and spec.run.resources.limits.cpu to be set",
            id="amounts of several containers",
        ),
        pytest.param(
            "failed quota: q: must specify limits.cpu,limits.memory",
            "ResourceQuota q wants limits.cpu,limits.memory to be set",
            id="an older server",
        ),
        pytest.param(
            "exceeded quota: q, requested: pods=1,limits.cpu=500m, used: pods=4,limits.cpu=2,"
            " limited: pods=4,limits.cpu=2",
            "ResourceQuota q leaves no room for limits.cpu, pods",
            id="a quota that is used up",
        ),
        pytest.param(
            "maximum memory usage per Container is 256Mi, but limit is 512Mi",
            "spec.run.resources breaks a LimitRange: maximum memory usage per Container is 256Mi,"
            " but limit is 512Mi",
            id="a maximum",
        ),
        pytest.param(
            "minimum cpu usage per Pod is 100m, but request is 50m",
            "spec.run.resources breaks a LimitRange: minimum cpu usage per Pod is 100m, but request"
            " is 50m",
            id="a minimum",
        ),
        pytest.param(
            "maximum cpu usage per Container is 2.  No limit is specified",
            "spec.run.resources breaks a LimitRange: maximum cpu usage per Container is 2. No limit"
            " is specified",
            id="a maximum without a limit",
        ),
        pytest.param(
            "memory max limit to request ratio per Container is 2, but provided ratio is 5.333333",
            "spec.run.resources breaks a LimitRange: memory max limit to request ratio per"
            " Container is 2, but provided ratio is 5.333333",
            id="a ratio",
        ),
        pytest.param(
            "cpu max limit to request ratio per Pod is 2, but no limit is specified or limit is 0",
            "spec.run.resources breaks a LimitRange: cpu max limit to request ratio per Pod is 2,"
            " but no limit is specified or limit is 0",
            id="a ratio without a limit",
        ),
        pytest.param(
            'error looking up service account solar/runs: serviceaccount "runs" not found',
            "serviceaccount runs does not exist",
            id="a service account that is missing",
        ),
        pytest.param(
            "no PriorityClass with name low was found",
            "priority class low does not exist",
            id="a priority class that is missing",
        ),
        pytest.param(
            'violates PodSecurity "restricted:latest": allowPrivilegeEscalation != false (container'
            ' "istio-init" must set securityContext.allowPrivilegeEscalation=false)',
            'violates PodSecurity "restricted:latest": allowPrivilegeEscalation != false (container'
            ' "istio-init" must set securityContext.allowPrivilegeEscalation=false)',
            id="pod security",
        ),
    ],
)
def test_a_refusal_is_told_by_what_to_set_or_by_its_own_words(text, words):
    assert told(POD + text) == words


def test_several_faults_of_a_limit_range_are_told_alike_in_whatever_order_they_come():
    limit = "maximum memory usage per Container is 256Mi, but limit is 512Mi"
    request = "minimum cpu usage per Container is 100m, but request is 50m"

    found = told(f"{POD}[{limit}, {request}]")

    assert found == f"spec.run.resources breaks a LimitRange: {limit}, {request}"
    assert found == told(f"{POD}[{request}, {limit}]")


TRIES = {
    "a webhook that denies": (
        'Error creating: admission webhook "guard.example.org" denied the request: {time} resource'
        " Pod/solar/{pod} was blocked: label 'team' is required (request {uid})",
        'admission webhook "guard.example.org" denied the request: resource Pod/solar/… was'
        " blocked: label 'team' is required (request )",
    ),
    "a webhook that is away": (
        'Error creating: Internal error occurred: failed calling webhook "guard.example.org": Post'
        ' "https://guard.solar.svc:443/": read tcp 10.244.0.5:{port}->10.96.0.1:443: connection'
        " reset by peer",
        'Internal error occurred: failed calling webhook "guard.example.org": Post'
        ' "https://guard.solar.svc:443/": read tcp 10.96.0.1:443: connection reset by peer',
    ),
    "a policy": (
        "pods \"{pod}\" is forbidden: ValidatingAdmissionPolicy 'ids' with binding 'b' denied"
        " request: runAsUser must be 1000 or more",
        "ValidatingAdmissionPolicy 'ids' with binding 'b' denied request: runAsUser must be 1000 or"
        " more",
    ),
    "a Job": (
        'Error creating job: jobs.batch "acme-alpha-plants-{minutes}" is forbidden: no more today',
        "no more today",
    ),
    "nothing but what changes": ("Error creating: {time}", "the API server gives no reason"),
}


@pytest.mark.parametrize(("text", "words"), TRIES.values(), ids=list(TRIES))
def test_words_that_nobody_knows_are_the_servers_own_without_what_changes(text, words):
    first = text.format(
        time="2026-11-23T06:00:01.123456789Z",
        pod=f"{JOB}-x7k2p",
        uid="0b5f1c6e-7d0a-4a53-9f6e-0a3a52c1f0ab",
        port=48732,
        minutes=29364510,
    )
    second = text.format(
        time="17:04:11",
        pod=f"{JOB}-m2v9q",
        uid="9c1d2e3f-0000-4a53-9f6e-0a3a52c1f0ab",
        port=51002,
        minutes=29364525,
    )

    assert told(first) == told(second) == words


def test_the_pod_of_a_job_with_a_long_name_is_left_out_too():
    name = "organization-" + "x" * 47
    generated = f"{name}-"[:58] + "x7k2p"

    found = refusals.told(f"Error creating: denied Pod/solar/{generated} today", name)

    assert found == "denied Pod/solar/… today"


def test_a_long_refusal_is_one_bounded_line_that_can_be_printed():
    found = told("Error creating: no\n\x1b[31m" + "because " * 900)

    assert found.startswith("no [31mbecause because")
    assert found.isprintable()
    assert len(found) == 300
