"""The CRD on the real API server: each rule with a resource it accepts and one it refuses."""

import copy
import json
from typing import Any

import pytest

from dev.cluster.errors import CommandError
from vendorsync_api.crd import custom_resource_definition
from vendorsync_api.reference import rules

pytestmark = pytest.mark.e2e

GOOD: dict[str, Any] = {
    "apiVersion": "vendorsync.dev/v1alpha1",
    "kind": "VendorSync",
    "metadata": {"name": "organization-a", "namespace": "default"},
    "spec": {
        "organization": {"id": 3, "name": "Organization A"},
        "schedule": {"intervalMinutes": 15},
        "vendors": [
            {
                "name": "solarman",
                "id": 1,
                "adapter": "solarman",
                "credentialsSecretRef": {"name": "organization-a-solarman"},
            }
        ],
    },
}
SECOND = {"name": "sungrow", "adapter": "sungrow", "credentialsSecretRef": {"name": "b"}}
WINDOW = {"start": "19:00", "end": "06:00"}


def changed(path, value):
    """GOOD with one field set, or removed when the value is None."""
    resource = copy.deepcopy(GOOD)
    *parents, last = path
    node: Any = resource
    for part in parents:
        node = node[part] if isinstance(part, int) else node.setdefault(part, {})
    if value is None:
        del node[last]
    else:
        node[last] = value
    return resource


SCHEDULE = ("spec", "schedule")
VENDORS = ("spec", "vendors")

# field of the rule, its words -> accepted, refused, what the refusal says.
CASES = {
    ("metadata.name", "metadata.name may"): (
        changed(("metadata", "name"), "o" * 63),
        changed(("metadata", "name"), "o" * 64),
        "has 64 characters; use at most 63",
    ),
    ("restrictedWindows[]", "start and end"): (
        changed((*SCHEDULE, "restrictedWindows"), [WINDOW]),
        changed((*SCHEDULE, "restrictedWindows"), [{"start": "06:00", "end": "06:00"}]),
        "restricted window 06:00-06:00 starts when it ends",
    ),
    ("schedule", "set intervalMinutes or cron"): (
        changed(SCHEDULE, {"cron": "*/20 * * * *"}),
        changed((*SCHEDULE, "cron"), "*/20 * * * *"),
        "set intervalMinutes or cron, not both",
    ),
    ("schedule.intervalMinutes", "intervalMinutes must"): (
        changed((*SCHEDULE, "intervalMinutes"), 1440),
        changed((*SCHEDULE, "intervalMinutes"), 45),
        "intervalMinutes 45 is not one that a CronJob can keep evenly",
    ),
    ("schedule.timeZone", "timeZone must"): (
        changed((*SCHEDULE, "timeZone"), "Asia/Kolkata"),
        changed((*SCHEDULE, "timeZone"), "GMT+5:30"),
        "timeZone GMT+5:30 is not in the IANA database; use a name such as Asia/Kolkata",
    ),
    ("schedule.cron", "cron descriptors"): (
        changed(SCHEDULE, {"cron": "0 0 * * *"}),
        changed(SCHEDULE, {"cron": "@midnight"}),
        "cron @midnight is a descriptor",
    ),
    ("schedule.cron", "cron must not name"): (
        changed(SCHEDULE, {"cron": "0 0 * * *", "timeZone": "UTC"}),
        changed(SCHEDULE, {"cron": "TZ=UTC 0 0 * * *"}),
        "cron must not name a time zone; set timeZone beside it",
    ),
    ("schedule.cron", "cron needs five"): (
        changed(SCHEDULE, {"cron": "0 0 1 1 0"}),
        changed(SCHEDULE, {"cron": "0 0 1 1 0 0"}),
        "cron 0 0 1 1 0 0 needs five fields",
    ),
    ("schedule.cron", "cron day of week 7"): (
        changed(SCHEDULE, {"cron": "7 7 7 7 0"}),
        changed(SCHEDULE, {"cron": "0 0 * * 5,7"}),
        "cron day of week 7 is not supported; write 0 for Sunday",
    ),
    ("run.podLabels", "the key of a label"): (
        changed(("spec", "run"), {"podLabels": {"sidecar.istio.io/inject": "false"}}),
        changed(("spec", "run"), {"podLabels": {"vendorsync.dev/vendor": "other"}}),
        "key vendorsync.dev/vendor is set by VendorSync or Kubernetes itself; use another key",
    ),
    ("run.podAnnotations", "the key of a label"): (
        changed(("spec", "run"), {"podAnnotations": {"linkerd.io/inject": "disabled"}}),
        changed(("spec", "run"), {"podAnnotations": {"batch.kubernetes.io/job-name": "other"}}),
        "key batch.kubernetes.io/job-name is set by VendorSync or Kubernetes itself",
    ),
    ("vendors", "two vendors have"): (
        changed(VENDORS, [*GOOD["spec"]["vendors"], {**SECOND, "id": 2}]),
        changed(VENDORS, [*GOOD["spec"]["vendors"], {**SECOND, "id": 1}]),
        "two vendors have the same id",
    ),
}
# The same for rules about a change: from GOOD to accepted, from GOOD to refused.
TRANSITIONS = {
    ("organization.id", "organization.id cannot"): (
        changed(("spec", "organization", "name"), "New name"),
        changed(("spec", "organization", "id"), 4),
        "organization.id cannot be changed from 3 to 4",
    ),
    ("vendors[].adapter", "adapter cannot"): (
        changed((*VENDORS, 0, "displayName"), "New name"),
        changed((*VENDORS, 0, "adapter"), "sungrow"),
        "adapter cannot be changed from solarman to sungrow",
    ),
    ("vendors[]", "a vendor's id cannot"): (
        changed((*VENDORS, 0, "suspend"), True),
        changed((*VENDORS, 0, "id"), 2),
        "a vendor's id cannot be changed once it is set",
    ),
}
# What the schema itself refuses, without a rule.
BOUNDS = {
    "two vendors of one name": (changed(VENDORS, GOOD["spec"]["vendors"] * 2), "Duplicate value"),
    "no vendor": (changed(VENDORS, []), "should have at least 1 items"),
    "an unknown stream": (changed(("spec", "streams"), {"meters": {}}), "unknown field"),
    "a window of no time": (
        changed((*SCHEDULE, "restrictedWindows"), [{"start": "7pm", "end": "06:00"}]),
        "should match",
    ),
    "an address without TLS": (changed((*VENDORS, 0, "baseURL"), "http://a.test"), "should match"),
    "a vendor with a hyphen": (changed((*VENDORS, 0, "name"), "solar-man"), "should match"),
    "a deadline of no time": (changed(("spec", "run"), {"deadlineSeconds": 1}), "greater than"),
    "a label of two words": (changed(("spec", "run"), {"podLabels": {"a": "b c"}}), "should match"),
    "an amount with half an exponent": (
        changed(("spec", "run"), {"resources": {"limits": {"memory": "1e1.5"}}}),
        "should match",
    ),
    "an amount below nothing": (
        changed(("spec", "run"), {"resources": {"limits": {"memory": "-1Gi"}}}),
        "should match",
    ),
    "no credentials": (changed((*VENDORS, 0, "credentialsSecretRef"), None), "Required value"),
}


