"""Names and digests of images; building is shown by the suites that need images."""

import subprocess
import tarfile

import pytest

from dev.cluster.images import Image, bases, digest, full_reference, write_single_binary


@pytest.fixture
def checkout(tmp_path):
    subprocess.run(["git", "init", "--quiet"], cwd=tmp_path, check=True)
    (tmp_path / "Dockerfile").write_text("FROM scratch\n")
    (tmp_path / ".gitignore").write_text("*.pyc\n")
    (tmp_path / "app").mkdir()
    (tmp_path / "app" / "main.py").write_text("1\n")
    return tmp_path


def image(checkout, **changes) -> Image:
    settings = {"dockerfile": checkout / "Dockerfile", "context": checkout, "paths": ("app",)}
    return Image("app:dev", **{**settings, **changes})


@pytest.mark.parametrize(
    ("tag", "full"),
    [
        ("app:dev", "docker.io/library/app:dev"),
        ("vendorsync/app:dev", "docker.io/vendorsync/app:dev"),
        ("localhost/app:dev", "localhost/app:dev"),
        ("registry.example.com:5000/app", "registry.example.com:5000/app"),
    ],
)
def test_a_name_is_completed_as_nodes_complete_it(tag, full):
    assert full_reference(tag) == full


def test_bases_are_what_a_dockerfile_takes_from_elsewhere():
    dockerfile = """\
FROM --platform=linux/amd64 python:3.13-slim-trixie AS build
RUN echo FROM nothing
from build as operator
FROM scratch
FROM python:3.13-slim-trixie
"""

    assert bases(dockerfile) == ["python:3.13-slim-trixie"]


@pytest.mark.parametrize("name", ["app/main.py", "app/new.py", "Dockerfile"])
def test_a_change_of_what_matters_changes_the_digest(checkout, name):
    before = digest(image(checkout))

    (checkout / name).write_text("FROM other\n")

    assert digest(image(checkout)) != before


@pytest.mark.parametrize("name", ["app/main.pyc", "README.md"])
def test_a_change_of_anything_else_does_not(checkout, name):
    before = digest(image(checkout))

    (checkout / name).write_text("2\n")

    assert digest(image(checkout)) == before


def test_the_target_and_the_arguments_are_part_of_the_digest(checkout):
    digests = {
        digest(image(checkout)),
        digest(image(checkout, target="operator")),
        digest(image(checkout, build_args={"VERSION": "2"})),
    }

    assert len(digests) == 3


def test_an_image_of_one_program_holds_just_that(tmp_path):
    (tmp_path / "pause").write_bytes(b"program")

    write_single_binary(tmp_path / "pause.tar", tmp_path / "pause", "localhost/pause:1")

    with (
        tarfile.open(tmp_path / "pause.tar") as archive,
        tarfile.open(fileobj=archive.extractfile("layer.tar")) as layer,
    ):
        assert [(entry.name, entry.mode) for entry in layer] == [("pause", 0o755)]
