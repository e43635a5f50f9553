"""Which addresses and origins may be called."""

from __future__ import annotations

import contextlib
import ipaddress
import math
import socket
import threading
import time

import httpcore
import pytest

from vendorsync_api.policy import VendorPolicy
from vendorsync_api.run import RunSpec
from vendorsync_job.errors import EndpointRefusedError, SecretMissingError
from vendorsync_job.network import (
    Deadline,
    Endpoint,
    GuardedBackend,
    endpoint,
    is_permitted,
    normal_origin,
    resolve,
)

UNSPECIFIED = str(ipaddress.IPv4Address(0))
POLICY = VendorPolicy(
    adapter="sim",
    title="Sim",
    streams=("plants",),
    endpoints=("https://api.sim.example", "https://eu.sim.example"),
    secret_keys=(("key",),),
    identity_keys=("key",),
)


def spec(base_url=None, *allowed):
    return RunSpec.model_validate(
        {
            "resource": {"namespace": "solar", "name": "organization-a"},
            "organization": {"id": 3, "name": "Organization A"},
            "vendor": {"name": "sim", "adapter": "sim", "base_url": base_url},
            "credentials": {"name": "sim"},
            "database": {"name": "database"},
            "allowedEndpoints": allowed,
        }
    )


def test_without_a_base_url_the_adapters_first_endpoint_is_called():
    assert endpoint(spec(), POLICY) == Endpoint("https://api.sim.example")


@pytest.mark.parametrize(
    "url",
    ["https://eu.sim.example", "https://EU.sim.example:443/", "https://eu.sim.example/v1?x=1"],
)
def test_an_own_endpoint_is_known_in_any_spelling(url):
    assert endpoint(spec(url), POLICY).origin == "https://eu.sim.example"


@pytest.mark.fault("S1")
@pytest.mark.parametrize(
    "url",
    [
        "https://evil.example",
        "https://eu.sim.example:8443",
        "https://eu.sim.example.evil.example",
        "https://eu.sim.example@evil.example",
        "https://evil.example#eu.sim.example",
        "https://evil.example\\@eu.sim.example",
        "http://eu.sim.example",
        "file:///etc/passwd",
        "eu.sim.example",
        "https://[::1",
        "https://eu.sim.example:99999",
        "",
    ],
)
def test_anything_else_is_refused(url):
    if url == "":
        with pytest.raises(EndpointRefusedError):
            normal_origin(url)
        return
    with pytest.raises(EndpointRefusedError):
        endpoint(spec(url), POLICY)


def test_the_refusal_lists_what_is_allowed():
    allowed = {"adapter": "sim", "origin": "https://sim.svc:8443"}

    with pytest.raises(EndpointRefusedError, match=r"https://eu\.sim\.example, https://sim\.svc"):
        endpoint(spec("https://evil.example", allowed), POLICY)


def test_an_administrators_endpoint_brings_its_own_trust(tmp_path):
    (tmp_path / "ca").mkdir()
    (tmp_path / "ca" / "ca.crt").write_text("sim")
    allowed = {
        "adapter": "sim",
        "origin": "https://sim.svc:8443",
        "allowPrivate": True,
        "caSecret": "sim-ca",
    }

    found = endpoint(spec("https://sim.svc:8443", allowed), POLICY, tmp_path)

    assert found == Endpoint("https://sim.svc:8443", True, tmp_path / "ca" / "ca.crt")
    assert found.host == "sim.svc:8443"


def test_an_authority_that_is_not_mounted_is_named(tmp_path):
    allowed = {"adapter": "sim", "origin": "https://sim.svc", "caSecret": "sim-ca"}

    with pytest.raises(SecretMissingError, match=r"Secret sim-ca with the key ca\.crt .*/ca$"):
        endpoint(spec("https://sim.svc", allowed), POLICY, tmp_path)


def test_an_endpoint_allowed_for_another_adapter_is_refused():
    allowed = {"adapter": "other", "origin": "https://sim.svc"}

    with pytest.raises(EndpointRefusedError):
        endpoint(spec("https://sim.svc", allowed), POLICY)


