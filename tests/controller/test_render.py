import json
from dataclasses import replace

import pytest

from tests.controller.build import SETTINGS, policies, resource, vendor
from vendorsync_api import run
from vendorsync_api.policy import load_policy
from vendorsync_api.run import AllowedEndpoint, RunSpec
from vendorsync_operator.reconcile.drift import drifts
from vendorsync_operator.spec import accept, render, resolve


def rendered(declared=None, settings=SETTINGS):
    declared = declared or resource()
    assignment = resolve.assignments(declared, settings.schedule)[0]
    verdict = accept.judge(declared, assignment, settings=settings, policies=policies)
    assert isinstance(verdict, accept.Accepted), verdict
    return render.cron_job(declared, verdict, settings)


def job_spec(cron_job):
    return cron_job["spec"]["jobTemplate"]["spec"]


def pod(cron_job):
    return job_spec(cron_job)["template"]["spec"]


def container(cron_job):
    return pod(cron_job)["containers"][0]


def run_spec(cron_job):
    env = {entry["name"]: entry.get("value") for entry in container(cron_job)["env"]}
    return RunSpec.model_validate_json(env[run.RUN_VARIABLE])


@pytest.mark.requirement("C02")
@pytest.mark.requirement("R15")
def test_the_schedule_is_the_timetables_in_the_zone_of_the_resource():
    spec = rendered(resource(schedule={"intervalMinutes": 30}))["spec"]

    assert (spec["schedule"], spec["timeZone"]) == ("*/30 6-18 * * *", "Asia/Kolkata")
    assert spec["startingDeadlineSeconds"] == 450


@pytest.mark.requirement("R24")
def test_runs_do_not_overlap_and_only_transient_failures_are_tried_again():
    cron_job = rendered()
    ignore, fail = job_spec(cron_job)["podFailurePolicy"]["rules"]

    assert cron_job["spec"]["concurrencyPolicy"] == "Forbid"
    assert job_spec(cron_job)["backoffLimit"] == 2
    assert job_spec(cron_job)["podReplacementPolicy"] == "Failed"
    assert ignore["onPodConditions"] == [{"type": "DisruptionTarget", "status": "True"}]
    assert (fail["action"], fail["onExitCodes"]["values"]) == ("FailJob", [69, 75])
    assert pod(cron_job)["restartPolicy"] == "Never"


def test_the_jobs_deadline_leaves_room_for_a_retry_of_the_run():
    cron_job = rendered(resource(run={"deadlineSeconds": 300, "historyLimit": 2}))

    assert run_spec(cron_job).deadline_seconds == 300
    assert job_spec(cron_job)["activeDeadlineSeconds"] == 720
    assert run_spec(cron_job).schedule.active_deadline_seconds == 720
    assert cron_job["spec"]["failedJobsHistoryLimit"] == 2
    assert cron_job["spec"]["successfulJobsHistoryLimit"] == 2


def test_without_a_deadline_a_run_ends_before_the_next_one():
    assert run_spec(rendered(resource(schedule={"intervalMinutes": 10}))).deadline_seconds == 540


def test_the_pod_meets_the_restricted_profile_and_has_no_api_token():
    cron_job = rendered()
    spec, security = pod(cron_job), container(cron_job)["securityContext"]

    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert spec["automountServiceAccountToken"] is False
    assert spec["enableServiceLinks"] is False
    assert security["allowPrivilegeEscalation"] is False
    assert security["readOnlyRootFilesystem"] is True
    assert security["capabilities"] == {"drop": ["ALL"]}


def test_the_user_of_a_run_can_be_left_to_the_cluster_but_never_to_be_root():
    ours = pod(rendered())["securityContext"]
    theirs = pod(rendered(settings=replace(SETTINGS, run_as_user=None)))["securityContext"]

    assert (ours["runAsUser"], ours["runAsGroup"]) == (65_532, 65_532)
    assert theirs == {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}


