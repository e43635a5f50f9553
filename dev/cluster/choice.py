"""Which provider this machine gets, and why."""

import os
import sys
from collections.abc import Mapping
from typing import Protocol

from dev.cluster import kind
from dev.cluster.cluster import Cluster
from dev.cluster.context import DEFAULT_NAME, context_name
from dev.cluster.errors import NoClusterError
from dev.cluster.folders import state_folder
from dev.cluster.kind import KindCluster
from dev.cluster.local import LocalCluster
from dev.cluster.progress import Progress

PROVIDERS: dict[str, type[Cluster]] = {"kind": KindCluster, "local": LocalCluster}


class Host(Protocol):
    """What the choice depends on."""

    def docker_answers(self) -> bool:
        """Tell whether there is a Docker that we may use."""

    def node_image_available(self) -> bool:
        """Tell whether kind's node image is here or can be pulled."""

    def linux_root(self) -> bool:
        """Tell whether this is Linux and we are root."""


class ThisHost:
    """The machine that we run on."""

    def docker_answers(self) -> bool:
        """Ask Docker."""
        return kind.docker_answers()

    def node_image_available(self) -> bool:
        """Ask Docker, which may pull it."""
        return kind.node_image_available()

    def linux_root(self) -> bool:
        """Ask the kernel."""
        return sys.platform == "linux" and os.geteuid() == 0


def choose_provider(host: Host, wanted: str | None = None) -> tuple[str, str]:
    """Return the provider and the reason for it, or raise `NoClusterError`."""
    match wanted or None:
        case "kind":
            return _kind_or_refuse(host)
        case "local":
            if host.linux_root():
                return "local", "as CLUSTER=local says"
            raise NoClusterError(
                "CLUSTER=local needs Linux and root: run it with sudo, or use kind."
            )
        case None:
            return _first_that_runs(host)
        case other:
            raise NoClusterError(
                f"CLUSTER={other} is no provider: use CLUSTER=kind or CLUSTER=local."
            )


def existing_provider(name: str) -> str | None:
    """Return the provider under which `name` was started, so that later commands find it."""
    started = (p for p in PROVIDERS if (state_folder() / context_name(p, name)).exists())
    return next(started, None)


def choose(
    name: str = DEFAULT_NAME,
    *,
    environ: Mapping[str, str] = os.environ,
    host: Host | None = None,
    progress: Progress | None = None,
) -> Cluster:
    """Return the cluster `name` of the provider that suits this machine; say which and why."""
    progress = progress or Progress()
    wanted = environ.get("CLUSTER")
    there = None if wanted else existing_provider(name)
    if there:
        provider, reason = there, "it is there already"
    else:
        provider, reason = choose_provider(host or ThisHost(), wanted)
    cluster = PROVIDERS[provider](name, progress)
    progress.say(f"cluster {cluster.context} ({reason})")
    return cluster


def _kind_or_refuse(host: Host) -> tuple[str, str]:
    if not host.docker_answers():
        raise NoClusterError("CLUSTER=kind needs Docker, and `docker info` fails: start Docker.")
    if not host.node_image_available():
        raise NoClusterError(f"CLUSTER=kind needs {kind.NODE_IMAGE}, which cannot be pulled.")
    return "kind", "as CLUSTER=kind says"


def _first_that_runs(host: Host) -> tuple[str, str]:
    docker = host.docker_answers()
    if docker and host.node_image_available():
        return "kind", "Docker answers"
    if host.linux_root():
        return "local", "no image for kind" if docker else "no Docker, but Linux and root"
    raise NoClusterError(
        "No Kubernetes cluster can run here: install and start Docker, "
        "or use a Linux machine as root (sudo) with Debian's packages."
    )
