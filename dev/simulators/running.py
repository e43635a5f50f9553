"""Simulators that run: a TLS port per vendor and a control port, in threads of this process."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from dev.simulators.accounts import Accounts
from dev.simulators.control import controlling
from dev.simulators.server import Server, serving
from dev.simulators.simulation import Maker, Simulation
from dev.simulators.tls import Certificates, issue, server_context

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from dev.simulators.exchange import Call


class Simulators(Simulation):
    """A simulation with its addresses; `ca_file` is what a client must trust."""

    def __init__(
        self,
        accounts: Accounts,
        on_call: Callable[[Call], None],
        clouds: Mapping[str, Maker] | None = None,
    ) -> None:
        super().__init__(accounts, on_call, clouds)
        self.urls: dict[str, str] = {}
        """The clouds' addresses by vendor."""
        self.control_url = ""
        self.ca_file = Path()

    def url(self, vendor: str) -> str:
        """Give the address of a cloud."""
        return self.urls[vendor]

    @property
    def solarman_url(self) -> str:
        """The address of the Solarman cloud."""
        return self.urls["solarman"]

    @property
    def sungrow_url(self) -> str:
        """The address of the Sungrow cloud."""
        return self.urls["sungrow"]


@contextmanager
def simulators(
    accounts: Accounts | Mapping[str, Any] | None = None,
    *,
    certificates: Path | Certificates | None = None,
    bind: str = "127.0.0.1",
    ports: tuple[int, int, int] = (0, 0, 0),
    on_call: Callable[[Call], None] = lambda _call: None,
    clouds: Mapping[str, Maker] | None = None,
) -> Iterator[Simulators]:
    """Run the simulators; port 0 (Solarman, Sungrow, control) is one that is free.

    Without `accounts` those of the demo log in; without `certificates` new ones for localhost are
    made, once per process. A folder of certificates holds `tls.crt`, `tls.key` and maybe `ca.crt`.
    `clouds` are further clouds by name, each on a port that is free.
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
        running = Simulators(accounts, on_call, clouds)
        running.ca_file = folder / "ca.crt"
        context = server_context(folder)
        wanted = dict(zip(("solarman", "sungrow"), ports, strict=False))
        servers = []
        for name in running.vendors:
            server = Server((bind, wanted.get(name, 0)), serving(running, name), context)
            stack.callback(server.stop)
            running.urls[name] = f"https://localhost:{server.port}"
            servers.append(server)
        control = Server((bind, ports[2]), controlling(running))
        stack.callback(control.stop)
        running.control_url = f"http://localhost:{control.port}"
        for server in (*servers, control):
            server.start()
        stack.callback(running.stopping.set)
        yield running
