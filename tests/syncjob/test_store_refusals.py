"""Which refused connections pass, and which want a person."""

from contextlib import closing

import psycopg
import pytest

from dev.database.pooler import pooler
from dev.stack.waiting import until
from tests.syncjob.builders import RUN_PASSWORD
from vendorsync_api.reasons import ExitCode
from vendorsync_job.errors import DatabaseRefusedError, DatabaseUnavailableError
from vendorsync_job.store.connection import Database, refusal, translate
from vendorsync_job.store.refusals import judged, passes

LEAD = 'connection failed: connection to server at "10.0.0.7", port 5432 failed: '


@pytest.mark.fault("D1")
@pytest.mark.parametrize(
    "said",
    [
        "Connection refused\n\tIs the server running on that host and accepting connections?",
        "No route to host",
        "Network is unreachable",
        "timeout expired",
        "Connection timed out",
        "could not receive data from server: Connection reset by peer",
        "server closed the connection unexpectedly\n\tThis probably means the server terminated",
        "SSL SYSCALL error: EOF detected",
        "FATAL:  the database system is starting up",
        "FATAL:  the database system is shutting down",
        "FATAL:  the database system is in recovery mode",
        "FATAL:  the database system is not yet accepting connections",
        "FATAL:  sorry, too many clients already",
        'FATAL:  too many connections for role "run"',
        "FATAL:  remaining connection slots are reserved for roles with the SUPERUSER attribute",
        "FATAL:  terminating connection due to administrator command",
        "FATAL:  canceling authentication due to timeout",
        "session is read-only",
        "FATAL:  query_wait_timeout",
        "FATAL:  no more connections allowed (max_client_conn)",
        "FATAL:  server login has been failing, try again later (server_login_retry)",
        "FATAL:  server login has been failing, cached error: connect failed (server_login_retry)",
        "FATAL:  pgbouncer cannot connect to server",
        "FATAL:  client_login_timeout (server down)",
        "FATAL:  (ECIRCUITBREAKER) too many authentication failures, new connections are blocked",
        "FATAL:  Max client connections reached",
        "FATAL:  (EMAXCONNSESSION) max clients reached in session mode",
        "FATAL:  (ECHECKOUTTIMEOUT) unable to check out connection from the pool",
        "ERROR:  Couldn't connect to compute node",
        "FATAL:  Timed-out waiting to acquire database connection",
        "FATAL:  all backend nodes are down, pgpool requires at least one valid node",
    ],
)
def test_what_goes_away_by_itself_is_tried_again(said):
    error = refusal(psycopg.OperationalError(LEAD + said), "db/app")

    assert type(error) is DatabaseUnavailableError


@pytest.mark.fault("S2")
@pytest.mark.parametrize(
    "said",
    [
        'FATAL:  password authentication failed for user "run"',
        "FATAL:  SASL authentication failed",
        "FATAL:  password authentication failed",
        "FATAL:  no such user",
        "FATAL:  no such database: app",
        'FATAL:  role "run" is not permitted to log in',
        'FATAL:  role "query_wait_timeout" does not exist',
        'FATAL:  no pg_hba.conf entry for host "10.0.0.1", user "run", database "app", SSL off',
        'FATAL:  database "app" is not currently accepting connections',
        'FATAL:  permission denied for database "app"\nDETAIL:  User does not have CONNECT.',
        "FATAL:  bouncer config error",
        "FATAL:  unsupported startup parameter: search_path",
        "FATAL:  server login has been failing, cached error: password authentication failed for"
        ' user "run" (server_login_retry)',
        "FATAL:  Tenant or user not found",
        "ERROR:  Endpoint ID is not specified. Either please upgrade the postgres client library",
        "ERROR:  The endpoint has been disabled. Enable it using Neon API and retry.",
        "FATAL:  This RDS proxy has no credentials for the role run. Check the credentials for"
        " this role and try again.",
        "server does not support SSL, but SSL was required",
        "SSL error: certificate verify failed",
        'root certificate file "/ca.crt" does not exist',
        'server certificate for "a" does not match host name "b"',
        "received invalid response to SSL negotiation: H",
        "FATAL:  something that nobody has heard of",
    ],
)
def test_any_other_refusal_is_one_that_a_person_ends(said):
    error = refusal(psycopg.OperationalError(LEAD + said), "db/app")

    assert type(error) is DatabaseRefusedError
    assert error.reason.exit_code == ExitCode.CONFIGURATION


