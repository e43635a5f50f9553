"""What docs/operate.md says of uninstalling and installing again, by its own commands."""

import pytest

from dev.cluster.errors import CommandError
from dev.plane import chart
from tests.packaging.pages import ROOT, Page
from tests.plane.scene import Scene, ask, begin, revive

pytestmark = pytest.mark.timeout(300)

COMMANDS = [
    [str(ROOT / word) if word == "charts/vendorsync" else word for word in words]
    for words in Page("docs/operate.md").commands
]


def documented(*wanted):
    """Return the one command of the page that has all these words, without its program."""
    (found,) = {tuple(words) for words in COMMANDS if set(wanted) <= set(words)}
    return found[1:]


STOP_FOR_GOOD = documented("kubectl", "delete", "vs")
STOP_FOR_NOW = documented("kubectl", "delete", "cronjobs")
KEEP_VALUES = documented("helm", "get", "values")
TAKE_OVER = documented("helm", "--take-ownership")
WITHOUT_CRD = [
    "--set=crds.enabled=false" if word == "--take-ownership" else word for word in TAKE_OVER
]
VALUES = KEEP_VALUES[-1]
RELEASE, ELSEWHERE = (
    ("vendorsync", "--namespace", "helm"),
    ("solar-sync", "--namespace", "solar-sync"),
)


@pytest.fixture
def scene(controlled_plane):
    return Scene(controlled_plane, "acme")


@pytest.fixture
def left(scene, controlled_plane, operator):
    """A resource with CronJobs and Jobs that outlived its operator; give the operator."""
    process = operator(controlled_plane)
    begin(scene)
    scene.applied()
    ask(scene)
    assert scene.requested("a")
    process.kill()
    return process


def is_still(scene):
    return not scene.cron_jobs() and not scene.jobs()


def test_deleting_the_resources_stops_every_run_without_an_operator(left, scene, controlled_plane):
    controlled_plane.kubectl(*STOP_FOR_GOOD)

    scene.until(lambda: is_still(scene), "the end of CronJobs and Jobs")


def test_deleting_the_cron_jobs_stops_every_run_until_there_is_an_operator(
    left, scene, controlled_plane
):
    before = scene.uids()

    controlled_plane.kubectl(*STOP_FOR_NOW)

    scene.until(lambda: is_still(scene), "the end of CronJobs and Jobs")
    assert scene.condition("Ready") == ("True", "Applied")
    revive(left, controlled_plane.api)
    scene.until(lambda: scene.uids().keys() == before.keys(), "the CronJobs of before")
    assert set(scene.uids().values()).isdisjoint(before.values())


@pytest.fixture
def helm(controlled_plane, tmp_path, monkeypatch):
    """Helm on a plane where a release was uninstalled that owned the CRD; its values were kept."""
    cluster = controlled_plane.cluster
    monkeypatch.chdir(tmp_path)
    # The plane's own copy of the CRD has no owner of Helm's yet.
    cluster.helm(
        *("upgrade", "--install", *RELEASE, chart.CHART, "--create-namespace", "--take-ownership"),
        "--set=concurrencyLimit=3",
    )
    (tmp_path / VALUES).write_text(cluster.helm(*KEEP_VALUES[:2], *RELEASE, *KEEP_VALUES[5:-2]))
    cluster.helm("uninstall", *RELEASE)
    yield cluster.helm
    cluster.helm("uninstall", *ELSEWHERE, "--ignore-not-found")


def test_the_crd_stays_and_the_same_name_may_install_again(helm, controlled_plane):
    assert "vendorsyncs" in controlled_plane.kubectl("get", "crd")

    helm("upgrade", "--install", *RELEASE, chart.CHART)

    helm("uninstall", *RELEASE)


@pytest.mark.parametrize("way", [TAKE_OVER, WITHOUT_CRD], ids=["take ownership", "without CRD"])
def test_another_name_is_refused_and_both_ways_around_that_work(helm, way):
    with pytest.raises(CommandError, match="invalid ownership metadata"):
        helm("upgrade", "--install", *ELSEWHERE, chart.CHART, "--create-namespace")

    helm(*way)
    assert "concurrencyLimit: 3" in helm("get", "values", *ELSEWHERE)
