"""A room of its own for a local cluster: network, mounts and process ids of a small machine.

Everything a cluster starts lives inside, so its ports, firewall rules, mounts and containers can
clash with nothing, and the kernel removes all of them when the first process ends. Only the control
groups and the files outlive it, and `stop` removes those too.
"""

import hashlib
import os
import shutil
import signal
from pathlib import Path

from dev.cluster import cgroups, subnet
from dev.cluster.command import run, wait_until
from dev.cluster.errors import CommandError, NotReadyError
from dev.cluster.processes import PROC, RECORDING, ProcessRecord

_FURNISH = Path(__file__).parent / "furnish.sh"
_INTERFACES = Path("/sys/class/net")
_PATH = "/run/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class Machine:
    """The room, known by its state folder; the same folder always means the same room."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.lib = folder / "lib"
        self.logs = folder / "logs"
        self.cgroup = f"vendorsync-{hashlib.sha256(str(folder).encode()).hexdigest()[:10]}"
        self._records = folder / "processes"
        self._first = folder / "machine.stat"
        self._interface = folder / "interface"

    @property
    def exists(self) -> bool:
        """Whether anything of it is there, be it whole or half made."""
        return self.folder.exists()

    @property
    def running(self) -> bool:
        """Whether its first process lives."""
        first = ProcessRecord.load(self._first)
        return first is not None and first.alive()

    @property
    def whole(self) -> bool:
        """Whether it runs and none of its components has ended."""
        return self.running and set(self.pids()) == {path.name for path in self._started()}

    def start(self, binaries: Path, *, pods: bool = True) -> subnet.Link:
        """Make the room and connect it to the host; without pods it needs no control groups."""
        for folder in (
            self.lib,
            self.logs,
            self._records,
            self.folder / "run",
            self.folder / "log",
        ):
            folder.mkdir(parents=True, exist_ok=True)
        if pods:
            cgroups.create(self.cgroup)
        unshare = ["unshare", "--net", "--mount", "--pid", "--mount-proc", "--fork", "--kill-child"]
        self._start(self._first, "machine", [*unshare, "sh", str(_FURNISH), str(binaries)])
        wait_until(
            (self.folder / "furnished").exists,
            what="the cluster's own network and mounts",
            seconds=20,
            hint=lambda: self.log_tail("machine"),
        )
        first = self._first_record()
        link = subnet.connect(first.pid)
        self._interface.write_text((_INTERFACES / link.interface / "ifindex").read_text())
        for words in (
            f"address add {link.node}/{link.prefix} dev eth0",
            "link set eth0 up",
            f"route add default via {link.host}",
        ):
            run(self.entering(["ip", *words.split()]))
        return link

    def entering(self, argv: list[str]) -> list[str]:
        """Return the command line that runs `argv` inside."""
        spaces = f"/proc/{self._first_record().pid}/ns"
        return [
            "nsenter",
            f"--net={spaces}/net",
            f"--mount={spaces}/mnt",
            f"--pid={spaces}/pid_for_children",
            "env",
            "-i",
            f"PATH={_PATH}",
            "HOME=/run",
            *argv,
        ]

    def spawn(self, name: str, argv: list[str]) -> None:
        """Start the component `name` inside; its output goes to a log file of that name."""
        self._start(self._records / name, name, self.entering(argv))

    def pids(self) -> dict[str, int]:
        """Return the process ids of the running components, as the host counts them."""
        found = {}
        for path in self._started():
            record = ProcessRecord.load(path)
            # What we started is nsenter; the component is its only child.
            if record and record.alive() and (children := record.children()):
                found[path.name] = children[0]
        return found

    def end(self, name: str) -> None:
        """Kill the component `name` and wait until it is gone."""
        record = ProcessRecord.load(self._records / name)
        if record is not None:
            record.kill_with_children()

    def pause(self, name: str) -> None:
        """Stop the component `name` (SIGSTOP) and wait until it and its starter stand still."""
        record = self._running_record(name)
        os.kill(self.pids()[name], signal.SIGSTOP)
        # nsenter stops itself with its child; if it did so after `resume` woke it, both would stay.
        wait_until(lambda: record.state() == "T", what=f"the stop of {name}")

    def resume(self, name: str) -> None:
        """Let a stopped component go on."""
        record = self._running_record(name)
        child = ProcessRecord.load(PROC / str(self.pids()[name]) / "stat")
        record.wake()
        wait_until(lambda: child is None or child.state() != "T", what=f"{name} after its stop")

    def _running_record(self, name: str) -> ProcessRecord:
        record = ProcessRecord.load(self._records / name)
        if record is None or not record.alive():
            raise NotReadyError(f"{name} does not run. {self.log_tail(name)}")
        return record

    def require_alive(self, name: str) -> None:
        """Raise an error with the end of its log when the component has ended."""
        record = ProcessRecord.load(self._records / name)
        if record is not None and not record.alive():
            raise NotReadyError(f"{name} ended on its own. {self.log_tail(name)}")

    def log_tail(self, name: str, lines: int = 12) -> str:
        """Return the end of a component's log, for an error message."""
        path = self.logs / f"{name}.log"
        text = path.read_text(errors="replace") if path.exists() else ""
        return f"The end of {path}:\n  " + "\n  ".join(text.splitlines()[-lines:])

    def kill(self) -> None:
        """End every process; what they wrote, logs among it, stays for a look."""
        started = [record for path in self._started() if (record := ProcessRecord.load(path))]
        # nsenter stops itself with its component (SIGSTOP). A stopped one would not take note of
        # the component's end, and the room's first process waits for that of everyone inside.
        for record in started:
            record.wake()
        first = ProcessRecord.load(self._first)
        if first is not None:
            first.kill_with_children()
        for record in started:
            record.kill()
        cgroups.remove(self.cgroup)
        self._disconnect()

    def stop(self) -> None:
        """End every process and remove all that is left of the room."""
        self.kill()
        shutil.rmtree(self.folder)

    def _disconnect(self) -> None:
        """Remove our end of the link, which takes the other end along.

        The kernel would do so too, but only when the last TCP connection of a killed process has
        timed out: that can take minutes.
        """
        if name := self._interface_name():
            try:
                run(["ip", "link", "delete", name])
            except CommandError:
                # The kernel may have been faster by a moment.
                if self._interface_name():
                    raise

    def _interface_name(self) -> str:
        """Return the name of our end of the link while it exists."""
        if not self._interface.exists():
            return ""
        ours = self._interface.read_text()
        indices = ((path.parent.name, path) for path in _INTERFACES.glob("*/ifindex"))
        return next((name for name, path in indices if _text(path) == ours), "")

    def _started(self) -> list[Path]:
        return [path for path in sorted(self._records.glob("*")) if path.suffix != ".part"]

    def _start(self, record: Path, name: str, argv: list[str]) -> None:
        log = self.logs / f"{name}.log"
        record.unlink(missing_ok=True)
        # setsid: a Ctrl-C in the terminal is for us, not for the cluster.
        detach = ["setsid", "--fork", "sh", "-c", 'exec "$@" >>"$0" 2>&1 </dev/null', str(log)]
        run([*detach, *RECORDING, str(record), *argv], cwd=self.folder)
        wait_until(record.exists, what=f"the process of {name}", hint=lambda: self.log_tail(name))

    def _first_record(self) -> ProcessRecord:
        first = ProcessRecord.load(self._first)
        if first is None or not first.alive():
            raise NotReadyError(
                f"The machine of {self.folder} does not run. {self.log_tail('machine')}"
            )
        return first


def _text(path: Path) -> str:
    """Return what a file holds, nothing if it is gone in this moment."""
    try:
        return path.read_text()
    except OSError:
        return ""