def test_the_operators_labels_and_annotations_are_added_to_the_pods_of_runs_alone():
    settings = replace(
        SETTINGS,
        run_labels={"team": "solar"},
        run_annotations={"sidecar.istio.io/inject": "false"},
    )

    cron_job = rendered(settings=settings)
    metadata = job_spec(cron_job)["template"]["metadata"]

    ours = cron_job["spec"]["jobTemplate"]["metadata"]["labels"]
    assert metadata["labels"] == ours | {"team": "solar"}
    assert metadata["annotations"] == {"sidecar.istio.io/inject": "false"}
    assert "team" not in ours | cron_job["metadata"]["labels"]
    requested = render.request_job(cron_job, "uid-1", "now")
    assert requested["spec"]["template"]["metadata"] == metadata


def test_what_a_resource_says_of_its_pods_goes_before_what_the_operator_says():
    settings = replace(SETTINGS, run_labels={"a": "0", "b": "0"}, run_annotations={"c": "0"})
    said = resource(run={"podLabels": {"a": "1"}, "podAnnotations": {"c": "1", "d": "1"}})

    metadata = job_spec(rendered(said, settings))["template"]["metadata"]

    ours = rendered()["spec"]["jobTemplate"]["metadata"]["labels"]
    assert metadata["labels"] == ours | {"a": "1", "b": "0"}
    assert metadata["annotations"] == {"c": "1", "d": "1"}


def test_pods_without_labels_and_annotations_of_others_are_as_they_were():
    template = rendered()["spec"]["jobTemplate"]

    assert template["spec"]["template"]["metadata"] == template["metadata"]


def test_secrets_are_optional_volumes_and_never_environment():
    cron_job = rendered(resource(database={"secretRef": {"name": "pg", "key": "dsn"}}))
    secrets = {v["name"]: v["secret"] for v in pod(cron_job)["volumes"] if "secret" in v}

    assert secrets == {
        "credentials": {"secretName": "alpha-login", "optional": True},
        "database": {"secretName": "pg", "optional": True},
        "token-keys": {"secretName": run.TOKEN_KEYS_SECRET, "optional": True},
    }
    assert "secretKeyRef" not in json.dumps(cron_job)
    assert run_spec(cron_job).database.keys == ("dsn",)
    assert run_spec(cron_job).credentials.keys == ("user or mail", "password")


def test_a_private_authority_is_mounted_for_the_vendor_whose_address_uses_it():
    endpoint = AllowedEndpoint(adapter="fake", origin="https://fake.demo", ca_secret="demo-ca")
    settings = replace(SETTINGS, allowed_endpoints=(endpoint,))

    there = rendered(resource(vendors=[vendor(baseURL="https://fake.demo")]), settings)
    elsewhere = rendered(resource(), settings)

    mounts = {m["name"]: m["mountPath"] for m in container(there)["volumeMounts"]}
    assert mounts["ca"] == run.CA_PATH
    assert "ca" not in {m["name"] for m in container(elsewhere)["volumeMounts"]}


def test_the_run_is_told_its_window_and_the_name_of_its_cron_job():
    schedule = run_spec(rendered()).schedule

    assert schedule.cron_job == "acme-alpha-plants"
    assert [(w.start, w.end) for w in schedule.windows] == [("19:00", "06:00")]


def test_the_job_learns_its_own_name_from_a_label():
    env = {entry["name"]: entry for entry in container(rendered())["env"]}
    path = env[run.JOB_NAME_VARIABLE]["valueFrom"]["fieldRef"]["fieldPath"]

    assert path == "metadata.labels['batch.kubernetes.io/job-name']"


def test_labels_say_whose_run_it_is_on_the_cron_job_and_on_its_jobs():
    cron_job = rendered()

    labels = {
        "app.kubernetes.io/managed-by": "vendorsync",
        "vendorsync.dev/resource": "acme",
        "vendorsync.dev/organization": "3",
        "vendorsync.dev/vendor": "alpha",
        "vendorsync.dev/stream": "plants",
    }
    assert cron_job["metadata"]["labels"] == labels | {"vendorsync.dev/instance": "vendorsync"}
    assert cron_job["spec"]["jobTemplate"]["metadata"]["labels"] == labels


