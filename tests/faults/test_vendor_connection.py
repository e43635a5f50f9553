"""V10 and S1: certificates, names and addresses that are not what they should be.

What a client sends is looked at from the other side: a refused vendor hears no byte of HTTP.
"""

import contextlib
import ipaddress
import socket
import ssl
import threading
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import trustme

from dev.simulators import simulators
from dev.simulators.tls import Certificates, issue, server_context
from dev.stack.waiting import until
from tests.syncjob.jobs import LIST, NORTH
from vendorsync_job.errors import (
    EndpointRefusedError,
    TLSFailedError,
    VendorContractError,
    VendorUnavailableError,
)
from vendorsync_job.http import HttpVendorClient, Limits
from vendorsync_job.network import Endpoint, normal_origin
from vendorsync_job.vendors import load

OLD = ssl.TLSVersion.TLSv1_1
TOMORROW, YESTERDAY = (datetime.now(UTC) + timedelta(days=days) for days in (1, -1))


def self_signed() -> Certificates:
    """A certificate for localhost that vouches for itself, beside an authority it is not from."""
    own = trustme.CA()
    return Certificates(
        ca=issue(("localhost",)).ca,
        chain=own.cert_pem.bytes(),
        key=own.private_key_pem.bytes(),
    )


def authenticate(origin, **settings):
    """Log in with real credentials and return the client."""
    usual: dict[str, Any] = {"limits": Limits(total=5), "sleep": lambda _: None}
    endpoint = Endpoint(
        origin,
        allow_private=settings.pop("allow_private", True),
        ca_file=settings.pop("ca_file", None),
    )
    adapter = load("solarman")
    with HttpVendorClient(endpoint, adapter_title="Sim", **usual | settings) as client:
        adapter(client, NORTH.secret, adapter.policy.check_options({})).authenticate()


@pytest.mark.fault("V10")
@pytest.mark.parametrize(
    ("certificates", "words"),
    [
        (lambda: issue(("localhost",), YESTERDAY), "certificate has expired"),
        (lambda: issue(("other.test",), TOMORROW), "Hostname mismatch"),
        (self_signed, "self-signed certificate|unable to get local issuer|CA cert"),
    ],
    ids=["expired", "wrong host", "self-signed"],
)
def test_a_certificate_that_is_not_good_gets_no_password(certificates, words):
    with simulators(certificates=certificates()) as sim:
        with pytest.raises(TLSFailedError, match=words):
            authenticate(sim.solarman_url, ca_file=sim.ca_file)

        assert sim.calls() == []


@contextlib.contextmanager
def listening(context=None, answer=b""):
    """A port that notes what it hears after the handshake, None where that failed."""
    heard: list[bytes | None] = []
    over = threading.Event()

    def serve():
        while not over.is_set():
            try:
                plain = server.accept()[0]
            except OSError:
                return
            try:
                with context.wrap_socket(plain, server_side=True) if context else plain as stream:
                    request = stream.recv(65536)
                    while answer and not request.endswith(b"}"):
                        request += stream.recv(65536)  # bytes left unread would reset the answer
                    heard.append(request)
                    stream.sendall(answer)
            except OSError:
                heard.append(None)
                plain.close()

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield server.getsockname()[1], heard
        finally:
            over.set()
            with contextlib.suppress(OSError):
                socket.create_connection(server.getsockname(), timeout=1).close()
            thread.join()


