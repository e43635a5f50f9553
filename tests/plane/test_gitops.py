"""Argo CD's and Flux' own code on what is applied: no difference, and a health that is true."""

import copy
import json
from pathlib import Path

import pytest
import yaml

from dev.cluster.command import wait_until
from dev.gitops import Answer, gitops
from dev.plane.api import path
from dev.plane.resources import NAMESPACE
from tests.plane.scene import ALPHA, begin
from vendorsync_api.crd import custom_resource_definition
from vendorsync_api.reasons import RunReason

pytestmark = [pytest.mark.timeout(300)]

QUICK = {"VENDORSYNC_STATUS_INTERVAL_SECONDS": "0"}
ROOT = Path(__file__).parents[2]
SAMPLES = ROOT / "manifests/samples"
MODES = ("client", "merge", "server")
SERVER_SIDE = ("--server-side", "--force-conflicts", "--field-manager=argocd-controller")
HOW = {"client": (), "merge": SERVER_SIDE, "server": SERVER_SIDE}
"""How Argo CD applies what it compares in that mode."""


@pytest.fixture(scope="module")
def tools(module_plane):
    with gitops(module_plane.cluster.kubeconfig) as running:
        yield running


@pytest.fixture(scope="module")
def health():
    """The check that people give Argo CD."""
    text = (ROOT / "manifests/argocd/health.yaml").read_text()
    return yaml.safe_load(text)["data"]["resource.customizations.health.vendorsync.dev_VendorSync"]


@pytest.fixture
def samples(plane):
    """All samples as documents, none of which is there yet."""
    found = [each for path in sorted(SAMPLES.glob("*.yaml")) for each in documents(path)]
    assert {each["kind"] for each in found} == {"VendorSync", "Secret"}
    yield found
    plane.kubectl("delete", "--ignore-not-found", *where(SAMPLES))


def where(path):
    return f"--filename={path}", f"--namespace={NAMESPACE}"


def documents(path):
    found = yaml.safe_load_all(path.read_text())
    return [each | {"metadata": each["metadata"] | {"namespace": NAMESPACE}} for each in found]


def live(plane, document):
    metadata = document["metadata"]
    namespace = [f"--namespace={metadata['namespace']}"] if "namespace" in metadata else []
    names = (document["kind"], metadata["name"])
    return json.loads(plane.kubectl("get", *names, *namespace, "--output=json"))


def stored(plane, document):
    """Return an object without what the operator writes, with the generation of its spec."""
    found = live(plane, document)
    metadata = {k: v for k, v in found["metadata"].items() if k != "resourceVersion"}
    return {k: v for k, v in found.items() if k != "status"} | {"metadata": metadata}


def seen(plane):
    """Wait until the operator has told the state of every resource."""
    wait_until(
        lambda: all(
            each.get("status", {}).get("observedGeneration") == each["metadata"]["generation"]
            for each in plane.api.list("vendorsyncs")
        ),
        what="the status of every resource",
    )


def test_samples_that_are_applied_again_stay_as_they_are(plane, operator, samples):
    plane.kubectl("apply", *where(SAMPLES))
    operator(plane)
    seen(plane)
    before = [stored(plane, each) for each in samples]

    told = plane.kubectl("apply", *where(SAMPLES)).splitlines()

    assert [stored(plane, each) for each in samples] == before
    # kubectl compares lists as a whole. It never takes a Secret with stringData for unchanged.
    ours = [line for line in told if line.startswith("vendorsync.")]
    assert len(ours) == 3
    assert all(line.endswith(" unchanged") for line in ours), told


@pytest.mark.parametrize("mode", MODES)
def test_argo_cd_sees_no_difference_to_samples_that_it_applied(
    plane, operator, tools, samples, mode
):
    plane.kubectl("apply", *HOW[mode], *where(SAMPLES))
    operator(plane)
    seen(plane)

    for document in samples:
        assert tools.argo_cd(document, live(plane, document), mode) == Answer("Synced")


def test_flux_sees_no_difference_to_samples_that_it_applied(plane, operator, tools, samples):
    assert {tools.flux(each, "apply").verdict for each in samples} == {"created"}
    operator(plane)
    seen(plane)

    for document in samples:
        assert tools.flux(document, "diff") == Answer("unchanged")
        assert tools.flux(document, "apply") == Answer("unchanged")


def test_a_difference_is_seen(plane, tools):
    """The tools are asked rightly: without this, an answer to another question would do."""
    sample = SAMPLES / "smallest.yaml"
    plane.kubectl("apply", *where(sample))
    (document,) = documents(sample)
    change = {"spec": {"organization": {"name": "Somebody else"}}}
    changed = plane.api.patch("vendorsyncs", NAMESPACE, document["metadata"]["name"], change)

    found = [tools.argo_cd(document, changed, mode) for mode in MODES]
    assert [each.verdict for each in found] == ["OutOfSync"] * 3
    assert all(each.predicted["spec"] == document["spec"] for each in found)
    assert tools.flux(document, "diff").verdict == "configured"


