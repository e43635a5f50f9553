"""Programs of other projects, and small ones over their code, built from pinned Go modules.

Each is built once per version.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from dev.cluster.command import run
from dev.cluster.folders import architecture, cache_folder, locked
from dev.cluster.progress import Progress
from dev.cluster.toolchain import find_go


@dataclass(frozen=True)
class Program:
    """One program: `module` is a folder with go.mod and go.sum, `package` its tool there."""

    title: str
    name: str
    module: Path
    package: str
    usual_seconds: int

    @property
    def place(self) -> Path:
        """Where it is kept, named after all that decides what is in it."""
        digest = hashlib.sha256(f"{architecture()} {self.package}".encode())
        for file in sorted(self.module.iterdir()):
            digest.update(file.read_bytes())
        return cache_folder() / "bin" / f"{self.name}-{digest.hexdigest()[:12]}"


_HERE: Final = Path(__file__).parent

TOXIPROXY: Final = Program(
    title="Toxiproxy",
    name="toxiproxy",
    module=_HERE / "faults" / "go",
    package="github.com/Shopify/toxiproxy/v2/cmd/server",
    usual_seconds=30,
)
KWOK: Final = Program(
    title="kwok",
    name="kwok",
    module=_HERE / "nodes" / "go",
    package="sigs.k8s.io/kwok/cmd/kwok",
    usual_seconds=100,
)
ORACLE: Final = Program(
    title="the cron oracle",
    name="oracle",
    module=_HERE / "oracle" / "go",
    package=".",
    usual_seconds=10,
)
GITOPS: Final = Program(
    title="the GitOps tools' diffs",
    name="gitops",
    module=_HERE / "gitops" / "go",
    package=".",
    usual_seconds=120,
)


def ensure(program: Program, progress: Progress | None = None) -> Path:
    """Return the program's file; build it when this user's cache has none of this version.

    Raises ClusterError when there is no Go or the build fails.
    """
    progress = progress or Progress()
    place = program.place
    if place.exists():
        return place
    with locked(
        place.with_suffix(".lock"),
        lambda: progress.say(f"another process is building {program.title}; waiting for it"),
    ):
        if not place.exists():
            progress.say(
                f"building {program.title} from source, once: about {program.usual_seconds} s"
            )
            _build(program, place, find_go(progress))
    return place


def _build(program: Program, place: Path, go: Path) -> None:
    # Built beside its place and moved there whole: a killed build leaves no half program.
    with tempfile.TemporaryDirectory(prefix=f".{program.name}-", dir=place.parent) as scratch:
        built = Path(scratch) / program.name
        env = {**os.environ, "CGO_ENABLED": "0", "GOFLAGS": "-trimpath -buildvcs=false"}
        # go.sum holds the hash of every module, and -mod=readonly insists on it.
        flags = ["-mod=readonly", "-ldflags", "-s -w", "-o", str(built)]
        run([go, "build", *flags, program.package], env=env, cwd=program.module)
        built.replace(place)
