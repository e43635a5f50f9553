"""The vendor's HTTP side over real sockets, with the simulators' faults on the wire."""

from __future__ import annotations

import contextlib
import logging
import socket
import threading
import time
from datetime import UTC, datetime, timedelta

import pytest

from dev.simulators import simulators
from dev.simulators.tls import issue, server_context
from vendorsync_job.errors import (
    BudgetSpentError,
    ConfigurationError,
    DeadlineExceededError,
    EndpointRefusedError,
    ListingTimeoutError,
    ThrottledError,
    TLSFailedError,
    VendorContractError,
    VendorRefusedError,
    VendorUnavailableError,
)
from vendorsync_job.http import HttpVendorClient, Limits
from vendorsync_job.network import Endpoint
from vendorsync_job.ports import Purpose

PATH = "/station/v1.0/list"


@pytest.fixture(scope="session")
def running():
    with simulators() as sim:
        yield sim


@pytest.fixture
def sim(running):
    running.reset()
    yield running
    running.set_faults()


@pytest.fixture
def client(sim):
    clients = []

    def make(origin=None, **settings):
        defaults = {
            "adapter_title": "Sim",
            "limits": Limits(total=60),
            "sleep": lambda _seconds: None,
        }
        private, ca_file = settings.pop("allow_private", True), settings.pop("ca_file", sim.ca_file)
        endpoint = Endpoint(origin or sim.solarman_url, allow_private=private, ca_file=ca_file)
        made = HttpVendorClient(endpoint, **{**defaults, **settings})
        clients.append(made)
        return made

    yield make
    for made in clients:
        made.close()


def ask(client, **settings):
    return client.post(PATH, json={"page": 1, "size": 2}, **settings)


def test_an_object_in_json_is_returned_whatever_it_says(client):
    assert ask(client())["code"] == "2101017"


def test_a_server_error_is_tried_three_times_in_all(client, sim):
    sim.fault("http_error", status=502)
    vendor = client()

    with pytest.raises(VendorUnavailableError, match="Sim answered HTTP 502 to POST"):
        ask(vendor)

    assert vendor.calls == len(sim.calls()) == 3


def test_every_try_is_taken_out_of_the_allowance_before_it_is_made(client, sim):
    sim.fault("http_error")
    spent: list[tuple[Purpose, int]] = []
    vendor = client(spend=lambda purpose: spent.append((purpose, len(sim.calls()))))

    with pytest.raises(VendorUnavailableError):
        ask(vendor, purpose=Purpose.DETAIL)

    assert spent == [(Purpose.DETAIL, made) for made in range(3)]


def test_an_allowance_that_ends_between_two_tries_ends_the_call(client, sim):
    sim.fault("http_error")

    def spend(_purpose):
        if sim.calls():
            raise BudgetSpentError("used up")

    with pytest.raises(BudgetSpentError):
        ask(client(spend=spend))

    assert len(sim.calls()) == 1


@pytest.mark.requirement("R28")
def test_a_server_error_that_passes_is_not_noticed(client, sim):
    sim.fault("http_error", times=2)

    assert ask(client())["code"] == "2101017"


@pytest.mark.requirement("R28")
def test_pauses_grow_and_are_drawn_by_chance(client, sim):
    sim.fault("http_error")
    pauses: list[float] = []
    vendor = client(sleep=pauses.append, jitter=lambda low, high: (low + high) / 2)

    with pytest.raises(VendorUnavailableError):
        ask(vendor)

    assert pauses == [0.25, 0.5]


def test_a_login_is_sent_once_even_if_the_server_fails(client, sim):
    sim.fault("http_error")

    with pytest.raises(VendorUnavailableError):
        ask(client(), purpose=Purpose.LOGIN)

    assert len(sim.calls()) == 1


@pytest.mark.parametrize("kind", ["reset", "reset_mid_body", "wrong_length"])
@pytest.mark.fault("V8")
def test_a_broken_connection_is_tried_again(client, sim, kind):
    sim.fault(kind, times=1)

    assert ask(client())["code"] == "2101017"


@pytest.mark.fault("V8")
@pytest.mark.parametrize(("kind", "options"), [("drip", {"seconds": 0.1}), ("stall", {})])
def test_an_answer_that_never_ends_is_cut_at_the_total_time(client, sim, kind, options):
    """Left alone, the drip would be an answer after some seconds, and the stall never."""
    sim.fault(kind, **options)

    with pytest.raises(VendorUnavailableError, match="no complete answer in time"):
        ask(client(limits=Limits(total=0.3, tries=1)))