def test_the_resource_owns_its_cron_job_and_blocks_no_deletion():
    owner = rendered()["metadata"]["ownerReferences"]

    assert owner == [
        {
            "apiVersion": "vendorsync.dev/v1alpha1",
            "kind": "VendorSync",
            "name": "acme",
            "uid": "uid-solar-acme",
            "controller": True,
        }
    ]


@pytest.mark.parametrize(
    ("given", "requests", "limits"),
    [
        pytest.param(None, {"cpu": "50m", "memory": "96Mi"}, {"memory": "512Mi"}, id="defaults"),
        pytest.param(
            {"limits": {"memory": "64Mi"}},
            {"cpu": "50m", "memory": "64Mi"},
            {"memory": "64Mi"},
            id="a small limit lowers the default request",
        ),
        pytest.param(
            {"requests": {"memory": "1Gi"}},
            {"cpu": "50m", "memory": "1Gi"},
            {"memory": "1Gi"},
            id="a large request raises the default limit",
        ),
        pytest.param(
            {"requests": {"cpu": "0.5"}, "limits": {"memory": "1024Mi", "cpu": 2}},
            {"cpu": "500m", "memory": "96Mi"},
            {"memory": "1Gi", "cpu": "2"},
            id="quantities are canonical",
        ),
    ],
)
def test_resources_are_complete_and_free_of_contradiction(given, requests, limits):
    declared = resource(run={"resources": given} if given else {})

    assert container(rendered(declared))["resources"] == {"requests": requests, "limits": limits}


def test_placement_is_passed_on_and_absent_when_not_given():
    placed = pod(
        rendered(
            resource(
                run={
                    "nodeSelector": {"pool": "batch"},
                    "tolerations": [{"key": "batch", "operator": "Exists"}],
                    "priorityClassName": "low",
                    "imagePullSecrets": [{"name": "registry"}],
                }
            )
        )
    )

    assert placed["nodeSelector"] == {"pool": "batch"}
    assert placed["tolerations"] == [{"key": "batch", "operator": "Exists"}]
    assert placed["priorityClassName"] == "low"
    assert placed["imagePullSecrets"] == [{"name": "registry"}]
    assert "nodeSelector" not in pod(rendered())


def test_the_hash_depends_on_what_is_rendered_and_on_nothing_else():
    def digest(cron_job):
        return cron_job["metadata"]["annotations"][run.HASH_ANNOTATION]

    later = resource(status={"observedGeneration": 9})

    assert digest(rendered()) == digest(rendered(later))
    assert digest(rendered()) != digest(rendered(resource(suspend=True)))


def test_a_requested_job_says_so_and_belongs_to_the_cron_job():
    cron_job = rendered()

    job = render.request_job(cron_job, "uid-1", "now")

    env = {
        e["name"]: e.get("value") for e in job["spec"]["template"]["spec"]["containers"][0]["env"]
    }
    assert env[run.TRIGGER_VARIABLE] == "Request"
    assert job["metadata"]["annotations"] == {run.REQUEST_ANNOTATION: "now"}
    assert job["metadata"]["ownerReferences"][0]["uid"] == "uid-1"
    assert run.TRIGGER_VARIABLE not in json.dumps(cron_job)


def defaulted(cron_job):
    """Return a copy with some of what the API server and others add."""
    live = json.loads(json.dumps(cron_job))
    live["metadata"] |= {"uid": "u", "annotations": live["metadata"]["annotations"] | {"x": "y"}}
    pod(live)["dnsPolicy"] = "ClusterFirst"
    container(live)["env"].append({"name": "ADDED", "value": "by another"})
    pod(live)["volumes"][0]["secret"]["defaultMode"] = 420
    return live


def test_defaults_and_additions_of_others_are_no_drift():
    assert not drifts(rendered(), defaulted(rendered()))


