"""Processes that we started, known by id and start time, so that no other is ever signalled."""

import os
import select
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from dev.cluster.errors import NotReadyError

PROC = Path("/proc")

# The first words of a command line that records its own process before it becomes the real
# program, so that not even a killed starter leaves a process that nobody knows of.
RECORDING = ("sh", "-c", 'cat "/proc/$$/stat" >"$0.part" && mv "$0.part" "$0" && exec "$@"')


@dataclass(frozen=True, slots=True)
class ProcessRecord:
    """One process of this boot; the start time tells it from a later one with the same id."""

    pid: int
    start_time: int

    @classmethod
    def parse(cls, stat: str) -> Self:
        """Read the text of a `/proc/<pid>/stat`."""
        # The name in parentheses may itself hold spaces and parentheses.
        head, _, tail = stat.rpartition(")")
        return cls(pid=int(head.split(maxsplit=1)[0]), start_time=int(tail.split()[19]))

    @classmethod
    def load(cls, path: Path) -> Self | None:
        """Read a record, or None when there is none."""
        try:
            return cls.parse(path.read_text())
        except (FileNotFoundError, ProcessLookupError, IndexError, ValueError):
            return None

    def alive(self, proc: Path = PROC) -> bool:
        """Tell whether this very process runs; a zombie does not."""
        return self.state(proc) not in ("", "Z", "X")

    def state(self, proc: Path = PROC) -> str:
        """Return the kernel's letter for what the process does (T stopped); "" when it is gone."""
        try:
            stat = (proc / str(self.pid) / "stat").read_text()
        except (FileNotFoundError, ProcessLookupError):
            return ""
        return stat.rpartition(")")[2].split()[0] if self.parse(stat) == self else ""

    def kill(self, seconds: float = 10) -> bool:
        """Kill the process and wait for its end; return False when it was gone already.

        Raises `NotReadyError` when it has not ended after `seconds`.
        """
        try:
            handle = os.pidfd_open(self.pid)
        except ProcessLookupError:
            return False
        try:
            # From here on the handle means one process, so checking before the signal is enough.
            if not self.alive():
                return False
            signal.pidfd_send_signal(handle, signal.SIGKILL)
            if not any(select.select([handle], [], [], seconds)):
                raise NotReadyError(f"Process {self.pid} was killed {seconds} s ago and lives on.")
        finally:
            os.close(handle)
        return True

    def wake(self) -> None:
        """Let the process go on if it was stopped (SIGSTOP)."""
        if self.alive():
            os.kill(self.pid, signal.SIGCONT)

    def kill_with_children(self, seconds: float = 30) -> None:
        """Kill the process and its direct children, and wait for the end of each.

        The first process of a PID namespace ends only after all others of that namespace.
        """
        if not self.alive():
            return
        children = [ProcessRecord.load(PROC / str(pid) / "stat") for pid in self.children()]
        self.kill(seconds)
        for child in children:
            if child is not None:
                child.kill(seconds)

    def children(self, proc: Path = PROC) -> list[int]:
        """Return the ids of the direct children."""
        try:
            text = (proc / str(self.pid) / "task" / str(self.pid) / "children").read_text()
        except (FileNotFoundError, ProcessLookupError):
            return []
        return [int(word) for word in text.split()]
