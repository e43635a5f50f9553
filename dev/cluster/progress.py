"""Progress for people: one line per step on stderr, with the seconds since the start."""

import sys
import time


class Progress:
    """Prints steps; stdout stays free for what a command answers."""

    def __init__(self) -> None:
        self._start = time.monotonic()

    def say(self, text: str) -> None:
        """Print one step."""
        elapsed = time.monotonic() - self._start
        print(f"[{elapsed:6.1f}s] {text}", file=sys.stderr, flush=True)
