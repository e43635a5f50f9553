"""The sample of a third party's adapter: built, installed apart, and put through our suite."""

import ast
import os
import re
import shutil
import subprocess
import sys
import textwrap
import tomllib
from importlib import import_module
from importlib.metadata import entry_points, version
from pathlib import Path
from xml.etree import ElementTree

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[2]
SAMPLE = ROOT / "examples" / "sample-vendor"
DOCKERFILE = (ROOT / "Dockerfile").read_text()
GUIDE = (ROOT / "docs" / "adding-a-vendor.md").read_text()
PUBLIC = set(re.findall(r"`((?:vendorsync_(?:api|job)|dev)(?:\.\w+)+)`", GUIDE))

pytestmark = pytest.mark.slow

CARELESS = {
    "every_plant_of_every_page_is_listed_once": (
        '"page": str(number)',
        '"page": "1"',
    ),
    "a_wrong_password_is_tried_exactly_once": (
        "        answer = self._client.post(LOGIN_PATH, json=body, purpose=Purpose.LOGIN)\n",
        "        self._client.post(LOGIN_PATH, json=body, purpose=Purpose.LOGIN)\n"
        "        answer = self._client.post(LOGIN_PATH, json=body, purpose=Purpose.LOGIN)\n",
    ),
    "a_throttle_inside_http_200_is_a_throttle_and_no_empty_list": (
        '    if answer.get("ok") is not True:\n',
        '    if not login and answer.get("ok") is not True:\n'
        '        return {"count": 0, "items": []}\n'
        '    if answer.get("ok") is not True:\n',
    ),
    "capacities_and_places_arrive_in_our_units": ('"kWp"', '"Wp"'),
    "a_capacity_that_is_gone_is_none_and_never_zero": (
        'row.get("peakKw")',
        'row.get("peakKw") or 0',
    ),
    "nothing_of_the_live_values_is_what_a_plant_is_known_by": ('"peakKw", "pos', '"powerKw", "pos'),
    "a_token_that_dies_between_two_pages_is_renewed_once_and_no_page_is_lost": (
        'token_expired=frozenset({"TOKEN_UNKNOWN"})',
        "token_expired=frozenset()",
    ),
    "every_alert_of_every_page_is_listed_once": (
        'vendor_alert_id=normalise.identifier(row.get("id"))',
        'vendor_alert_id=normalise.identifier(row.get("code"))',
    ),
    "an_alert_says_where_when_and_how_grave": ('2: "MEDIUM"', '2: "HIGH"'),
    "policy_and_adapter_agree": ("    def alerts(", "    def alarms("),
}
"""What a careless adapter may do, and the case of the suite that finds it."""


def python(*arguments, site=None):
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(site or "")},
        capture_output=True,
        text=True,
        check=False,
    )


def pip(*arguments):
    done = python("-m", "pip", "--disable-pip-version-check", *map(str, arguments))
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    pip("wheel", "--no-index", "--no-deps", "--no-build-isolation", "--wheel-dir", folder, SAMPLE)
    (built,) = folder.iterdir()
    return built


@pytest.fixture(scope="module")
def site(wheel, tmp_path_factory):
    """A folder with the wheel installed, apart from the environment of this checkout."""
    folder = tmp_path_factory.mktemp("site")
    pip("install", "--no-index", "--no-deps", "--target", folder, wheel)
    return folder


def suite(site, tmp_path, *, only="sample"):
    """Run the contract suite as the guide does; give outcome by test, and what it printed."""
    report = tmp_path / "report.xml"
    done = python(
        "-m", "pytest", "tests/vendors", "-k", only, "-q", "-p", "no:cacheprovider",
        f"--junit-xml={report}",
        site=site,
    )  # fmt: skip
    cases = ElementTree.parse(report).iter("testcase")  # noqa: S314 - our own report
    outcomes = {
        case.get("name"): "passed" if not len(case) else case[0].tag  # the element of a failure
        for case in cases
    }
    return outcomes, done.stdout + done.stderr


@pytest.mark.requirement("R01")
def test_the_installed_wheel_passes_the_whole_contract_suite(site, tmp_path):
    outcomes, printed = suite(site, tmp_path)

    assert set(outcomes.values()) == {"passed"}, printed
    assert all(re.search(r"\[(.*-)?sample(-.*)?\]$", name) for name in outcomes)
    assert {f"test_{case}" for case in CARELESS} <= {name.partition("[")[0] for name in outcomes}
    assert len(outcomes) > 80


@pytest.mark.requirement("R01")
@pytest.mark.parametrize("case", CARELESS)
def test_the_suite_finds_what_a_careless_adapter_does(site, tmp_path, case):
    careless = shutil.copytree(site, tmp_path / "site")
    adapter = careless / "vendorsync_sample" / "adapter.py"
    right, wrong = CARELESS[case]
    text = adapter.read_text()
    assert text.count(right) == 1
    adapter.write_text(text.replace(right, wrong))

    outcomes, printed = suite(careless, tmp_path, only=f"sample and {case}")

    assert outcomes, printed
    assert "failure" in outcomes.values(), printed