@pytest.mark.fault("V11")
def test_a_call_ends_in_time_for_the_run_to_write_what_was_read(client, sim):
    """Of the run's 100 seconds one is left for the pages when the call begins."""
    sim.fault("stall")
    asked: list[float] = []

    def clock():
        asked.append(time.monotonic())
        return 89.0 + asked[-1] - asked[1] if asked[1:] else 0.0

    vendor = client(clock=clock, deadline=100.0)

    with pytest.raises(ListingTimeoutError, match="vendor's pages passed while waiting for Sim"):
        ask(vendor)

    assert vendor.calls == 1


@pytest.mark.fault("V11")
def test_no_page_is_asked_for_in_the_time_that_the_run_needs_for_itself(client, sim):
    times = iter([0.0, 95.0])
    vendor = client(clock=lambda: next(times, 95.0), deadline=100.0)

    with pytest.raises(ListingTimeoutError):
        ask(vendor)

    assert sim.calls() == []


def test_a_pause_that_would_outlast_the_run_is_not_begun(client, sim):
    sim.fault("http_error")
    pauses: list[float] = []
    vendor = client(
        deadline=time.monotonic() + 30, sleep=pauses.append, jitter=lambda _low, _high: 60.0
    )

    with pytest.raises(VendorUnavailableError):
        ask(vendor)

    assert (vendor.calls, pauses) == (1, [])


def test_after_the_deadline_of_the_run_nothing_is_sent(client, sim):
    with pytest.raises(DeadlineExceededError):
        ask(client(deadline=time.monotonic() - 1))

    assert sim.calls() == []


def test_a_connection_refused_is_unavailable_and_says_so(client):
    with pytest.raises(VendorUnavailableError, match="connection refused"):
        ask(client("https://localhost:9"))


@pytest.mark.fault("V10")
def test_a_name_that_does_not_resolve_is_unavailable(client):
    def unknown(_host, _port):
        raise OSError("no such name")

    with pytest.raises(VendorUnavailableError, match="the name cannot be resolved"):
        ask(client(resolve=unknown))


@pytest.mark.fault("V10")
def test_a_resolver_that_hangs_does_not_hold_the_run(client):
    over = threading.Event()

    def hanging(_host, _port):
        over.wait(60)
        return []  # who waits for this says that the name is unknown

    with pytest.raises(VendorUnavailableError, match="no connection in time"):
        ask(client(resolve=hanging, limits=Limits(connect=0.1, tries=1)))
    over.set()


@pytest.mark.fault("V10")
def test_an_unknown_authority_is_a_tls_fault_and_not_tried_again(client, tmp_path):
    other = issue(("other.test",)).write(tmp_path)
    vendor = client(ca_file=other)

    with pytest.raises(TLSFailedError, match="unable to get local issuer certificate"):
        ask(vendor)

    assert vendor.calls == 1


@pytest.mark.fault("V10")
def test_the_system_store_does_not_know_a_private_authority(client):
    with pytest.raises(TLSFailedError):
        ask(client(ca_file=None))


@pytest.mark.fault("V10")
@pytest.mark.parametrize(
    ("hosts", "age", "words"),
    [
        pytest.param(("localhost",), -1, "certificate has expired", id="expired"),
        pytest.param(("other.test",), 1, "Hostname mismatch", id="wrong host"),
    ],
)
def test_a_certificate_that_does_not_fit_is_named(client, hosts, age, words):
    certificates = issue(hosts, datetime.now(UTC) + timedelta(days=age))
    with simulators(certificates=certificates) as sim, pytest.raises(TLSFailedError, match=words):
        ask(client(sim.solarman_url, ca_file=sim.ca_file))


def test_a_port_that_speaks_no_tls_is_a_tls_fault(client, sim):
    with pytest.raises(TLSFailedError, match="does not agree on TLS"):
        ask(client(sim.control_url.replace("http:", "https:")))


def test_a_server_that_hangs_up_in_the_handshake_is_only_unavailable(client):
    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=_hang_up, args=(server, 3), daemon=True).start()
        vendor = client(f"https://localhost:{server.getsockname()[1]}")

        with pytest.raises(VendorUnavailableError) as caught:
            ask(vendor, purpose=Purpose.LOGIN)

    assert type(caught.value) is VendorUnavailableError
    assert vendor.calls == 3, "nothing was sent, so even a login may be tried again"


