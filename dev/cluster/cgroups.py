"""The control groups of one cluster, apart from those of the machine and of other clusters."""

import os
from functools import partial
from pathlib import Path

from dev.cluster.command import wait_until
from dev.cluster.errors import NoClusterError

ROOT = Path("/sys/fs/cgroup")
NEEDED = ("cpu", "cpuset", "memory", "pids")


def unified(root: Path = ROOT) -> bool:
    """Tell version 2 (one tree) from version 1 (one tree per controller)."""
    return (root / "cgroup.controllers").exists()


def create(name: str, root: Path = ROOT) -> None:
    """Make the group `name` in every tree, fit to be the parent of pods."""
    if unified(root):
        # The kubelet insists on these controllers below its root.
        wanted = " ".join(f"+{word}" for word in NEEDED)
        try:
            (root / "cgroup.subtree_control").write_text(wanted)
        except OSError as error:
            raise NoClusterError(
                f"{root} refuses {wanted!r} ({error.strerror}): inside a container, run it with "
                "a control group namespace of the host, or use kind."
            ) from error
    for tree in _trees(root):
        group = tree / name
        group.mkdir(exist_ok=True)
        for setting in ("cpuset.cpus", "cpuset.mems"):
            # An empty cpuset of version 1 refuses every process.
            if not unified(root) and (tree / setting).exists():
                (group / setting).write_text((tree / setting).read_text())


def remove(name: str, root: Path = ROOT) -> None:
    """Remove the group `name` with all below it, as soon as its last process is gone."""
    for tree in _trees(root):
        wait_until(
            partial(_removed, tree / name),
            what=f"the end of the last process in {tree / name}",
            seconds=20,
        )


def _trees(root: Path) -> list[Path]:
    if unified(root):
        return [root]
    return [
        tree
        for tree in sorted(root.iterdir())
        if not tree.is_symlink() and (tree / "cgroup.procs").exists()
    ]


def _removed(group: Path) -> bool:
    if not group.exists():
        return True
    try:
        for folder, _, _ in os.walk(group, topdown=False):
            Path(folder).rmdir()
    except OSError:
        return False
    return True
