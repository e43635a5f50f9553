"""The cron oracle, built from its own pinned Go module once per version."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from dev.building import Program, ensure

if TYPE_CHECKING:
    from dev.cluster.progress import Progress

ORACLE: Final = Program(
    title="the cron oracle",
    name="oracle",
    module=Path(__file__).parent / "go",
    package=".",
    usual_seconds=10,
)


def ensure_oracle(progress: Progress | None = None) -> Path:
    """Return the program, built if need be; raises as `ensure` does."""
    return ensure(ORACLE, progress)
