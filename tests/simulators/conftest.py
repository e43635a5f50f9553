"""Simulators on real sockets, one set for the folder; each test begins at their start state."""

from __future__ import annotations

import ssl

import httpx
import pytest

from dev.simulators import Simulators, simulators
from tests.simulators.clients import ACCOUNTS, SolarmanClient, SungrowClient


@pytest.fixture(scope="session")
def running():
    with simulators(ACCOUNTS) as sim:
        yield sim


@pytest.fixture
def sim(running: Simulators):
    running.reset()
    yield running
    running.set_faults()


@pytest.fixture(scope="session")
def trust(running):
    return ssl.create_default_context(cafile=running.ca_file)


@pytest.fixture(scope="session")
def http(trust):
    with httpx.Client(verify=trust, timeout=60) as client:
        yield client


@pytest.fixture
def solarman(http, sim):
    return SolarmanClient(http, sim)


@pytest.fixture
def sungrow(http, sim):
    return SungrowClient(http, sim)
