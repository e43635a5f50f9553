from __future__ import annotations

import json
import signal
import ssl
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest

from dev.simulators import Accounts, simulators
from dev.simulators.__main__ import main
from dev.simulators.tls import issue

ROOT = Path(__file__).parents[2]


def test_the_command_serves_until_sigterm(tmp_path):
    assert main(["certificates", "--out", str(tmp_path), "--host", "localhost", "127.0.0.1"]) == 0
    command = [sys.executable, "-m", "dev.simulators", "serve", "--certificates", str(tmp_path)]
    for name in ("solarman", "sungrow", "control"):
        command += [f"--{name}-port", "0"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        try:
            serving = json.loads(process.stdout.readline())
            trust = ssl.create_default_context(cafile=tmp_path / "ca.crt")
            assert httpx.get(serving["sungrow"] + "/timestamp", verify=trust).text.isdecimal()
            assert json.loads(process.stdout.readline())["path"] == "/timestamp"
        finally:
            process.send_signal(signal.SIGTERM)
        assert process.wait(5) == 0
        assert json.loads(process.stdout.read()) == {"event": "stopped"}


def test_the_key_of_a_certificate_is_private(tmp_path):
    issue().write(tmp_path)
    assert (tmp_path / "tls.key").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("certificates", "told"),
    [
        (issue(("sim.example.test",)), "mismatch|not valid for"),
        (issue(not_after=datetime(2026, 1, 1, tzinfo=UTC)), "expired"),
    ],
)
def test_a_wrong_certificate_can_be_ordered(certificates, told):
    with simulators(certificates=certificates) as sim:
        trust = ssl.create_default_context(cafile=sim.ca_file)
        with pytest.raises(httpx.ConnectError, match=told):
            httpx.get(sim.sungrow_url, verify=trust)


def test_strangers_are_not_trusted_by_default(sim):
    with pytest.raises(httpx.ConnectError, match=r"self-signed|unable to get local issuer"):
        httpx.get(sim.sungrow_url, verify=ssl.create_default_context())


def test_a_port_in_use_is_told(sim):
    taken = int(sim.control_url.rpartition(":")[2])
    with pytest.raises(OSError, match="in use"), simulators(ports=(0, 0, taken)):
        pass


def test_the_accounts_of_the_demo():
    accounts = Accounts.from_file()
    assert [account.plants for account in accounts.solarman] == [250, 40]
    assert [account.plants for account in accounts.sungrow] == [180]
    names = [account.name for account in accounts.solarman]
    names += [account.name for account in accounts.sungrow]
    assert all(name.startswith("sim-") for name in names)


def test_refused_interfaces_are_read_from_json():
    text = ("name", "appkey", "access_key", "user_account", "user_password")
    account = dict.fromkeys(text, "sim") | dict.fromkeys(("user_id", "seed", "plants"), 1)
    read = Accounts.from_json({"sungrow": [{**account, "refused": ["getFaultAlarmInfo"]}]})
    assert read.sungrow[0].refused == ("getFaultAlarmInfo",)


def test_an_unknown_key_of_an_account_is_refused():
    with pytest.raises(TypeError, match="colour"):
        Accounts.from_json({"solarman": [{"colour": "blue"}]})
