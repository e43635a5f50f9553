"""The GitOps tools' own code in one program, built from a pinned Go module once per version."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from dev.building import Program, ensure

if TYPE_CHECKING:
    from dev.cluster.progress import Progress

GITOPS: Final = Program(
    title="the GitOps tools' diffs",
    name="gitops",
    module=Path(__file__).parent / "go",
    package=".",
    usual_seconds=120,
)


def ensure_gitops(progress: Progress | None = None) -> Path:
    """Return the program, built if need be; raises as `ensure` does."""
    return ensure(GITOPS, progress)
