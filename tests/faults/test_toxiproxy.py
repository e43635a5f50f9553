"""The test bed itself: each toxic does what the tests below take it for."""

import os
import socket
import threading
import time
from contextlib import closing

import pytest

from dev.building import TOXIPROXY, ensure
from dev.cluster.errors import CommandError
from dev.faults import FaultsError


class Echo:
    """Sends back what it gets, on a port of its own."""

    def __init__(self):
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._socket.getsockname()[1]}"
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        while True:
            try:
                connection = self._socket.accept()[0]
            except OSError:
                return
            threading.Thread(target=self._answer, args=(connection,), daemon=True).start()

    def _answer(self, connection):
        with connection:
            try:
                while data := connection.recv(65536):
                    connection.sendall(data)
            except OSError:
                return

    def close(self):
        self._socket.close()


@pytest.fixture
def proxy(toxi):
    with closing(Echo()) as echo:
        made = toxi.proxy(echo.address)
        yield made
        made.remove()


def echoed(proxy, text=b"hello", seconds=10.0):
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=seconds) as connection:
        connection.sendall(text)
        received = b""
        while len(received) < len(text):
            piece = connection.recv(65536)
            if not piece:
                return received
            received += piece
        return received


FAKE_GO = """\
#!/bin/sh
[ "$1" = env ] && echo go1.26.0 && exit
echo "$@" >>"$CALLS"
while [ "$1" != -o ]; do shift; done
echo half >"$2"
[ -z "$BROKEN" ] || exit 1
echo whole >"$2"
"""


@pytest.fixture
def fake_go(tmp_path, monkeypatch):
    programs = tmp_path / "programs"
    programs.mkdir()
    (programs / "go").write_text(FAKE_GO)
    (programs / "go").chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    monkeypatch.setenv("VENDORSYNC_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("CALLS", str(tmp_path / "calls"))
    return tmp_path / "calls"


def test_the_program_is_built_once_from_its_pinned_module(fake_go, capsys):
    program = ensure(TOXIPROXY)

    assert program.read_text() == "whole\n"
    assert ensure(TOXIPROXY) == program
    (call,) = fake_go.read_text().splitlines()
    assert "-mod=readonly" in call
    assert "building Toxiproxy from source, once" in capsys.readouterr().err


def test_a_build_that_fails_leaves_no_half_program(fake_go, monkeypatch):
    monkeypatch.setenv("BROKEN", "yes")
    with pytest.raises(CommandError, match="go build"):
        ensure(TOXIPROXY)

    monkeypatch.delenv("BROKEN")
    assert ensure(TOXIPROXY).read_text() == "whole\n"


def test_without_a_toxic_everything_passes(proxy):
    assert echoed(proxy) == b"hello"


def test_latency_and_its_end(proxy):
    with proxy.toxic("latency", latency=200):
        start = time.monotonic()
        assert echoed(proxy) == b"hello"
        assert time.monotonic() - start >= 0.2
    assert echoed(proxy) == b"hello"


def test_a_limit_of_data_ends_the_connection(proxy):
    with proxy.toxic("limit_data", bytes=3):
        assert echoed(proxy) == b"hel"


def test_a_peer_that_resets(proxy):
    with proxy.toxic("reset_peer", timeout=0), pytest.raises(ConnectionResetError):
        echoed(proxy)


def test_a_connection_that_goes_silent(proxy):
    with proxy.toxic("timeout", timeout=0), pytest.raises(TimeoutError):
        echoed(proxy, seconds=0.2)


def test_cut_and_restored_on_the_same_port(proxy):
    proxy.cut()
    with pytest.raises(ConnectionRefusedError):
        echoed(proxy)
    proxy.restore()
    assert echoed(proxy) == b"hello"


def test_what_toxiproxy_refuses_is_told(proxy):
    with pytest.raises(FaultsError, match=r"refuses POST .*invalid toxic type"):
        proxy.add("nonsense")
