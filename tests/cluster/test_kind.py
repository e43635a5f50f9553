"""What the provider `kind` asks of kind and docker, both played by a script that takes notes."""

from pathlib import Path

import pytest

from dev.cluster.errors import ClusterError
from dev.cluster.images import Image
from dev.cluster.kind import NODE_IMAGE, KindCluster
from dev.cluster.toolchain import KIND_BINARIES, binaries_folder

FAKE = """\
#!/bin/sh
echo "$(basename "$0") $*" >>"$NOTES"
case "$*" in
  "get clusters") cat "$NOTES.clusters" 2>/dev/null ;;
  create*)
    echo vendorsync-t >"$NOTES.clusters"
    echo {} >"$VENDORSYNC_STATE/kind-vendorsync-t/kubeconfig"
    ;;
  delete*) rm "$NOTES.clusters" ;;
  *network*) echo '[{"IPAM": {"Config": [{"Gateway": "fc00::1"}, {"Gateway": "172.18.0.1"}]}}]' ;;
esac
"""


@pytest.fixture
def notes(tmp_path, monkeypatch):
    monkeypatch.setenv("VENDORSYNC_STATE", str(tmp_path / "state"))
    monkeypatch.setenv("VENDORSYNC_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("NOTES", str(tmp_path / "notes"))
    folder = binaries_folder()
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    folder.mkdir(parents=True)
    for name in ("docker", *(binary.name for binary in KIND_BINARIES)):
        (folder / name).write_text(FAKE)
        (folder / name).chmod(0o755)
    return tmp_path / "notes"


def asked(notes: Path, program: str) -> list[str]:
    lines = notes.read_text().splitlines()
    return [line for line in lines if line.startswith(program) and "get " not in line]


def test_kind_makes_the_cluster_once_with_a_kubeconfig_of_its_own(notes):
    cluster = KindCluster("t")

    cluster.up()
    cluster.up()

    assert asked(notes, "kind") == [
        f"kind create cluster --image={NODE_IMAGE} --wait=180s --name=vendorsync-t"
        f" --kubeconfig={cluster.kubeconfig}"
    ]
    assert cluster.running


def test_down_removes_the_cluster_and_its_state(notes):
    cluster = KindCluster("t")
    cluster.up()

    cluster.down()
    cluster.down()

    assert len([line for line in asked(notes, "kind") if "delete" in line]) == 1
    assert not cluster.folder.exists()


def test_an_image_is_built_and_loaded_only_when_it_changed(notes):
    root = Path(__file__).parents[2]
    image = Image("a/b:dev", Path(__file__), root, target="x", paths=("tests/cluster/nothing",))
    cluster = KindCluster("t")
    cluster.up()

    cluster.build_and_load(image)
    cluster.build_and_load(image)

    assert asked(notes, "docker") == [
        f"docker build --quiet --file={image.dockerfile} --tag=a/b:dev --target=x {root}"
    ]
    assert asked(notes, "kind")[1:] == ["kind load docker-image a/b:dev --name=vendorsync-t"]


def test_images_need_a_running_cluster(notes):
    with pytest.raises(ClusterError, match="kind-vendorsync-t is not up"):
        KindCluster("t").build_and_load()


def test_the_host_is_the_gateway_of_its_network(notes):
    assert KindCluster("t").host_address == "172.18.0.1"
