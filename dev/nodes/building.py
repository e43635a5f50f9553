"""kwok, built from its pinned Go module once per version."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from dev.building import Program, ensure

if TYPE_CHECKING:
    from dev.cluster.progress import Progress

KWOK: Final = Program(
    title="kwok",
    name="kwok",
    module=Path(__file__).parent / "go",
    package="sigs.k8s.io/kwok/cmd/kwok",
    usual_seconds=100,
)


def ensure_kwok(progress: Progress | None = None) -> Path:
    """Return the program, built if need be; raises as `ensure` does."""
    return ensure(KWOK, progress)
