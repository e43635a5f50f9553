"""V8: slow, cut and broken connections between the job and a vendor, over a real proxy and TLS."""

import time
from typing import Any

import pytest

from tests.syncjob.jobs import LIST
from vendorsync_job.errors import VendorContractError, VendorUnavailableError
from vendorsync_job.http import HttpVendorClient, Limits
from vendorsync_job.network import Endpoint

pytestmark = pytest.mark.fault("V8")

FOR_EVER = {
    "drip": ("bandwidth", {"rate": 0}),
    "silence": ("timeout", {"timeout": 0}),
    "late": ("latency", {"latency": 5000}),
    "crumbs": ("slicer", {"average_size": 2, "size_variation": 1, "delay": 50_000}),
    "reset": ("reset_peer", {"timeout": 0}),
    "cut in the handshake": ("limit_data", {"bytes": 100}),
    "cut after the handshake": ("limit_data", {"bytes": 1500}),
}
PASSABLE = {
    "late": ("latency", {"latency": 100, "jitter": 50}),
    "narrow": ("bandwidth", {"rate": 50}),
    "crumbs": ("slicer", {"average_size": 64, "size_variation": 32, "delay": 100}),
    "slow to close": ("slow_close", {"delay": 500}),
}


@pytest.fixture
def connect(clouds, vendor_proxy):
    made = []

    def connect(**settings):
        usual: dict[str, Any] = {"limits": Limits(connect=3, total=3), "sleep": lambda _: None}
        endpoint = Endpoint(
            f"https://localhost:{vendor_proxy.port}", allow_private=True, ca_file=clouds.ca_file
        )
        made.append(HttpVendorClient(endpoint, adapter_title="Sim", **usual | settings))
        return made[-1]

    yield connect
    for client in made:
        client.close()


def ask(client):
    return client.post(LIST, json={"page": 1, "size": 2})


@pytest.mark.parametrize(
    ("toxic", "direction"),
    [
        *((toxic, "downstream") for toxic in FOR_EVER),
        ("drip", "upstream"),
        ("silence", "upstream"),
        ("cut in the handshake", "upstream"),
    ],
)
def test_a_connection_that_stays_bad_costs_three_tries_and_a_bounded_time(
    connect, vendor_proxy, toxic, direction
):
    kind, attributes = FOR_EVER[toxic]
    client = connect(limits=Limits(connect=0.2, total=0.2))
    start = time.monotonic()

    with (
        vendor_proxy.toxic(kind, stream=direction, **attributes),
        pytest.raises(VendorUnavailableError) as caught,
    ):
        ask(client)

    assert type(caught.value) is VendorUnavailableError
    assert client.calls == 3
    assert time.monotonic() - start < 10 * 3 * 0.2  # only tells waiting from hanging


@pytest.mark.parametrize("toxic", PASSABLE)
def test_a_connection_that_is_only_poor_is_good_enough(connect, vendor_proxy, toxic):
    kind, attributes = PASSABLE[toxic]
    client = connect(limits=Limits())

    with vendor_proxy.toxic(kind, **attributes):
        assert ask(client)["code"] == "2101017"

    assert client.calls == 1


@pytest.mark.requirement("R28")
@pytest.mark.parametrize("toxic", ["silence", "reset", "cut in the handshake", "refused"])
def test_a_fault_that_passes_is_survived(connect, vendor_proxy, toxic):
    if toxic == "refused":
        vendor_proxy.cut()
        client = connect(sleep=lambda _: vendor_proxy.restore())
    else:
        kind, attributes = FOR_EVER[toxic]
        name = vendor_proxy.add(kind, **attributes)
        client = connect(sleep=lambda _: vendor_proxy.drop(name))

    assert ask(client)["code"] == "2101017"
    assert client.calls == 2


def test_a_kept_connection_that_died_in_between_is_replaced(connect, vendor_proxy):
    client = connect()
    ask(client)
    vendor_proxy.cut()
    vendor_proxy.restore()

    assert ask(client)["code"] == "2101017"


@pytest.mark.parametrize(
    ("kind", "options"),
    [("drip", {"seconds": 0.1}), ("stall", {}), ("reset_mid_body", {}), ("wrong_length", {})],
)
def test_a_body_that_never_comes_whole_is_an_absence_and_not_an_answer(
    connect, clouds, kind, options
):
    clouds.fault(kind, path=LIST, **options)
    client = connect(limits=Limits(total=0.3))

    with pytest.raises(VendorUnavailableError):
        ask(client)

    assert client.calls == 3


@pytest.mark.parametrize(
    ("kind", "options", "words"),
    [
        ("truncated_gzip", {}, "gzip that is cut short"),
        ("false_gzip", {}, "claims to be gzip but is not"),
        ("gzip", {"layers": 2}, "something that is not JSON"),
        ("wrong_length", {"by": -5}, "something that is not JSON"),
        ("truncated_json", {}, "something that is not JSON"),
    ],
)
def test_a_body_that_is_whole_and_wrong_breaks_the_contract_at_once(
    connect, clouds, kind, options, words
):
    clouds.fault(kind, path=LIST, **options)
    client = connect()

    with pytest.raises(VendorContractError, match=words):
        ask(client)

    assert client.calls == 1
