"""The shape of the checkout, and that what is generated is current."""

import ast
import re
import subprocess
import sys
import tomllib
from importlib.metadata import version
from pathlib import Path

import pytest
import yaml

from dev import generate
from dev.rows import ROWS
from vendorsync_api.v1alpha1 import VendorSync
from vendorsync_operator.files import load as load_file

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def tracked():
    listed = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, check=True, capture_output=True, text=True
    )  # fmt: skip
    return [ROOT / name for name in listed.stdout.splitlines() if (ROOT / name).is_file()]


@pytest.mark.requirement("C07")
def test_operator_is_no_package():
    """A package of that name would shadow the standard library's module."""
    assert not (ROOT / "operator" / "__init__.py").exists()
    folders = {folder for path in tracked() for folder in path.parents}
    assert [folder for folder in folders if folder.name == "operator"] == [ROOT / "operator"]
    code = "import collections, operator; print(operator.__file__)"
    found = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True, text=True
    )
    assert str(ROOT) not in found.stdout


def test_no_module_that_may_be_run_by_path_hides_one_of_the_standard_library():
    """The folder of a program comes first among those that modules are looked for in."""
    hiding = [
        path.relative_to(ROOT).as_posix()
        for path in tracked()
        if path.suffix == ".py"
        and path.relative_to(ROOT).parts[0] in ("bench", "dev", "tests", "examples")
        and {path.stem, path.parent.name} & sys.stdlib_module_names
    ]

    assert hiding == []


def test_tests_hold_no_packages():
    assert list((ROOT / "tests").rglob("__init__.py")) == []


TOP_LEVEL = "pyproject.toml README.md operator syncjob charts manifests tests Dockerfile"


@pytest.mark.requirement("C07")
@pytest.mark.parametrize("name", TOP_LEVEL.split())
def test_the_top_level_is_as_named(name):
    assert (ROOT / name).exists()


@pytest.mark.parametrize("name", [n for n in generate.TARGETS if n != "manifests/install.yaml"])
def test_generated_files_are_current(name):
    assert (ROOT / name).read_text() == generate.TARGETS[name](), "run make generate"


@pytest.mark.parametrize(
    "path", [p for p in sorted((ROOT / "manifests/samples").glob("*.yaml")) if p.stem != "secrets"]
)
def test_samples_are_valid(path):
    resources = load_file(str(path))

    assert resources
    assert all(isinstance(resource, VendorSync) for resource in resources)


def test_versions_agree():
    chart = yaml.safe_load((ROOT / "charts/vendorsync/Chart.yaml").read_text())
    released = re.findall(r"^## \[(\d.*?)\]", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)

    assert {PROJECT["version"], version("vendorsync"), chart["version"], chart["appVersion"]} == {
        released[0]
    }


@pytest.mark.parametrize(
    "path", sorted((ROOT / "requirements").glob("*.txt")), ids=lambda p: p.name
)
def test_locks_have_hashes_and_no_addresses(path):
    text = path.read_text()

    assert "://" not in text
    pins = re.findall(r"^([a-z0-9][\w.-]*(?:\[\w+\])?)==", text, re.MULTILINE)
    assert pins
    blocks = re.split(r"^(?=[a-z0-9])", text, flags=re.MULTILINE)
    assert all("--hash=sha256:" in block for block in blocks if "==" in block)


def test_no_lock_file_with_addresses_is_tracked():
    names = {path.name for path in tracked()}

    assert not names & {"uv.lock", "package-lock.json", "poetry.lock"}


@pytest.mark.requirement("C08")
@pytest.mark.parametrize(
    ("package", "library"),
    [
        ("operator/vendorsync_operator", "kopf"),
        ("operator/vendorsync_operator", "kubernetes"),
        ("operator/vendorsync_api", "pydantic"),
        ("syncjob/vendorsync_job", "httpx"),
        ("syncjob/vendorsync_job", "psycopg"),
        ("syncjob/vendorsync_job", "jwt"),
    ],
)
def test_the_named_libraries_are_in_use(package, library):
    assert any(library in imports(path) for path in (ROOT / package).rglob("*.py"))


def imports(path):
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module.split(".")[0])
    return found


@pytest.mark.parametrize(
    ("module", "absent"),
    [
        ("vendorsync_job.__main__", ("kopf", "kubernetes", "aiohttp", "vendorsync_operator")),
        ("vendorsync_operator.main", ("httpx", "psycopg", "jwt", "vendorsync_job")),
        ("vendorsync_api.vendors", ("httpx", "kopf", "vendorsync_job", "vendorsync_operator")),
    ],
)
def test_each_side_imports_only_its_own_libraries(module, absent):
    code = f"import sys, {module}; print([n for n in {absent!r} if n in sys.modules])"

    found = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code], check=True, capture_output=True, text=True
    )

    assert found.stdout.strip() == "[]"


def test_every_row_has_a_title():
    for rows in tomllib.loads(ROWS.read_text()).values():
        assert rows
        assert all(re.fullmatch(r"[A-Z]\d{1,2}", row) and title for row, title in rows.items())
