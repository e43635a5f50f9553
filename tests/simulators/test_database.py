from __future__ import annotations

import shutil
import signal
import subprocess
import sys
from pathlib import Path
from tempfile import mkdtemp

import psycopg
import pytest

from dev.database import DatabaseError, binaries, find_binaries, postgres

pytestmark = pytest.mark.postgres
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def place():
    """A directory that the server's user can reach; pytest's own is closed to it under root."""
    path = Path(mkdtemp(prefix="vendorsync-test-"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path)


@pytest.fixture(scope="module")
def server(place):
    with postgres(place / "server", {"work_mem": "5MB"}, fast=True, password="sim-p@ss:/") as made:
        yield made


def show(url, name):
    with psycopg.connect(url) as connection:
        return next(connection.execute(f"SHOW {name}"))[0]


def test_it_speaks_with_the_settings_given(server):
    assert show(server.url(), "work_mem") == "5MB"
    assert show(server.url(), "fsync") == "off"
    assert show(server.url(), "server_version").startswith(server.binaries.version)


def test_it_asks_for_the_password(server):
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(server.url(password="sim-wrong"))


def test_it_does_not_run_as_root(server):
    assert Path(f"/proc/{server.pid}").stat().st_uid != 0


def test_databases_are_created_once(server):
    assert server.create_database("sim plants") == server.create_database("sim plants")
    assert show(server.url("sim plants"), "server_encoding") == "UTF8"


def test_it_comes_back_at_the_same_address_after_a_crash(server):
    url = server.create_database("sim_kept")
    server.stop("kill")
    assert (server.data / "postmaster.pid").exists()
    with pytest.raises(psycopg.OperationalError, match="refused"):
        psycopg.connect(url)
    server.start()
    assert show(url, "fsync") == "off"


def test_a_lock_file_with_the_id_of_another_program_is_no_obstacle(server):
    server.stop()
    same_user = binaries.server_identity().process_options()
    with subprocess.Popen(["sleep", "60"], **same_user) as other:
        (server.data / "postmaster.pid").write_text(f"{other.pid}\n")
        server.start()
        other.kill()
    assert server.running


def test_a_server_that_runs_is_not_started_twice(server):
    with pytest.raises(DatabaseError, match=f"process id {server.pid}"), postgres(server.directory):
        pass


def test_the_command_serves_until_sigterm(server):
    """Serves the directory of the fixture, with a new password that replaces the old one."""
    server.stop()
    secret = server.directory.parent / "password-file"
    secret.write_text("sim-new\n")
    command = [sys.executable, "-m", "dev.database", "serve", "--data", str(server.directory)]
    command += ["--port", str(server.port), "--password-file", str(secret), "--fast"]
    with subprocess.Popen(
        [*command, "--database", "sim_demo"], cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout
        try:
            assert any("serving sim_demo" in line for line in process.stdout)
            assert show(server.url("sim_demo", password="sim-new"), "fsync") == "off"
        finally:
            process.send_signal(signal.SIGTERM)
        assert "database system is shut down" in process.stdout.read()
        assert process.wait(10) == 0
    server.start()
    assert show(server.url(), "fsync") == "off"


def test_the_wheel_serves_where_the_system_has_none(monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setattr(binaries, "SYSTEM_FOLDERS", Path("/nowhere"))
    with postgres(fast=True) as own:
        assert own.binaries.origin == "wheel"
        assert show(own.url(), "server_version") == own.binaries.version
        directory = own.directory
    assert not directory.exists()


def test_an_old_server_is_passed_over(monkeypatch):
    monkeypatch.setattr(binaries, "OLDEST_MAJOR", 99)
    with pytest.raises(RuntimeError, match=r"no PostgreSQL 99 .*tried: /"):
        find_binaries()


def test_a_setting_that_does_not_exist_is_told(server):
    server.stop()
    with (
        pytest.raises(DatabaseError, match="sim_nothing"),
        postgres(server.directory, {"sim_nothing": 1}),
    ):
        pass
    server.start()
