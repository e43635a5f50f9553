"""Toxiproxy, built from its pinned Go module once per version."""

from __future__ import annotations

import hashlib
import os
import tempfile
from pathlib import Path
from typing import Final

from dev.cluster.command import run
from dev.cluster.folders import architecture, cache_folder, locked
from dev.cluster.progress import Progress
from dev.cluster.toolchain import find_go

MODULE: Final = Path(__file__).parent / "go"
PACKAGE: Final = "github.com/Shopify/toxiproxy/v2/cmd/server"
USUAL_SECONDS: Final = 30


def ensure_toxiproxy(progress: Progress | None = None) -> Path:
    """Return the program; build it when this user's cache has none of this version.

    Raises ClusterError when there is no Go or the build fails.
    """
    progress = progress or Progress()
    program = _place()
    if program.exists():
        return program
    with locked(
        program.with_suffix(".lock"),
        lambda: progress.say("another process is building Toxiproxy; waiting for it"),
    ):
        if not program.exists():
            progress.say(f"building Toxiproxy from source, once: about {USUAL_SECONDS} s")
            _build(program, find_go(progress))
    return program


def _place() -> Path:
    """Name the program's folder after all that decides what is in it."""
    digest = hashlib.sha256(f"{architecture()} {PACKAGE}".encode())
    for file in sorted(MODULE.iterdir()):
        digest.update(file.read_bytes())
    return cache_folder() / "bin" / f"toxiproxy-{digest.hexdigest()[:12]}"


def _build(program: Path, go: Path) -> None:
    # Built beside its place and moved there whole: a killed build leaves no half program.
    with tempfile.TemporaryDirectory(prefix=".toxiproxy-", dir=program.parent) as scratch:
        built = Path(scratch) / "toxiproxy"
        env = {**os.environ, "CGO_ENABLED": "0", "GOFLAGS": "-trimpath -buildvcs=false"}
        # go.sum holds the hash of every module, and -mod=readonly insists on it.
        flags = ["-mod=readonly", "-ldflags", "-s -w", "-o", str(built)]
        run([go, "build", *flags, PACKAGE], env=env, cwd=MODULE)
        built.replace(program)
