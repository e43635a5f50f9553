"""The images' own install steps, run as they are in the Dockerfile, on an index of tiny wheels.

The lock pins table 1, and the index has table 2 as well. Adapter 1 wants any table, and colour,
which is not in the lock. Adapter 2 wants table 2.
"""

import hashlib
import os
import re
import shutil
import subprocess
import venv
from pathlib import Path

import pip
import pytest

from tests.packaging.wheels import write_wheel

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
WHEELS = {
    ("table", "1"): (),
    ("table", "2"): (),
    ("colour", "1"): (),
    ("adapter", "1"): ("table", "colour", "vendorsync"),
    ("adapter", "2"): ("table>=2",),
}
NONE = {"table": "1", "vendorsync": "1"}
"""What the image has without anything extra."""


def steps(target):
    """Return what the stage of an image's environment runs, in order."""
    dockerfile = (ROOT / "Dockerfile").read_text().replace("\\\n", " ")
    stage = dockerfile.partition(f"FROM base AS {target}-venv\n")[2].partition("\nFROM ")[0]
    return re.findall(r"^RUN (.*)$", stage, re.MULTILINE)


class Stage:
    """A stage in a folder in place of an image's root."""

    def __init__(self, folder):
        self.folder = folder
        self.index = folder / "index"
        for (name, version), requires in WHEELS.items():
            write_wheel(self.index, name, version, requires)
        write_wheel(folder / "wheels", "vendorsync", "1")
        venv.create(folder / "opt" / "venv", symlinks=True)
        (self.site,) = (folder / "opt" / "venv" / "lib").glob("python*/site-packages")
        self._bring_pip()

    def _bring_pip(self):
        source = Path(pip.__file__).parent
        shutil.copytree(source, self.site / "pip")
        (info,) = source.parent.glob("pip-*.dist-info")
        shutil.copytree(info, self.site / info.name)

    def lock(self, *pins):
        """Return the text of a lock."""
        return "".join(
            f"{name}=={version} --hash=sha256:"
            + hashlib.sha256(
                (self.index / f"{name}-{version}-py3-none-any.whl").read_bytes()
            ).hexdigest()
            + "\n"
            for name, version in pins
        )

    def build(self, target, *, packages="", extra=""):
        """Run the stage; `extra` is a lock, without which our own stands for none."""
        source = self.folder / "src"
        source.mkdir()
        ours = self.lock(("table", "1"))
        (source / f"{target}.txt").write_text(ours)
        (source / "extra.txt").write_text(extra or ours)
        script = "\n".join(["set -e", *steps(target)])
        for name in ("src", "wheels", "opt"):
            script = script.replace(f"/{name}/", f"{self.folder / name}/")
        environment = {
            "PATH": f"{self.folder / 'opt/venv/bin'}:{os.environ['PATH']}",
            "PIP_CONFIG_FILE": os.devnull,
            "PIP_NO_INDEX": "1",
            "PIP_FIND_LINKS": str(self.index),
            "EXTRA_PACKAGES": packages,
        }
        return subprocess.run(
            ["sh", "-c", script], env=environment, capture_output=True, text=True, check=False
        )

    @property
    def installed(self):
        """Versions by name."""
        found = (path.name.removesuffix(".dist-info") for path in self.site.glob("*.dist-info"))
        return dict(name.split("-") for name in found)


@pytest.fixture
def stage(tmp_path):
    return Stage(tmp_path)


def test_both_images_install_in_the_same_way():
    assert [step.replace("operator", "syncjob") for step in steps("operator")] == steps("syncjob")


def test_without_anything_extra_there_is_what_the_lock_has_and_no_pip(stage):
    done = stage.build("operator")

    assert done.returncode == 0, done.stdout + done.stderr
    assert stage.installed == NONE


def test_an_extra_package_comes_with_what_it_requires_and_moves_nothing_of_ours(stage):
    done = stage.build("syncjob", packages="adapter==1")

    assert done.returncode == 0, done.stdout + done.stderr
    assert stage.installed == NONE | {"adapter": "1", "colour": "1"}


def test_an_extra_package_that_wants_another_version_of_ours_is_refused(stage):
    done = stage.build("syncjob", packages="adapter==2")

    assert done.returncode != 0
    assert "table==1" in done.stdout + done.stderr
    assert stage.installed.items() >= NONE.items()


def test_a_lock_of_the_adapters_own_is_installed_by_its_hashes(stage):
    done = stage.build("syncjob", extra=stage.lock(("adapter", "1"), ("colour", "1")))

    assert done.returncode == 0, done.stdout + done.stderr
    assert stage.installed == NONE | {"adapter": "1", "colour": "1"}


@pytest.mark.parametrize(
    ("pins", "said"),
    [
        ([("adapter", "1")], "adapter 1 requires colour, which is not installed"),
        ([("adapter", "2"), ("table", "2")], "table==1"),
    ],
)
def test_a_lock_of_the_adapters_own_that_does_not_fit_ours_is_refused(stage, pins, said):
    done = stage.build("syncjob", extra=stage.lock(*pins))

    assert done.returncode != 0
    assert said in done.stdout + done.stderr


def test_a_wheel_that_is_not_the_one_in_the_adapters_lock_is_refused(stage):
    lock = stage.lock(("adapter", "1"), ("colour", "1"))
    write_wheel(stage.index, "colour", "1", requires=("table",))

    done = stage.build("syncjob", extra=lock)

    assert done.returncode != 0
    assert "DO NOT MATCH THE HASHES" in done.stdout + done.stderr
