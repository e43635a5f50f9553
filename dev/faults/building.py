"""Toxiproxy, built from its pinned Go module once per version."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from dev.building import Program, ensure

if TYPE_CHECKING:
    from dev.cluster.progress import Progress

TOXIPROXY: Final = Program(
    title="Toxiproxy",
    name="toxiproxy",
    module=Path(__file__).parent / "go",
    package="github.com/Shopify/toxiproxy/v2/cmd/server",
    usual_seconds=30,
)


def ensure_toxiproxy(progress: Progress | None = None) -> Path:
    """Return the program, built if need be; raises as `ensure` does."""
    return ensure(TOXIPROXY, progress)