@pytest.mark.fault("D1")
@pytest.mark.parametrize(
    ("text", "cause", "passing"),
    [
        (
            "failed to resolve host 'hunter2': [Errno -2] Name or service not known",
            "Name or service not known",
            True,
        ),
        (
            "failed to resolve host 'db': [Errno -3] Temporary failure in name resolution",
            "Temporary failure in name resolution",
            True,
        ),
        (
            'connection is bad: connection to server on socket "/run/.s.PGSQL.5432" failed:'
            " No such file or directory\n\tIs the server running locally?",
            "No such file or directory",
            True,
        ),
        (
            f'{LEAD}could not open certificate file "/tls.crt": No such file or directory',
            'could not open certificate file "/tls.crt": No such file or directory',
            False,
        ),
        ("connection timeout expired", "connection timeout expired", True),
        ('connection is bad: invalid channel_binding value: "x"', None, False),
        (
            f"{LEAD}FATAL:  no pg_hba.conf entry for host, SSL encryption\n{LEAD[19:]}FATAL:  no"
            " pg_hba.conf entry for host, no encryption",
            "no pg_hba.conf entry for host, SSL encryption",
            False,
        ),
        ("", "", False),
    ],
)
def test_the_cause_is_one_line_and_names_no_host(text, cause, passing):
    found = judged(text)

    assert found == (found[0] if cause is None else cause, passing)


@pytest.mark.fault("S2")
def test_of_several_addresses_the_one_that_refused_for_good_decides():
    refused = 'FATAL:  password authentication failed for user "run"'
    one = 'connection failed: connection to server at "::1", port 5432 failed: '
    text = (
        f"{one}Connection refused\nMultiple connection attempts failed. All failures were:\n"
        f"- host: 'db', port: '5432', hostaddr: '10.0.0.7': {LEAD}{refused}\n"
        f"- host: 'db', port: '5432', hostaddr: '::1': {one}Connection refused"
    )

    assert judged(text) == ('password authentication failed for user "run"', False)


def test_a_connection_that_stood_and_broke_is_tried_again_whatever_was_said():
    error = translate(psycopg.OperationalError("the connection is lost"), "db/app")

    assert type(error) is DatabaseUnavailableError


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        ("cached error: password authentication failed", DatabaseRefusedError),
        ("cached error: connect failed", DatabaseUnavailableError),
        ("try again later", DatabaseUnavailableError),
    ],
)
def test_what_a_pooler_remembers_of_a_login_is_judged_by_what_the_server_said(said, kind):
    assert passes(f"server login has been failing, {said} (server_login_retry)") == (
        kind is DatabaseUnavailableError
    )


@pytest.mark.postgres
@pytest.mark.fault("D4")
@pytest.mark.parametrize("kind", ["scram-sha-256", "md5"])
@pytest.mark.parametrize(
    ("right", "wrong", "said"),
    [("run%3Apass", "hunter2", "authentication failed"), ("vendorsync_run:", "nobody:", "fail")],
)
def test_a_wrong_login_at_a_pooler_is_one_connect_and_a_refusal(
    server, app, kind, right, wrong, said
):
    passwords = {"postgres": server.password, "vendorsync_run": RUN_PASSWORD}
    with pooler(server, passwords, size=2, settings={"auth_type": kind}) as bouncer:
        good = bouncer.url(app.value("SELECT current_database()"), "vendorsync_run")
        with (
            closing(Database(good.replace(right, wrong), sleep=lambda _: None)) as database,
            pytest.raises(DatabaseRefusedError, match=said),
        ):
            database.read()
        psycopg.connect(good).close()
        ends = until(lambda: ends_of(bouncer), "the end of the good connection", every=0.02)

    assert len(ends) == 2


def ends_of(bouncer):
    """The lines about connections that ended, once a good one, which comes last, is among them."""
    ends = [line for line in bouncer.log if " closing because: " in line and " C-" in line]
    return ends if "client close request" in "".join(ends) else []


@pytest.mark.postgres
@pytest.mark.fault("D4")
def test_a_pooler_that_is_full_is_tried_again(server, app):
    passwords = {"postgres": server.password, "vendorsync_run": RUN_PASSWORD}
    with pooler(server, passwords, size=1, settings={"max_client_conn": 1}) as bouncer:
        url = bouncer.url(app.value("SELECT current_database()"), "vendorsync_run")
        pauses: list[float] = []
        with (
            psycopg.connect(url),
            closing(Database(url, sleep=pauses.append)) as database,
            pytest.raises(DatabaseUnavailableError, match="no more connections allowed"),
        ):
            database.read()

    assert len(pauses) == 2
