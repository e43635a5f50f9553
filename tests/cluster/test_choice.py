"""Which provider is chosen, with the machine played by a fake."""

from dataclasses import dataclass

import pytest

from dev.cluster.choice import choose, choose_provider
from dev.cluster.errors import NoClusterError
from dev.cluster.progress import Progress


@dataclass
class FakeHost:
    docker: bool = False
    image: bool = False
    root: bool = False

    def docker_answers(self) -> bool:
        return self.docker

    def node_image_available(self) -> bool:
        assert self.docker, "nobody asks for an image without Docker"
        return self.image

    def linux_root(self) -> bool:
        return self.root


@pytest.fixture(autouse=True)
def _own_state(tmp_path, monkeypatch):
    monkeypatch.setenv("VENDORSYNC_STATE", str(tmp_path))


@pytest.mark.parametrize(
    ("host", "wanted", "provider"),
    [
        pytest.param(FakeHost(docker=True, image=True, root=True), None, "kind", id="kind first"),
        pytest.param(FakeHost(docker=True, root=True), None, "local", id="no image for kind"),
        pytest.param(FakeHost(root=True), None, "local", id="no docker"),
        pytest.param(FakeHost(root=True), "", "local", id="an empty wish is none"),
        pytest.param(
            FakeHost(docker=True, image=True, root=True), "local", "local", id="local wanted"
        ),
        pytest.param(FakeHost(docker=True, image=True), "kind", "kind", id="kind wanted"),
    ],
)
def test_the_first_provider_that_runs_here_is_chosen(host, wanted, provider):
    assert choose_provider(host, wanted)[0] == provider


@pytest.mark.parametrize(
    ("host", "wanted", "advice"),
    [
        pytest.param(FakeHost(), None, "install and start Docker", id="nothing runs"),
        pytest.param(FakeHost(docker=True), None, "root", id="no image, no root"),
        pytest.param(FakeHost(root=True), "kind", "start Docker", id="kind without docker"),
        pytest.param(FakeHost(docker=True), "kind", "cannot be pulled", id="kind without image"),
        pytest.param(FakeHost(docker=True, image=True), "local", "sudo", id="local without root"),
        pytest.param(FakeHost(root=True), "minikube", "CLUSTER=minikube", id="unknown provider"),
    ],
)
def test_what_cannot_run_is_refused_with_advice(host, wanted, advice):
    with pytest.raises(NoClusterError, match=advice) as refusal:
        choose_provider(host, wanted)

    assert refusal.value.exit_code == 69


def test_the_choice_and_its_reason_are_printed(capsys):
    cluster = choose("here", environ={}, host=FakeHost(root=True), progress=Progress())

    assert cluster.context == "vendorsync-local-here"
    assert "vendorsync-local-here (no Docker, but Linux and root)" in capsys.readouterr().err


def test_a_cluster_that_was_started_is_found_again(tmp_path):
    (tmp_path / "vendorsync-local").mkdir()

    cluster = choose(environ={}, host=FakeHost(docker=True, image=True))

    assert cluster.provider == "local"