@pytest.mark.fault("S1")
@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "10.0.0.1", "172.16.0.1", "192.168.1.1", "100.64.0.1", "169.254.169.254",
        "100.127.255.254", UNSPECIFIED, "224.0.0.1", "255.255.255.255", "240.0.0.1", "192.0.2.1",
        "198.18.0.1", "168.63.129.16", "100.100.100.200", "::1", "::", "fe80::1", "fc00::1",
        "fd00:ec2::254", "fd20:ce::254", "fec0::1", "ff02::1", "::ffff:127.0.0.1",
        "::ffff:8.8.8.8", "64:ff9b::7f00:1",
        "64:ff9b::808:808", "64:ff9b:1::1", "2002:7f00:1::", "2001:0:1::1", "::7f00:1",
        "2001:db8::1", "4000::1",
    ],
)  # fmt: skip
def test_an_address_that_is_not_public_is_refused(address):
    assert not is_permitted(ipaddress.ip_address(address))


@pytest.mark.parametrize("address", ["8.8.8.8", "47.91.90.1", "2606:4700::1111"])
def test_a_public_address_is_permitted(address):
    assert is_permitted(ipaddress.ip_address(address))
    assert is_permitted(ipaddress.ip_address(address), allow_private=True)


@pytest.mark.parametrize(
    "address",
    ["127.0.0.1", "10.96.3.4", "192.168.1.1", "::1", "fd12::1", "100.64.0.1", "100.127.255.254",
     "fd00:ec3::1", "fd20:ce:0:1::1"],
)  # fmt: skip
def test_private_addresses_can_be_allowed(address):
    assert is_permitted(ipaddress.ip_address(address), allow_private=True)


@pytest.mark.fault("S1")
@pytest.mark.parametrize(
    "address",
    ["169.254.169.254", "fe80::1", "fd00:ec2::254", "fd00:ec2::23", "fd00:ec2:1::1",
     "fd20:ce::254", "100.100.100.200", "168.63.129.16", "192.0.0.192", UNSPECIFIED, "224.0.0.1",
     "::ffff:10.0.0.1", "64:ff9b::a00:1", "2002:a00:1::", "::ffff:100.64.0.1",
     "::ffff:100.100.100.200", "64:ff9b::6464:64c8", "64:ff9b:1::6464:64c8", "2002:6464:64c8::1",
     "::ffff:169.254.169.254", "64:ff9b::a9fe:a9fe", "2002:a9fe:a9fe::1", "::ffff:168.63.129.16"],
)  # fmt: skip
def test_metadata_and_translated_addresses_are_never_allowed(address):
    assert not is_permitted(ipaddress.ip_address(address), allow_private=True)


@pytest.mark.fault("S1")
@pytest.mark.parametrize("host", ["2130706433", "0x7f000001", "0177.0.0.1", "127.1", "localhost"])
def test_odd_spellings_of_loopback_come_out_as_loopback(host):
    assert not any(map(is_permitted, resolve(host, 443)))


@pytest.mark.fault("S1")
def test_a_name_that_turns_private_after_a_public_answer_is_refused():
    answers = iter([["192.0.2.7"], ["127.0.0.1"]])

    def turning(_host, _port):
        return [ipaddress.ip_address(text) for text in next(answers)]

    backend = GuardedBackend(
        allow_private=False, deadline=Deadline(), clock=lambda: 0.0, resolve=turning
    )
    for _ in range(2):
        with pytest.raises(EndpointRefusedError):
            backend.connect_tcp("turning.example", 443, timeout=1)


def test_an_address_that_swallows_everything_leaves_time_for_the_next():
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full, contextlib.ExitStack() as held:
        for _ in range(3):  # a full backlog is silent, as a black hole is
            waiting = held.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(full.getsockname())
        port = full.getsockname()[1]
        held.enter_context(socket.create_server(("127.0.0.2", port)))
        backend = GuardedBackend(
            allow_private=True,
            deadline=Deadline(),
            clock=time.monotonic,
            resolve=lambda _host, _port: list(
                map(ipaddress.ip_address, ["127.0.0.1", "127.0.0.2"])
            ),
        )

        stream = backend.connect_tcp("two.example", port, timeout=0.4)

        assert stream.get_extra_info("server_addr")[0] == "127.0.0.2"
        stream.close()


def test_after_the_deadline_no_connection_is_opened():
    deadline = Deadline()
    deadline.at = -1.0
    backend = GuardedBackend(
        allow_private=True,
        deadline=deadline,
        clock=lambda: 0.0,
        resolve=lambda _host, _port: [ipaddress.ip_address("127.0.0.1")],
    )

    with pytest.raises(httpcore.ConnectTimeout):
        backend.connect_tcp("localhost", 443, timeout=1)


def test_a_deadline_belongs_to_its_thread():
    deadline = Deadline()
    deadline.at = 5.0
    seen = []
    thread = threading.Thread(target=lambda: seen.append(deadline.at))
    thread.start()
    thread.join()

    assert seen == [math.inf]