@pytest.mark.parametrize(
    "edit",
    [
        pytest.param(lambda live: live["spec"].update(schedule="0 0 * * *"), id="schedule"),
        pytest.param(lambda live: live["spec"].update(suspend=True), id="suspend"),
        pytest.param(lambda live: container(live).update(image="other"), id="image"),
        pytest.param(lambda live: container(live)["env"].pop(0), id="variable"),
        pytest.param(lambda live: pod(live)["volumes"].pop(0), id="volume"),
        pytest.param(lambda live: live["metadata"]["labels"].clear(), id="labels"),
        pytest.param(lambda live: live["metadata"].pop("ownerReferences"), id="owner"),
        pytest.param(lambda live: live["metadata"]["annotations"].clear(), id="hash"),
        pytest.param(
            lambda live: container(live)["securityContext"]["capabilities"].clear(), id="security"
        ),
        pytest.param(
            lambda live: job_spec(live)["podFailurePolicy"]["rules"].pop(), id="failure policy"
        ),
    ],
)
def test_an_edit_of_any_rendered_leaf_is_drift(edit):
    live = defaulted(rendered())
    edit(live)

    assert drifts(rendered(), live)


def test_a_run_is_told_when_plants_vanish_and_when_all_rows_are_compared():
    found = run_spec(
        rendered(resource(run={"vanishAfter": 5, "vanishGuardPercent": 100, "fullCompareHours": 1}))
    )

    assert (found.vanish_after, found.vanish_guard_percent, found.full_compare_hours) == (5, 100, 1)


def test_a_run_of_a_resource_that_says_nothing_has_the_contracts_own_defaults():
    found, fields = run_spec(rendered()), RunSpec.model_fields

    for name in ("vanish_after", "vanish_guard_percent", "full_compare_hours", "legacy_tokens"):
        assert getattr(found, name) == fields[name].default


@pytest.mark.requirement("R02")
@pytest.mark.parametrize(
    ("declared", "setting", "found"),
    [
        ({}, "Ignore", "Ignore"),
        ({}, "ReadWrite", "ReadWrite"),
        ({"legacyTokens": "Read"}, "ReadWrite", "Read"),
    ],
)
def test_old_tokens_are_what_the_resource_says_or_else_the_operator(declared, setting, found):
    settings = replace(SETTINGS, legacy_tokens=setting)

    assert run_spec(rendered(resource(database=declared), settings)).legacy_tokens == found


@pytest.mark.requirement("R26")
@pytest.mark.requirement("R27")
def test_alerts_have_a_cron_job_of_their_own_with_their_own_clock_and_window():
    own = {"intervalMinutes": 60, "restrictedWindows": []}
    declared = resource(streams={"alerts": {"schedule": own}})

    def rendered(assignment):
        accepted = accept.judge(declared, assignment, settings=SETTINGS, policies=policies)
        assert isinstance(accepted, accept.Accepted)
        return render.cron_job(declared, accepted, SETTINGS)

    plants, alerts = (
        rendered(assignment)
        for assignment in sorted(
            resolve.assignments(declared, SETTINGS.schedule), key=lambda a: a.stream != "plants"
        )
    )

    assert plants["metadata"]["name"] == "acme-alpha-plants"
    assert alerts["metadata"]["name"] == "acme-alpha-alerts"
    assert alerts["metadata"]["labels"][run.STREAM_LABEL] == "alerts"
    assert (plants["spec"]["schedule"], alerts["spec"]["schedule"]) == (
        "*/15 6-18 * * *",
        "0 * * * *",
    )
    assert run_spec(alerts).stream == "alerts"
    assert run_spec(alerts).schedule.windows == ()
    assert run_spec(plants).schedule.windows != ()


@pytest.mark.requirement("R27")
def test_a_run_of_alerts_by_plant_is_told_its_share_of_the_calls():
    """By hand or by the clock: every Job is made of the same template."""
    declared = resource(
        vendors=[vendor(adapter="solarman")],
        streams={"alerts": {"schedule": {"intervalMinutes": 1440, "restrictedWindows": []}}},
    )

    def share(assignment):
        accepted = accept.judge(declared, assignment, settings=SETTINGS, policies=load_policy)
        assert isinstance(accepted, accept.Accepted)
        return render.run_spec(declared, accepted, SETTINGS).detail_calls

    told = {
        assignment.stream: share(assignment)
        for assignment in resolve.assignments(declared, SETTINGS.schedule)
    }

    assert told == {"plants": None, "alerts": 199}