@pytest.mark.fault("V10")
def test_old_tls_is_refused_and_nothing_older_is_tried(tmp_path):
    certificates = issue(("localhost",))
    ca_file = certificates.write(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.warns(DeprecationWarning, match="TLSv1"):
        context.minimum_version = ssl.TLSVersion.TLSv1
    with pytest.warns(DeprecationWarning, match="TLSv1"):
        context.maximum_version = OLD
    context.load_cert_chain(tmp_path / "tls.crt", tmp_path / "tls.key")

    with listening(context) as (port, heard):
        with pytest.raises(TLSFailedError, match="does not agree on TLS"):
            authenticate(f"https://localhost:{port}", ca_file=ca_file)

        until(lambda: heard, "the server's end of the handshake", seconds=10)
        assert heard == [None]


@pytest.mark.fault("V10")
def test_plain_http_on_the_port_is_not_answered_in_kind(clouds):
    with listening() as (port, heard), pytest.raises((TLSFailedError, VendorUnavailableError)):
        authenticate(f"https://localhost:{port}", ca_file=clouds.ca_file)

    assert heard
    assert not any(NORTH.app_id.encode() in (bytes_ or b"") for bytes_ in heard)


@pytest.mark.fault("V10")
@pytest.mark.parametrize(
    ("failure", "words"),
    [
        (socket.gaierror(socket.EAI_NONAME, "Name or service not known"), "cannot be resolved"),
        (socket.gaierror(socket.EAI_AGAIN, "Temporary failure"), "cannot be resolved"),
        (UnicodeError("label too long"), "cannot be resolved"),
    ],
    ids=["unknown", "no server", "odd name"],
)
def test_a_name_that_is_not_known_is_tried_three_times(failure, words):
    asked = []

    def resolve(host, port):
        asked.append(host)
        raise failure

    with pytest.raises(VendorUnavailableError, match=words):
        authenticate("https://vendor.test", resolve=resolve)

    assert asked == ["vendor.test"] * 3


@pytest.mark.fault("V10")
def test_a_resolver_that_is_slow_is_waited_for_and_one_that_hangs_is_not(clouds, vendor_proxy):
    over = threading.Event()

    def slow(host, port):
        time.sleep(0.1)
        return [ipaddress.ip_address("127.0.0.1")]

    def hanging(host, port):
        over.wait(60)
        return []  # who waits for this says that the name is unknown

    authenticate(f"https://localhost:{vendor_proxy.port}", ca_file=clouds.ca_file, resolve=slow)
    with pytest.raises(VendorUnavailableError, match="no connection in time"):
        authenticate("https://vendor.test", resolve=hanging, limits=Limits(connect=0.1))
    over.set()


@pytest.mark.fault("V10")
@pytest.mark.parametrize("fault", ["refused", "expired"])
@pytest.mark.postgres
def test_a_run_reports_network_and_tls_apart(job, vendor_proxy, clouds, fault):
    job.lay_out(port=vendor_proxy.port)
    if fault == "refused":
        vendor_proxy.cut()
        ended = job.run()
        assert ended.reason == (69, "VendorUnavailable")
        assert "connection refused" in ended.report["message"]
    else:
        with simulators(certificates=issue(("localhost",), YESTERDAY)) as expired:
            vendor_proxy.lead_to(expired.solarman_url.removeprefix("https://"))
            (job.root / "ca" / "ca.crt").write_text(expired.ca_file.read_text())
            ended = job.run()
        assert ended.reason == (69, "TLSFailed")
        assert "certificate has expired" in ended.report["message"]
    assert clouds.calls() == []


@pytest.mark.fault("S1")
@pytest.mark.parametrize(
    "host",
    ["localhost", "127.0.0.1", "127.1", "2130706433", "0x7f000001", "0177.0.0.1", "[::1]",
     "[::ffff:127.0.0.1]", "[::ffff:7f00:1]"],
)  # fmt: skip
def test_no_spelling_of_an_inner_address_gets_a_connection(host):
    with listening() as (port, heard):
        with pytest.raises(EndpointRefusedError):
            authenticate(normal_origin(f"https://{host}:{port}"), allow_private=False)

        assert heard == []


@pytest.mark.fault("S1")
@pytest.mark.parametrize(
    "address",
    ["169.254.169.254", "fd00:ec2::254", "64:ff9b::7f00:1", "2002:7f00:1::", "::ffff:10.0.0.1",
     "168.63.129.16", "fe80::1"],
)  # fmt: skip
def test_metadata_and_translated_addresses_are_refused_even_where_private_ones_are_allowed(address):
    with pytest.raises(EndpointRefusedError):
        authenticate(
            "https://vendor.test", resolve=lambda host, port: [ipaddress.ip_address(address)]
        )


@pytest.mark.fault("S1")
def test_a_name_is_looked_up_once_for_a_connection_and_judged_again_for_the_next(
    clouds, vendor_proxy
):
    """A name that turns to the metadata address between check and use gains nothing."""
    answers = iter(["127.0.0.1", "169.254.169.254"])

    def turning(host, port):
        return [ipaddress.ip_address(next(answers))]

    with HttpVendorClient(
        Endpoint(
            f"https://localhost:{vendor_proxy.port}", allow_private=True, ca_file=clouds.ca_file
        ),
        adapter_title="Sim",
        resolve=turning,
    ) as client:
        for _ in range(3):  # one connection, so one look-up
            assert client.post(LIST, json={})["code"] == "2101017"
        vendor_proxy.cut()
        vendor_proxy.restore()
        with pytest.raises(EndpointRefusedError, match=r"localhost leads to 169\.254\.169\.254"):
            client.post(LIST, json={})


@pytest.mark.fault("S1")
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize(
    "target",
    ["https://localhost:{port}/", "http://127.0.0.1:{port}/", "//localhost:{port}/x", "/x"],
)
def test_no_redirect_is_followed(tmp_path, status, target):
    ca_file = issue(("localhost",)).write(tmp_path)
    with listening() as (inner, heard_inside):
        location = target.format(port=inner)
        lines = [f"HTTP/1.1 {status} Moved", f"Location: {location}", "Content-Length: 0", "", ""]
        with (
            listening(server_context(tmp_path), "\r\n".join(lines).encode()) as (port, heard),
            pytest.raises(VendorContractError, match="a redirect is not followed"),
        ):
            authenticate(f"https://localhost:{port}", ca_file=ca_file)

        assert len([request for request in heard if request]) == 1
        assert heard_inside == []


@pytest.mark.fault("S1")
@pytest.mark.parametrize(
    "location",
    ["http://[bad", "https://x:abc/", "https://a b:99999999/", "\u00e9", "//", "mailto:a@b"],
)
def test_a_redirect_to_nonsense_is_the_vendors_fault(tmp_path, location):
    ca_file = issue(("localhost",)).write(tmp_path)
    lines = ["HTTP/1.1 302 Found", f"Location: {location}", "Content-Length: 0", "", ""]
    with (
        listening(server_context(tmp_path), "\r\n".join(lines).encode()) as (port, _),
        pytest.raises(VendorContractError, match="a redirect is not followed"),
    ):
        authenticate(f"https://localhost:{port}", ca_file=ca_file)


@pytest.mark.fault("S1")
@pytest.mark.parametrize("cookie", ["sid=tracked; Path=/", "sid=\u00e9\u00ff", "sid=a\tb", "=;;"])
def test_cookies_are_neither_kept_nor_read(tmp_path, cookie):
    ca_file = issue(("localhost",)).write(tmp_path)
    lines = ["HTTP/1.1 200 OK", f"Set-Cookie: {cookie}", "Connection: close", "", '{"ok": 1}']
    answer = "\r\n".join(lines).encode()
    with (
        listening(server_context(tmp_path), answer) as (port, heard),
        HttpVendorClient(
            Endpoint(f"https://localhost:{port}", allow_private=True, ca_file=ca_file),
            adapter_title="Sim",
        ) as client,
    ):
        answers = [client.post(LIST, json={}) for _ in range(2)]

    assert answers == [{"ok": 1}] * 2
    assert not any(b"ookie" in request for request in heard if request)


@pytest.mark.fault("S1")
@pytest.mark.parametrize(
    "base_url",
    ["https://evil.example", "https://169.254.169.254/latest/meta-data", "https://localhost@10.0.0.1",
     "http://localhost", "https://[::ffff:169.254.169.254]"],
)  # fmt: skip
@pytest.mark.postgres
def test_a_base_url_that_nobody_allowed_ends_the_run_before_any_call(job, clouds, base_url):
    vendor = {"name": "solarman", "adapter": "solarman", "baseURL": base_url}

    ended = job.lay_out(vendor=vendor).run()

    assert ended.reason == (64, "EndpointRefused")
    assert clouds.calls() == []
