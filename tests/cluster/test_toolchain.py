"""Building programs once, with Go played by a short shell script."""

import os
from pathlib import Path

import pytest

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


def test_every_program_of_the_module_is_one_of_its_tools():
    module = (MODULE / "go.mod").read_text()
    ours = [binary.source for binary in LOCAL_BINARIES if "@" not in binary.source]

    assert all(source in module for source in ours if source.startswith(("k8s.io", "go.etcd.io")))