@pytest.fixture(scope="module")
def kubectl(stack):
    return stack.kubectl


def dry_run(kubectl, resource):
    kubectl(
        "create", "--dry-run=server", "--validate=strict", "-f", "-", input=json.dumps(resource)
    )


def names(key):
    return f"{key[0]}: {key[1]}"


@pytest.mark.requirement("C01")
@pytest.mark.parametrize("key", CASES, ids=names)
def test_a_rule_accepts_and_refuses_with_its_sentence(kubectl, key):
    accepted, refused, sentence = CASES[key]

    dry_run(kubectl, accepted)
    with pytest.raises(CommandError) as error:
        dry_run(kubectl, refused)
    assert sentence in str(error.value)


@pytest.fixture
def applied(kubectl):
    kubectl("create", "-f", "-", input=json.dumps(GOOD))
    yield
    kubectl("delete", "vs", "organization-a", "-n", "default")


@pytest.mark.parametrize("key", TRANSITIONS, ids=names)
def test_a_rule_about_a_change_accepts_and_refuses(kubectl, applied, key):
    accepted, refused, sentence = TRANSITIONS[key]

    kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", input=json.dumps(accepted))
    with pytest.raises(CommandError) as error:
        kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", input=json.dumps(refused))
    assert sentence in str(error.value)


def test_every_rule_of_the_crd_has_a_case():
    schema = custom_resource_definition()["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    cases = {*CASES, *TRANSITIONS}

    def has_case(path, message):
        return any(path.endswith(p) and message.startswith(m) for p, m in cases)

    found = list(rules(schema))
    assert len(found) >= len(cases)
    assert [(p, r["message"]) for p, r in found if not has_case(p, r["message"])] == []


@pytest.mark.parametrize(("resource", "words"), BOUNDS.values(), ids=list(BOUNDS))
def test_the_schema_refuses(kubectl, resource, words):
    with pytest.raises(CommandError, match=words):
        dry_run(kubectl, resource)


@pytest.mark.requirement("C03")
def test_explain_reads_like_a_manual(kubectl):
    text = " ".join(kubectl("explain", "vendorsync.spec.schedule.restrictedWindows.start").split())

    assert "First minute of the window, in the schedule's time zone." in text
    assert "Example: 19:00" in text
