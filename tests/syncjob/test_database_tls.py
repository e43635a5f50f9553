"""TLS to the database: `sslmode` and `sslrootcert` of the URL hold, on a real server with TLS."""

from contextlib import closing
from urllib.parse import quote

import pytest

from dev.database import postgres
from dev.database.binaries import server_identity
from dev.simulators.tls import issue
from vendorsync_api.reasons import ExitCode
from vendorsync_job.errors import DatabaseRefusedError
from vendorsync_job.store import connection
from vendorsync_job.store.connection import Database, is_remote
from vendorsync_job.store.exchange import Statement

pytestmark = pytest.mark.postgres

ENCRYPTED = Statement("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("tls")
    issue().write(made / "server")
    issue(("elsewhere.example",)).write(made / "other")
    for parent in [*made.parents][:3]:
        parent.chmod(0o755)  # pytest's own are closed to the server's user
    identity = server_identity()
    for path in (made, made / "server", *(made / "server").iterdir()):
        identity.own(path)
    return made


@pytest.fixture(scope="module")
def encrypted(folder):
    settings = {
        "ssl": "on",
        "ssl_cert_file": folder / "server" / "tls.crt",
        "ssl_key_file": folder / "server" / "tls.key",
    }
    with postgres(fast=True, settings=settings) as running:
        yield running


def is_encrypted(url: str) -> bool:
    with closing(Database(url, sleep=lambda _: None)) as database:
        (((found,),),) = database.read(ENCRYPTED)
    return bool(found)


def url(server, **options) -> str:
    told = "&".join(f"{name}={quote(str(value), safe='')}" for name, value in options.items())
    return f"{server.url()}?{told}"


@pytest.mark.parametrize(
    ("mode", "expected"), [("disable", False), ("prefer", True), ("require", True)]
)
def test_the_mode_of_the_url_decides_about_tls(encrypted, mode, expected):
    assert is_encrypted(url(encrypted, sslmode=mode)) is expected


def test_the_right_authority_is_believed(encrypted, folder):
    authority = folder / "server" / "ca.crt"

    assert is_encrypted(url(encrypted, sslmode="verify-full", sslrootcert=authority))


@pytest.mark.fault("S2")
@pytest.mark.parametrize(
    ("authority", "said"),
    [
        ("other/ca.crt", "certificate verify failed"),
        ("none/ca.crt", "root certificate file .* does not exist"),
    ],
)
def test_a_wrong_or_missing_authority_is_refused_and_is_the_configurations_fault(
    encrypted, folder, authority, said
):
    wrong = url(encrypted, sslmode="verify-full", sslrootcert=folder / authority)
    with pytest.raises(DatabaseRefusedError, match=said) as caught:
        is_encrypted(wrong)

    assert caught.value.reason.exit_code == ExitCode.CONFIGURATION


@pytest.mark.fault("S2")
def test_a_certificate_of_another_host_is_refused(encrypted, folder):
    authority = folder / "server" / "ca.crt"
    there = url(encrypted, sslmode="verify-full", sslrootcert=authority, hostaddr="127.0.0.1")
    with pytest.raises(DatabaseRefusedError, match="does not match host name"):
        is_encrypted(there.replace("@127.0.0.1", "@elsewhere.example"))


@pytest.mark.fault("S2")
def test_a_server_without_tls_is_refused_where_the_url_wants_it(server):
    with pytest.raises(DatabaseRefusedError, match="does not support SSL"):
        is_encrypted(url(server, sslmode="require"))


@pytest.mark.parametrize(
    ("address", "remote"),
    [
        ("", False),
        ("127.0.0.1", False),
        ("127.8.0.1", False),
        ("::1", False),
        ("10.96.0.7", True),
        ("203.0.113.9", True),
        ("fe80::1%eth0", True),
    ],
)
def test_loopback_and_unix_sockets_are_near(address, remote):
    assert is_remote(address) is remote


@pytest.fixture
def far(monkeypatch):
    """Loopback counts as another machine."""
    monkeypatch.setattr(connection, "is_remote", bool)


@pytest.mark.usefixtures("far")
def test_a_remote_database_without_tls_is_told_once(encrypted, caplog):
    with closing(Database(url(encrypted, sslmode="disable"))) as database:
        for _ in range(3):
            database.read(ENCRYPTED)
            database.close()
        with closing(database.second()) as second:
            second.read(ENCRYPTED)

    (said,) = [record.message for record in caplog.records]
    assert f"database 127.0.0.1:{encrypted.port}/postgres is not encrypted" in said
    assert "sslmode=verify-full" in said
    assert encrypted.password not in said


@pytest.mark.usefixtures("far")
def test_a_remote_database_with_tls_is_not_worth_a_word(encrypted, caplog):
    assert is_encrypted(url(encrypted, sslmode="require"))
    assert caplog.records == []


def test_a_database_on_the_same_machine_needs_no_tls(server, caplog):
    assert not is_encrypted(server.url())
    assert caplog.records == []
