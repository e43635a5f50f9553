"""Faults of the network, played by Toxiproxy between the job and what it talks to."""

from dev.faults.toxiproxy import FaultsError, Proxy, Toxiproxy, toxiproxy

__all__ = ["FaultsError", "Proxy", "Toxiproxy", "toxiproxy"]
