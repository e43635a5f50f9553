"""No install of this checkout resolves anything, so that a newer release somewhere breaks none.

What is looked at are Python's packages. Those of Go are pinned by its own go.mod, and Debian's are
those of the distribution.
"""

import re
import subprocess
from pathlib import Path

import pytest

from tests.packaging.installs import commands, resolves, takes_lock

ROOT = Path(__file__).resolve().parents[2]
FREE = "$EXTRA_PACKAGES"
"""Resolves on purpose: a package of somebody else's, with what it wants beyond our lock."""


@pytest.fixture(scope="module")
def found():
    """Every command by the file that has it; this one has examples."""
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True
    )
    return {
        name: [*commands(text, python=name.endswith(".py"))]
        for name in listed.stdout.split("\0")
        if name and (ROOT / name) != Path(__file__) and (text := readable(ROOT / name))
    }


def readable(path):
    try:
        return path.read_text(encoding="utf-8") if path.is_file() else ""
    except UnicodeDecodeError:
        return ""


def test_no_command_of_the_checkout_lets_an_index_decide_what_is_installed(found):
    assert [
        f"{name}: {' '.join(words)}"
        for name, several in found.items()
        for words in several
        if resolves(words) and words[-1] != FREE
    ] == []


def test_what_resolves_on_purpose_is_held_to_what_is_installed(found):
    free = [words for words in found["Dockerfile"] if words[-1] == FREE]

    assert len(free) == 2
    assert all("--constraint" in words for words in free)


def test_a_lock_is_installed_by_its_hashes_and_pip_is_asked_whether_it_was_complete(found):
    taking = {name for name, several in found.items() if any(map(takes_lock, several))}

    assert taking == {"Makefile", "Dockerfile", "dev/Dockerfile", "bench/loaders.py"}
    for name in taking:
        assert all("--require-hashes" in words for words in filter(takes_lock, found[name])), name
        assert re.search(r"pip check|\$\(PIP\) check|\*pip, \"check\"", readable(ROOT / name)), name


def test_the_other_places_that_install_are_seen(found):
    for name in (
        "docs/adding-a-vendor.md",
        "dev/cluster/toolchain.py",
        "dev/lock/metadata.py",
        "tests/packaging/test_sample_vendor.py",
    ):
        assert found[name], name


@pytest.mark.parametrize(
    "text",
    [
        "RUN python3 -m pip install -r /src/dev.txt",
        "RUN true \\\n && pip install \\\n    --require-hashes -r dev.txt",
        "\t@$(PIP) install --editable .",
        ".venv/bin/pip install --no-deps --editable .",
        "then run `pip3 install vendorsync` and",
        "pip --quiet wheel --no-deps .",
        "uv pip install thing",
        "uv --quiet sync",
        "- run: pipx run ruff",
    ],
)
def test_a_command_that_resolves_is_found_in_any_text(text):
    (words,) = commands(text, python=False)

    assert resolves(words)


@pytest.mark.parametrize(
    "text",
    [
        "run([sys.executable, '-m', 'pip', 'install', 'thing'])",
        "run([*pip, 'install', *options, name])",
        "run([*pip, *what_to_do])",
        "pip('wheel', '--no-deps', folder)",
        "self.pip('install', folder)",
        "os.system('pip install thing')",
        "command = ('uv', 'sync')",
    ],
)
def test_a_command_that_resolves_is_found_in_a_program(text):
    assert [*map(resolves, commands(text, python=True))] == [True]


@pytest.mark.parametrize(
    "text",
    [
        "pip install --no-deps thing",
        "pip install --no-index --find-links=. thing",
        "pip wheel --no-deps --no-build-isolation .",
    ],
)
def test_a_command_that_takes_only_what_it_names_resolves_nothing(text):
    (words,) = commands(text, python=False)

    assert not resolves(words)


@pytest.mark.parametrize(
    "text",
    [
        "pip check && pip config list && pip uninstall --yes pip",
        "uv pip compile --output-file=dev.txt",
        "what pip installs is pinned",
        "helm install --values=pip.yaml",
    ],
)
def test_what_installs_nothing_is_no_install_command(text):
    assert [*commands(text, python=False)] == []


@pytest.mark.parametrize(
    "text",
    [
        "[go, 'install', *flags]",
        "programs = ('make', 'pip', 'pytest')",
        "pip = [python, '-m', 'pip', '-q']",
        "run([*pip, 'check'])",
    ],
)
def test_a_list_that_installs_no_package_of_python_is_no_install_command(text):
    assert [*commands(text, python=True)] == []