def _hang_up(server, times):
    for _ in range(times):
        server.accept()[0].close()


def test_a_file_without_a_certificate_is_a_wrong_setting(client, tmp_path):
    empty = tmp_path / "ca.crt"
    empty.write_text("none")

    with pytest.raises(ConfigurationError, match="holds no certificate"):
        client(ca_file=empty)


@pytest.mark.fault("S1")
def test_a_private_address_is_refused_before_any_connection(client, sim):
    vendor = client(allow_private=False)

    with pytest.raises(EndpointRefusedError, match=r"localhost leads to .*(127\.0\.0\.1|::1)"):
        ask(vendor)

    assert sim.calls() == []


@pytest.mark.fault("S1")
@pytest.mark.parametrize(
    "path",
    [
        "https://evil.example/next",
        "https://localhost:1/next",
        "http://localhost/next",
        "https://user@evil.example/",
    ],
)
def test_a_path_that_leads_to_another_origin_is_refused(client, sim, path):
    vendor = client()

    with pytest.raises(EndpointRefusedError, match="called at localhost only"):
        vendor.get(path, headers={"Authorization": "bearer sim-token"})

    assert (vendor.calls, sim.calls()) == (0, [])


@pytest.mark.fault("S1")
def test_a_path_that_looks_like_a_host_stays_a_path(client, sim):
    with pytest.raises(VendorContractError, match="HTTP 404"):
        client().get("//evil.example/next")

    assert len(sim.calls()) == 1


@pytest.mark.fault("S1")
def test_a_redirect_is_not_followed(client, sim):
    sim.fault("http_error", status=302)

    with pytest.raises(VendorContractError, match="a redirect is not followed"):
        ask(client())

    assert len(sim.calls()) == 1


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, VendorContractError),
        (401, VendorRefusedError),
        (403, VendorRefusedError),
        (404, VendorContractError),
        (408, VendorUnavailableError),
        (410, VendorContractError),
        (503, VendorUnavailableError),
    ],
)
def test_a_status_is_worth_its_error(client, sim, status, error):
    sim.fault("http_error", status=status)

    with pytest.raises(error, match=f"HTTP {status}"):
        ask(client())


class CannedServer:
    """Answers every TLS connection with the same bytes, all at once or one by one."""

    def __init__(self, folder, answer, pause=0.0):
        self.connections = 0
        self._answer = answer
        self._pause = pause
        self._context = server_context(folder)
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"https://localhost:{self._socket.getsockname()[1]}"
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        with contextlib.suppress(OSError):
            while True:
                self._answer_one(self._socket.accept()[0])

    def _answer_one(self, plain):
        self.connections += 1
        with self._context.wrap_socket(plain, server_side=True) as connection:
            request = b""
            while not request.endswith(b"}"):  # unread bytes would turn the close into a reset
                request += connection.recv(65536)
            size = 1 if self._pause else len(self._answer)
            for place in range(0, len(self._answer), size):
                connection.sendall(self._answer[place : place + size])
                time.sleep(self._pause)

    def close(self):
        self._socket.close()


@pytest.fixture
def canned(sim):
    servers = []

    def serve(*lines, pause=0.0):
        answer = "\r\n".join([*lines, "Connection: close", "Content-Length: 2", "", "{}"])
        servers.append(CannedServer(sim.ca_file.parent, answer.encode(), pause))
        return servers[-1]

    yield serve
    for server in servers:
        server.close()


@pytest.mark.fault("V1")
@pytest.mark.parametrize(("rest", "calls"), [("1", 3), ("60", 1)])
def test_a_server_that_asks_for_a_long_pause_is_left_alone(client, canned, rest, calls):
    server = canned("HTTP/1.1 503 Busy", f"Retry-After: {rest}")

    with pytest.raises(VendorUnavailableError, match="HTTP 503"):
        ask(client(server.url))

    assert server.connections == calls


@pytest.mark.fault("V1")
def test_a_pause_is_never_shorter_than_the_one_that_the_server_asked_for(client, canned):
    server = canned("HTTP/1.1 503 Busy", "Retry-After: 3")
    pauses: list[float] = []
    drawn = iter([0.1, 4.0, 0.0])
    vendor = client(server.url, sleep=pauses.append, jitter=lambda _low, _high: next(drawn))

    with pytest.raises(VendorUnavailableError):
        ask(vendor)

    assert pauses == [3.0, 4.0]