@pytest.mark.parametrize("mode", MODES)
def test_argo_cd_sees_no_difference_to_the_chart_that_it_applied(plane, tools, mode):
    """Hooks are no part of what is compared."""
    installed = [
        each
        for each in plane.documents
        if "helm.sh/hook" not in each["metadata"].get("annotations", {})
    ]
    plane.kubectl(
        "apply", *HOW[mode], "--filename=-", input="\n---\n".join(map(json.dumps, installed))
    )

    for document in installed:
        assert tools.argo_cd(document, live(plane, document), mode) == Answer("Synced"), document


def test_a_resource_is_in_progress_until_the_operator_has_seen_its_newest_generation(
    plane, scene, operator, tools, health
):
    def verdicts():
        found = scene.live()
        told = tools.kstatus(found), tools.argo_cd_health(found, health)
        return tuple(each.verdict for each in told)

    begin(scene)
    assert scene.status() == {"observedGeneration": -1}
    assert verdicts() == ("InProgress", "Progressing")

    process = operator(plane, env=QUICK)
    scene.applied()
    assert verdicts() == ("Current", "Healthy")

    process.stop()
    scene.change(suspend=True)
    assert verdicts() == ("InProgress", "Progressing")
    with plane.operator("next", env=QUICK):
        scene.applied()
    assert verdicts() == ("Current", "Healthy")


def test_a_refused_spec_is_failed_until_it_is_edited(plane, scene, operator, tools, health):
    operator(plane, env=QUICK)
    scene.apply(ALPHA, schedule={"timeZone": "IST"})
    scene.applied()

    told = tools.kstatus(scene.live()), tools.argo_cd_health(scene.live(), health)
    assert tuple(each.verdict for each in told) == ("Failed", "Degraded")
    assert all("use Asia/Kolkata" in each.message for each in told)

    scene.apply(ALPHA, schedule={"timeZone": "Asia/Kolkata"})
    scene.applied()
    assert tools.kstatus(scene.live()).verdict == "Current"
    assert tools.argo_cd_health(scene.live(), health).verdict == "Healthy"


def test_what_may_pass_by_itself_is_in_progress(plane, scene, operator, tools, health):
    stranger = {
        "apiVersion": "batch/v1",
        "kind": "CronJob",
        "metadata": {"name": "acme-alpha-plants", "namespace": NAMESPACE},
        "spec": {
            "schedule": "0 0 1 1 *",
            "jobTemplate": {
                "spec": {
                    "template": {
                        "spec": {
                            "restartPolicy": "Never",
                            "containers": [{"name": "stranger", "image": "stranger"}],
                        }
                    }
                }
            },
        },
    }
    plane.api.create("cronjobs", stranger)
    operator(plane, env=QUICK)
    scene.apply(ALPHA)
    scene.applied()

    assert scene.condition("Ready") == ("False", "NameConflict")
    assert tools.kstatus(scene.live()).verdict == "InProgress"
    assert tools.argo_cd_health(scene.live(), health).verdict == "Progressing"


def test_a_vendor_that_needs_somebody_to_act_is_degraded(plane, scene, operator, tools, health):
    operator(plane, env=QUICK)
    scene.apply(ALPHA, syncRequest="a")
    (job,) = scene.requested("a")
    scene.finish(job, reason=RunReason.CREDENTIALS_REJECTED)
    scene.recorded(job)

    assert tools.kstatus(scene.live()).verdict == "Current"
    assert tools.argo_cd_health(scene.live(), health).verdict == "Degraded"


@pytest.fixture
def earlier(plane):
    """The CRD of the time when the API server stored defaults."""
    current = custom_resource_definition()
    before = copy.deepcopy(current)
    schema = before["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]
    schema["spec"]["properties"]["suspend"]["default"] = False
    fields = schema["spec"]["properties"]["vendors"]["items"]["properties"]
    fields["suspend"]["default"] = False
    fields["options"]["default"] = {}
    del schema["status"]["default"], schema["status"]["properties"]["observedGeneration"]["default"]
    plane.api.apply(before)
    yield lambda: plane.api.apply(current)
    plane.api.apply(current)


@pytest.mark.promise("P12")
def test_an_upgrade_leaves_resources_with_stored_defaults_and_their_cron_jobs(
    plane, operator, tools, earlier
):
    sample = SAMPLES / "two-vendors.yaml"
    (document,) = documents(sample)

    def has_defaults(found):
        return "suspend" in found["spec"]["vendors"][0]

    def fills_in():
        probe = document | {"metadata": {"name": "probe", "namespace": NAMESPACE}}
        there = path("vendorsyncs", NAMESPACE)
        return has_defaults(plane.api.send("POST", there, probe, dryRun="All"))

    wait_until(fills_in, what="the earlier schema")
    plane.kubectl("apply", *where(sample))
    assert has_defaults(live(plane, document))
    process = operator(plane, env=QUICK)
    seen(plane)
    before = plane.api.list("cronjobs", NAMESPACE)
    assert len(before) == 4
    process.stop()

    earlier()
    wait_until(lambda: not fills_in(), what="the schema of today")
    with plane.operator("newer", env=QUICK) as newer:
        newer.ready()
        plane.kubectl("apply", *where(sample))
        seen(plane)

    assert not has_defaults(live(plane, document))
    assert tools.argo_cd(document, live(plane, document), "client") == Answer("Synced")
    assert plane.api.list("cronjobs", NAMESPACE) == before