COUNTING = """
from dev.simulators.exchange import Request
from vendorsync_sample.cloud import PLANTS_PATH, SampleCloud
from vendorsync_sample.contract import FULL, secret

def call():
    return cloud.answer(listing).payload.get("error", "ok")

now = 1_700_006_400  # midnight UTC
cloud = SampleCloud((FULL,), lambda: now)
login = cloud.answer(Request(method="POST", path="/v1/login", body=secret(FULL)))
query = {"page": "1", "perPage": "1"}
head = {"authorization": f"Bearer {login.payload['result']['token']}"}
listing = Request(method="GET", path=PLANTS_PATH, query=query, headers=head)
print([call() for _ in range(60)].index("TOO_FAST"))
for _ in range(83):
    now += 60
    last = [call() for _ in range(60)]
print(last.index("DAY_SPENT"))
now += 86_400
print(call())
"""


def test_the_simulated_cloud_counts_calls_as_its_description_says(site):
    done = python("-c", COUNTING, site=site)

    # 1 + 59 in the first minute, 82 minutes of 60, and 20 more are 5,000.
    assert done.stdout.split() == ["59", "20", "TOKEN_UNKNOWN"], done.stdout + done.stderr


def test_an_adapter_without_a_simulated_cloud_is_told_how_to_name_one(site, tmp_path):
    bare = shutil.copytree(site, tmp_path / "site")
    (points,) = bare.glob("*.dist-info/entry_points.txt")
    points.write_text(re.sub(r"\[vendorsync\.contract\]\n.*\n", "", points.read_text()))

    outcomes, printed = suite(bare, tmp_path, only="sample and every_plant")

    assert set(outcomes.values()) == {"error"}
    assert "name one in the entry points of vendorsync.contract" in printed


def test_the_policy_is_known_and_reading_it_imports_no_adapter(site):
    code = (
        "import sys; from vendorsync_api.policy import adapters, load_policy;"
        " print('sample' in adapters()); print(load_policy('sample').title);"
        " print([name for name in ('httpx', 'psycopg', 'vendorsync_job',"
        " 'vendorsync_sample.adapter', 'dev') if name in sys.modules])"
    )

    done = python("-c", code, site=site)

    assert done.stdout.splitlines() == ["True", "Sample Solar", "[]"], done.stderr


def test_the_job_loads_the_adapter_without_a_checkout(site, tmp_path):
    code = (
        "import sys; from vendorsync_job.vendors import load; print(load('sample').__name__);"
        " print([name for name in ('httpx', 'psycopg', 'dev') if name in sys.modules])"
    )

    done = python("-P", "-c", code, site=site)

    assert done.stdout.splitlines() == ["SampleAdapter", "[]"], done.stderr


def test_the_operator_renders_both_streams_of_the_vendor(site, tmp_path):
    resource = tmp_path / "sample.yaml"
    smallest = (ROOT / "manifests" / "samples" / "smallest.yaml").read_text()
    resource.write_text(
        smallest.replace("adapter: solarman", "adapter: sample").replace(
            "  vendors:", "  streams: {alerts: {}}\n  vendors:"
        )
    )

    done = python("-m", "vendorsync_operator", "render", str(resource), site=site)

    assert done.stdout.count("kind: CronJob") == 2, done.stdout + done.stderr


def imported(path):
    """The names of the project's modules that a file imports, written `module` or `module.name`."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            for alias in node.names:
                yield node.module, alias.name


@pytest.mark.parametrize("path", sorted(SAMPLE.rglob("*.py")), ids=lambda path: path.name)
def test_the_sample_uses_only_what_the_guide_calls_public(path):
    ours = [
        (module, name)
        for module, name in imported(path)
        if module.split(".")[0] in ("vendorsync_api", "vendorsync_job", "dev")
    ]

    assert [f"{m}.{n}" for m, n in ours if not {m, f"{m}.{n}"} & PUBLIC] == []


@pytest.mark.parametrize("module", sorted(PUBLIC))
def test_each_public_module_exists(module):
    import_module(module)


def test_the_sample_wants_the_version_there_is():
    (wanted,) = tomllib.loads((SAMPLE / "pyproject.toml").read_text())["project"]["dependencies"]

    assert Requirement(wanted).specifier.contains(version("vendorsync"))


def test_the_guide_names_the_groups_that_are_read_and_the_python_of_the_images():
    groups = set(re.findall(r"`(vendorsync\.\w+)`", GUIDE))
    known = {group for group in entry_points().groups if group.startswith("vendorsync.")}
    (base,) = re.findall(r"^FROM python:(\S+?)-slim\S* AS runtime", DOCKERFILE, re.MULTILINE)

    assert groups == known | {"vendorsync.contract"}
    lines = (SAMPLE / "Dockerfile").read_text()
    assert f"/opt/venv/lib/python{base}/site-packages/" in lines
    assert textwrap.indent(lines, "   ") in GUIDE
