"""The provider `kind`: a cluster in Docker containers, which most users have."""

import json
import shutil
from functools import cached_property
from pathlib import Path

from dev.cluster import images, toolchain
from dev.cluster.cluster import Cluster
from dev.cluster.command import run, succeeds
from dev.cluster.errors import CommandError
from dev.cluster.images import Image

# What kind v0.32.0 itself takes by default; named here so that it can be looked for beforehand.
NODE_IMAGE = (
    "kindest/node:v1.36.1@sha256:3489c7674813ba5d8b1a9977baea8a6e553784dab7b84759d1014dbd78f7ebd5"
)


def docker_answers() -> bool:
    """Tell whether there is a Docker that we may use."""
    return succeeds(["docker", "info"], timeout=20)


def node_image_available() -> bool:
    """Tell whether the node image is here, pulling it when it is not."""
    return succeeds(["docker", "image", "inspect", NODE_IMAGE]) or succeeds(
        ["docker", "pull", "--quiet", NODE_IMAGE], timeout=600
    )


class KindCluster(Cluster):
    """A cluster that kind made; its node is a container."""

    provider = "kind"

    @cached_property
    def binaries(self) -> Path:
        """The folder of kind, kubectl and helm, built on first use."""
        return toolchain.ensure_binaries(toolchain.KIND_BINARIES, self.progress)

    @property
    def running(self) -> bool:
        """Whether kind has it and its API server answers."""
        return self._known() and self.ready()

    @property
    def host_address(self) -> str:
        """The gateway of kind's network, which is this machine."""
        networks = json.loads(run(["docker", "network", "inspect", "kind"]))
        gateways = (config.get("Gateway", "") for config in networks[0]["IPAM"]["Config"])
        return next(str(address) for address in gateways if "." in address)

    def up(self) -> None:
        """Let kind make it, after removing what a killed start may have left."""
        with self._alone():
            if self.running:
                self.progress.say(f"{self.context} is up")
                return
            self._remove()
            self.folder.mkdir(parents=True, mode=0o700)
            self.progress.say("starting kind (usually 40 s)")
            self._kind("create", "cluster", f"--image={NODE_IMAGE}", "--wait=180s")
            self.progress.say(f"{self.context} is ready")

    def down(self) -> None:
        """Let kind remove it."""
        with self._alone():
            there = self._known() or self.folder.exists()
            self._remove()
            self.progress.say(
                f"{self.context} is gone" if there else f"{self.context}: nothing to remove"
            )

    def build_and_load(self, *wanted: Image) -> None:
        """Build with docker what changed, and load what the node lacks."""
        self._require_running()
        by_name = {image.reference: image for image in wanted}
        digests = {name: images.digest(image) for name, image in by_name.items()}
        for name in self._load_missing(digests):
            image = by_name[name]
            self.progress.say(f"building and loading {name}")
            run(
                [
                    "docker",
                    "build",
                    "--quiet",
                    f"--file={image.dockerfile}",
                    f"--tag={image.tag}",
                    *([f"--target={image.target}"] if image.target else []),
                    *(f"--build-arg={key}={value}" for key, value in image.build_args.items()),
                    image.context,
                ]
            )
            self._kind("load", "docker-image", image.tag)
            self._note_loaded({name: digests[name]})

    def _remove(self) -> None:
        if self._known():
            self._kind("delete", "cluster")
        shutil.rmtree(self.folder, ignore_errors=True)

    def _known(self) -> bool:
        try:
            return self._cluster in run([self.binaries / "kind", "get", "clusters"]).split()
        except CommandError:
            return False

    @property
    def _cluster(self) -> str:
        return self.context.removeprefix("kind-")

    def _kind(self, verb: str, *args: str) -> None:
        target = [f"--name={self._cluster}"]
        if verb != "load":
            target.append(f"--kubeconfig={self.kubeconfig}")
        run([self.binaries / "kind", verb, *args, *target], timeout=600)
