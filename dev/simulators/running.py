"""Simulators that run: two TLS ports and a control port, in threads of this process."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from dev.simulators.accounts import Accounts
from dev.simulators.control import controlling
from dev.simulators.server import Server, serving
from dev.simulators.simulation import Simulation
from dev.simulators.tls import Certificates, issue, server_context

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from dev.simulators.exchange import Call


class Simulators(Simulation):
    """A simulation with its addresses; `ca_file` is what a client must trust."""

    def __init__(self, accounts: Accounts, on_call: Callable[[Call], None]) -> None:
        super().__init__(accounts, on_call)
        self.solarman_url = ""
        self.sungrow_url = ""
        self.control_url = ""
        self.ca_file = Path()


@contextmanager
def simulators(
    accounts: Accounts | Mapping[str, Any] | None = None,
    *,
    certificates: Path | Certificates | None = None,
    bind: str = "127.0.0.1",
    ports: tuple[int, int, int] = (0, 0, 0),
    on_call: Callable[[Call], None] = lambda _call: None,
) -> Iterator[Simulators]:
    """Run the simulators; port 0 (Solarman, Sungrow, control) is one that is free.

    Without `accounts` those of the demo log in; without `certificates` new ones for localhost are
    made, once per process. A folder of certificates holds `tls.crt`, `tls.key` and maybe `ca.crt`.
    """
    if accounts is None:
        accounts = Accounts.from_file()
    elif not isinstance(accounts, Accounts):
        accounts = Accounts.from_json(accounts)
    with ExitStack() as stack:
        folder = certificates
        if not isinstance(folder, Path):
            made = folder or issue()
            folder = Path(stack.enter_context(TemporaryDirectory(prefix="vendorsync-tls-")))
            made.write(folder)
        running = Simulators(accounts, on_call)
        context = server_context(folder)
        solarman = Server((bind, ports[0]), serving(running, "solarman"), context)
        stack.callback(solarman.stop)
        sungrow = Server((bind, ports[1]), serving(running, "sungrow"), context)
        stack.callback(sungrow.stop)
        control = Server((bind, ports[2]), controlling(running))
        stack.callback(control.stop)
        running.ca_file = folder / "ca.crt"
        running.solarman_url = f"https://localhost:{solarman.port}"
        running.sungrow_url = f"https://localhost:{sungrow.port}"
        running.control_url = f"http://localhost:{control.port}"
        for server in (solarman, sungrow, control):
            server.start()
        stack.callback(running.stopping.set)
        yield running
