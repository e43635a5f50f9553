"""Building programs once, with Go played by a short shell script."""

import os
from dataclasses import replace
from pathlib import Path

import pytest

from dev.cluster import toolchain
from dev.cluster.errors import CommandError
from dev.cluster.progress import Progress
from dev.cluster.toolchain import (
    HELM,
    KUBECTL,
    LOCAL_BINARIES,
    MODULE,
    binaries_folder,
    ensure_binaries,
    kubernetes_version,
)

FAKE_GO = """\
#!/bin/sh
echo "$*" >>"$0.log"
case "$1" in
  env) echo go1.26.0; exit ;;
  install) target=$GOBIN/helm ;;
  build) while [ "$1" != -o ]; do shift; done; target=$2 ;;
esac
echo half >"$target"
[ -z "$BROKEN" ] || exit 1
echo whole >"$target"
"""


@pytest.fixture(autouse=True)
def _fake_go(tmp_path, monkeypatch):
    programs = tmp_path / "programs"
    programs.mkdir()
    (programs / "go").write_text(FAKE_GO)
    (programs / "go").chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    monkeypatch.setenv("VENDORSYNC_CACHE", str(tmp_path / "cache"))
    return programs


@pytest.fixture
def asked(_fake_go):
    """What Go was asked for, line by line."""
    return lambda: (_fake_go / "go.log").read_text().splitlines()


def files(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in folder.iterdir()}


def test_a_program_is_built_whole_and_put_in_its_place():
    folder = ensure_binaries((KUBECTL, HELM), Progress())

    assert files(folder) == {"kubectl": "whole\n", "helm": "whole\n"}


def test_a_failed_build_leaves_no_half_program(monkeypatch):
    monkeypatch.setenv("BROKEN", "yes")

    with pytest.raises(CommandError, match="go build"):
        ensure_binaries((KUBECTL,), Progress())

    assert files(binaries_folder()) == {}


def test_what_is_built_is_not_built_again(monkeypatch, capsys):
    ensure_binaries((KUBECTL,), Progress())
    capsys.readouterr()
    monkeypatch.setenv("BROKEN", "yes")

    ensure_binaries((KUBECTL,), Progress())

    assert capsys.readouterr().err == ""


def test_a_build_says_what_and_how_long(capsys):
    ensure_binaries((KUBECTL,), Progress())

    assert "building kubectl (usually 30 s)" in capsys.readouterr().err


def test_the_version_comes_from_the_module():
    assert kubernetes_version() in (MODULE / "go.mod").read_text()


def test_helm_takes_a_cluster_that_it_cannot_ask_for_one_of_our_version(asked):
    major, minor, _ = kubernetes_version().removeprefix("v").split(".", 2)

    ensure_binaries((HELM,), Progress())

    (install,) = (line for line in asked() if line.startswith("install"))
    assert "-X helm.sh/helm/v3/internal/version.version=v3." in install
    for package in ("pkg/chartutil", "pkg/lint/rules"):
        assert f"-X helm.sh/helm/v3/{package}.k8sVersionMajor={major} " in install
        assert f"-X helm.sh/helm/v3/{package}.k8sVersionMinor={minor} " in install


def test_what_a_program_is_told_of_its_versions_decides_its_place(monkeypatch):
    before = binaries_folder()
    ignorant = replace(HELM, kubernetes_packages=())

    for name in ("LOCAL_BINARIES", "KIND_BINARIES"):
        binaries = [ignorant if each is HELM else each for each in getattr(toolchain, name)]
        monkeypatch.setattr(toolchain, name, tuple(binaries))

    assert binaries_folder() != before


def test_every_program_of_the_module_is_one_of_its_tools():
    module = (MODULE / "go.mod").read_text()
    ours = [binary.source for binary in LOCAL_BINARIES if "@" not in binary.source]

    assert all(source in module for source in ours if source.startswith(("k8s.io", "go.etcd.io")))
