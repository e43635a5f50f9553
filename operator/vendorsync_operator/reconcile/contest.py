"""Objects that somebody changes again as soon as we have written them.

A change that comes back is undone later and later, so that two writers who want different things
cost a few requests instead of hundreds. Times are seconds of a steady clock.
"""

from __future__ import annotations

from dataclasses import dataclass

FIRST_PAUSE = 2.0
LONGEST_PAUSE = 600.0
CALM = 60.0
"""Seconds without a change, beyond the pause, after which the next one counts as the first."""
CONTESTED = 3
"""Changes in a row that came back; a person who edits twice contests nothing."""


@dataclass
class Contest:
    """What is known of one object; `digest` is the hash of what was written last."""

    digest: str = ""
    written: float = float("-inf")
    turns: int = 0
    """Times that the same was written again, each soon after the one before."""
    rivals: tuple[str, ...] = ()
    """Field managers that changed the object, as they were found last."""

    @property
    def pause(self) -> float:
        """Seconds until the same may be written again; the first change is undone at once."""
        if not self.turns:
            return 0.0
        return min(FIRST_PAUSE * 2.0 ** min(self.turns - 1, 16), LONGEST_PAUSE)

    def is_contested(self, now: float) -> bool:
        """Whether somebody else keeps changing the object, or did until a moment ago."""
        return self.turns >= CONTESTED and now - self.written < self.pause + CALM

    def wait(self, digest: str, now: float) -> float:
        """Return for how many seconds a write of that hash has to wait; 0 for not at all."""
        return max(self.written + self.pause - now, 0.0) if digest == self.digest else 0.0

    def wrote(self, digest: str, now: float) -> None:
        """Take note of a write."""
        is_same = digest == self.digest and now - self.written < self.pause + CALM
        self.turns = self.turns + 1 if is_same else 0
        self.rivals = self.rivals if is_same else ()
        self.digest, self.written = digest, now
