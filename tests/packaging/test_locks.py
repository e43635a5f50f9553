"""Each lock is closed: whatever its distributions require is in it, on all that we support."""

import tomllib
from importlib.metadata import distribution

import pytest
from packaging.markers import Marker
from packaging.requirements import Requirement

from bench.lock import WANTED
from dev.lock import metadata, wanted
from dev.lock.closure import OpenLockError, demand_closed
from dev.lock.environments import PYTHONS
from dev.lock.folder import LOCKS
from dev.lock.metadata import Metadata
from dev.lock.pins import Pin, PinError, read
from tests.packaging.wheels import write_wheel

SETS = wanted.of_project() | WANTED


@pytest.fixture(scope="module")
def known():
    return metadata.load()


@pytest.mark.parametrize("name", SETS)
def test_a_lock_holds_all_that_its_distributions_require(name, known):
    requirements = [*map(Requirement, SETS[name])]

    demand_closed(name, read(LOCKS / f"{name}.txt"), requirements, known)


def test_locks_serve_every_python_from_the_oldest_that_the_project_takes():
    project = tomllib.loads((LOCKS.parent / "pyproject.toml").read_text())["project"]

    assert project["requires-python"] == f">={PYTHONS[0]}"


def test_every_lock_has_something_that_it_is_made_for():
    assert {path.stem for path in LOCKS.glob("*.txt")} == set(SETS)


def test_the_parts_of_the_large_lock_pin_what_it_pins():
    whole = {*map(str, read(LOCKS / f"{wanted.ALL}.txt"))}

    for name in wanted.of_project():
        assert {*map(str, read(LOCKS / f"{name}.txt"))} <= whole, "run make lock"


def test_what_is_known_of_requirements_is_of_what_is_pinned(known):
    assert known.keys() == metadata.pinned().keys(), "run make lock"


def test_what_is_known_of_requirements_is_what_the_installed_distributions_say(known):
    for pin in read(LOCKS / f"{wanted.ALL}.txt"):
        if not pin.marker or Marker(pin.marker).evaluate():
            found = distribution(pin.name)
            assert found.version == str(pin.version)
            assert Metadata.of(found.metadata["Requires-Python"], found.requires) == known[str(pin)]


def requiring(*requires, python=""):
    return Metadata.of(python, requires)


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (["report==1"], r"report==1 requires table>=2, which is not pinned"),
        (["report==1", "table==1.9"], r"report==1 requires table>=2, and table==1.9 is pinned"),
        (["report==1", "table==2", "table==2.1"], r"both table==2 and table==2.1 are pinned"),
        (["report==1", "table==3"], "table==3 is not in metadata.json"),
        (["table==2"], r"the project requires report\[colour\], which is not pinned"),
        (
            ["report==1", "table==2", "paint==1 ; python_version < '3.14'"],
            r"report\[colour\]==1 requires paint; .*not pinned \(Python 3.14.0 on Linux x86_64\)",
        ),
        (
            ["report==1", "table==2", "paint==1 ; sys_platform != 'darwin'"],
            r"report\[colour\]==1 requires paint; .*not pinned \(Python 3.11.0 on Darwin x86_64\)",
        ),
        (
            ["report==1", "table==2", "paint==2"],
            r"paint==2 requires Python <3.13 \(Python 3.13.0 on Linux x86_64\)",
        ),
    ],
)
def test_a_lock_that_misses_something_is_named_with_it(lines, said):
    known = {
        "report==1": requiring("table>=2", "paint; extra == 'colour'", "loud; extra == 'sound'"),
        "table==1.9": requiring(),
        "table==2": requiring(),
        "table==2.1": requiring(),
        "paint==1": requiring(),
        "paint==2": requiring(python="<3.13"),
    }

    with pytest.raises(OpenLockError, match=said):
        demand_closed("some", [*map(Pin.parse, lines)], [Requirement("report[colour]")], known)


def test_a_closed_lock_is_taken_with_the_markers_of_its_lines():
    known = {
        "report==1": requiring("old; python_full_version < '3.12'", "wine; os_name == 'nt'"),
        "old==1": requiring(python="<3.12"),
    }
    lines = ["report==1", "old==1 ; python_full_version < '3.12'", "wine==1 ; os_name == 'nt'"]

    demand_closed("some", [*map(Pin.parse, lines)], [Requirement("report")], known)


@pytest.mark.parametrize("line", ["table>=2", "table==2.*", "table"])
def test_a_line_without_an_exact_version_is_no_pin(line):
    with pytest.raises(PinError, match="no exact version: table"):
        Pin.parse(line)


def test_a_pin_is_read_with_name_version_extras_and_marker():
    pin = Pin.parse("Some_Report[colour]==1.0 ; os_name == 'posix'")

    assert str(pin) == "some-report==1.0"
    assert pin.extras == frozenset({"colour"})
    assert Marker(pin.marker) == Marker("os_name == 'posix'")


@pytest.mark.slow
def test_what_wheels_require_is_read_without_an_installation(tmp_path, monkeypatch):
    write_wheel(tmp_path, "table", "1")
    write_wheel(tmp_path, "table", "2", requires=("paint>=3", "ink; extra == 'print'"))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))

    found = metadata.ask(map(Pin.parse, ["table==1", "table==2 ; python_version >= '3.13'"]))

    assert found == {
        "table==1": requiring(),
        "table==2": requiring("paint>=3", "ink; extra == 'print'"),
    }