@pytest.mark.fault("V1")
def test_a_pause_that_the_server_asked_for_and_the_run_has_no_time_for_is_not_begun(client, canned):
    server = canned("HTTP/1.1 503 Busy", "Retry-After: 4")
    pauses: list[float] = []
    vendor = client(
        server.url, clock=lambda: 100.0, deadline=103.0, sleep=pauses.append, limits=Limits(total=2)
    )

    with pytest.raises(VendorUnavailableError):
        ask(vendor)

    assert (server.connections, pauses) == (1, [])


@pytest.mark.fault("V8")
def test_headers_that_drip_are_cut_at_the_total_time(client, canned):
    """Left alone, they would be an answer after some seconds."""
    server = canned("HTTP/1.1 200 OK", pause=0.1)

    with pytest.raises(VendorUnavailableError, match="no complete answer in time"):
        ask(client(server.url, limits=Limits(total=0.3, tries=1)))


def test_an_encoding_that_was_not_asked_for_breaks_the_contract(client, canned):
    server = canned("HTTP/1.1 200 OK", "Content-Encoding: br")

    with pytest.raises(VendorContractError, match=r"Sim answered POST .* in the encoding 'br'"):
        ask(client(server.url))


def test_the_request_names_the_host_asks_for_gzip_and_sends_json(client, sim):
    seen = []

    class Tap(HttpVendorClient):
        def _attempt(self, request, call, purpose):
            seen.append(request)
            return super()._attempt(request, call, purpose)

    endpoint = Endpoint(sim.solarman_url, allow_private=True, ca_file=sim.ca_file)
    with Tap(endpoint, adapter_title="Sim") as made:
        made.post(PATH, json={})

    (request,) = seen
    assert request.headers["Host"] == sim.solarman_url.removeprefix("https://")
    assert request.headers["Accept-Encoding"] == "gzip"
    assert request.headers["Content-Type"] == "application/json"
    assert request.content == b"{}"


def test_a_throttle_is_not_tried_again(client, sim):
    sim.fault("too_many_requests", retry_after=1)
    vendor = client()

    with pytest.raises(ThrottledError):
        ask(vendor)

    assert vendor.calls == 1


@pytest.mark.fault("S2")
@pytest.mark.parametrize(
    "end", [" ", "\n", "\r\nX-Other: 1", "\u00a0", "ü"], ids=lambda end: end.encode().hex()
)
def test_a_value_that_no_header_can_carry_is_named_by_its_header_and_not_shown(client, sim, end):
    vendor = client()

    with pytest.raises(ConfigurationError) as caught:
        ask(vendor, headers={"x-access-key": f"sim-secret{end}"})

    assert str(caught.value).startswith("header x-access-key of POST /station/v1.0/list to Sim")
    assert "blank or a line end" in str(caught.value)
    assert "sim-secret" not in str(caught.value)
    assert caught.value.__context__ is None
    assert (vendor.calls, sim.calls()) == (0, [])


@pytest.mark.fault("V9")
def test_a_hundred_mebibytes_of_blanks_are_not_read_to_the_end(client, sim):
    sim.fault("padded_json", mebibytes=40)

    with pytest.raises(VendorContractError, match="more than 32 MiB"):
        ask(client())


@pytest.mark.fault("S2")
def test_no_address_parameter_or_header_reaches_the_log(client, sim, caplog):
    caplog.set_level(logging.DEBUG)
    sim.fault("http_error", times=1)

    ask(
        client(),
        params={"appId": "sim-secret-id"},
        headers={"Authorization": "bearer sim-secret-token"},
    )

    assert "sim-secret" not in caplog.text
    assert "trying again" in caplog.text


@pytest.mark.fault("S2")
def test_no_parameter_reaches_an_error(client, sim):
    sim.fault("http_error")

    with pytest.raises(VendorUnavailableError) as caught:
        ask(client(), params={"appId": "sim-secret-id"})

    assert "sim-secret" not in str(caught.value)


def test_proxies_of_the_environment_are_ignored(client, monkeypatch):
    monkeypatch.setenv("HTTPS_PROXY", "http://localhost:9")
    monkeypatch.setenv("ALL_PROXY", "http://localhost:9")

    assert ask(client())["code"] == "2101017"
