"""Programs of the distribution: found on PATH, else installed from Debian's packages."""

import os
import shutil
from collections.abc import Iterable
from pathlib import Path

from dev.cluster.command import run, search_path
from dev.cluster.errors import ClusterError, NoClusterError
from dev.cluster.progress import Progress

# Program -> Debian package. A program that is there is never installed again, whoever made it.
MACHINE_PROGRAMS = {
    "ip": "iproute2",
    "mount": "mount",
    "nsenter": "util-linux",
    "openssl": "openssl",
    "unshare": "util-linux",
}
NODE_PROGRAMS = {
    **MACHINE_PROGRAMS,
    "conntrack": "conntrack",
    "containerd": "containerd",
    "ctr": "containerd",
    "iptables": "iptables",
    "runc": "runc",
}
IMAGE_PROGRAMS = {"buildah": "buildah", "git": "git", "mmdebstrap": "mmdebstrap"}

# Where distributions keep the network plugins of containers.
NETWORK_PLUGINS = (Path("/usr/lib/cni"), Path("/opt/cni/bin"))


def network_plugins() -> Path | None:
    """Return the folder that holds the `ptp` network plugin."""
    return next((folder for folder in NETWORK_PLUGINS if (folder / "ptp").exists()), None)


def missing_packages(programs: dict[str, str]) -> list[str]:
    """Return the packages whose programs are not on this machine."""
    return sorted({package for program, package in programs.items() if not _found(program)})


def ensure(packages: Iterable[str], progress: Progress) -> None:
    """Install `packages` with apt-get, or say what to install by hand."""
    wanted = sorted(packages)
    if not wanted:
        return
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        raise NoClusterError(f"Please install these packages first: {' '.join(wanted)}.")
    progress.say(f"installing {' '.join(wanted)} with apt-get (usually 20 s)")
    env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    install = ["apt-get", "install", "-y", "-qq", "--no-install-recommends", *wanted]
    try:
        run(["apt-get", "update", "-qq"], env=env)
        run(install, env=env)
    except ClusterError as error:
        raise NoClusterError(f"Could not install {' '.join(wanted)}: {error}") from error


def _found(program: str) -> bool:
    return shutil.which(program, path=search_path()) is not None
