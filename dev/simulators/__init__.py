"""Stand-ins for the vendors' clouds: stateful HTTPS servers for tests and for the demo."""

from dev.simulators.accounts import Accounts, SolarmanAccount, SungrowAccount
from dev.simulators.faults import Fault
from dev.simulators.running import Simulators, simulators

__all__ = [
    "Accounts",
    "Fault",
    "Simulators",
    "SolarmanAccount",
    "SungrowAccount",
    "simulators",
]
