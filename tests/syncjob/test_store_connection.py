from contextlib import closing

import psycopg
import pytest

from vendorsync_job.errors import (
    ConfigurationError,
    DatabaseRefusedError,
    DatabaseUnavailableError,
    SchemaMismatchError,
    SyncError,
)
from vendorsync_job.store.connection import (
    Database,
    LockTimeoutError,
    Timeouts,
    translate,
)
from vendorsync_job.store.exchange import Statement
from vendorsync_job.store.url import passwords


def connect(url):
    database = Database(url, sleep=lambda _: None)
    try:
        return database.retrying(lambda cursor: cursor.execute("SELECT 1").fetchone())
    finally:
        database.close()


@pytest.mark.fault("S2")
@pytest.mark.parametrize(
    "url", ["postgresql://u:pass word@db/app", "nonsense", "postgresql:///app", ""]
)
def test_a_url_that_cannot_be_used_is_refused_and_not_shown(url):
    with pytest.raises(ConfigurationError, match="write postgresql://user:password@host") as caught:
        Database(url)
    assert "pass word" not in str(caught.value)


@pytest.mark.fault("S2")
@pytest.mark.parametrize(
    "url",
    [
        "postgresql://u:hun/ter2@db/app",
        "postgresql://u:12/ter2@db/app",
        "postgresql://u:hun@ter2@db/app",
        "postgresql://u:hun@ter/2@db:5432/app",
        "postgresql://u:hun#ter2@@db/app",
        "postgresql://hun/ter2@db/app",
        "postgresql://u:pw@db:hunter2/app",
        "host=u@db dbname=app password=hunter2",
        "host=db port=hunter2",
    ],
)
def test_a_password_that_tears_the_url_is_refused_and_not_shown(url):
    with pytest.raises(ConfigurationError, match="special characters percent-encoded") as caught:
        Database(url)
    assert not any(part in str(caught.value) for part in ("hun", "ter2", "ter/"))


@pytest.mark.parametrize(
    ("url", "where"),
    [
        ("postgresql://u:p%40ss%2Fw%23@db:6543/app", "db:6543/app"),
        ("postgresql://u:p#w?x=y@db/app?application_name=a@b", "db:5432/app"),
        ("postgresql://u:p@one:1,two:2/app", "one,two:1,2/app"),
        ("postgresql://u@db/app", "db:5432/app"),
        ("host=db port=6543 dbname=app user=u password=p@ss/w#", "db:6543/app"),
        ("host=db user=u dbname=a@b password='p w'", "db:5432/a@b"),
    ],
)
def test_every_form_that_is_clear_is_taken(url, where):
    assert Database(url).where == where


@pytest.mark.fault("S2")
@pytest.mark.parametrize(
    "url",
    [
        "postgresql://u:hun#ter?2@db/app",
        "postgresql://u:hun%23ter%3F2@db/app",
        "postgresql://db/app?user=u&password=hun%23ter%3F2",
        "host=db dbname=d user=u password=hun#ter?2",
    ],
)
def test_the_password_is_known_to_the_redactor_in_every_form(url):
    assert passwords(url) == ["hun#ter?2"]


@pytest.mark.parametrize(
    ("state", "kind"),
    [
        ("55P03", LockTimeoutError),
        ("55006", DatabaseUnavailableError),
        ("55000", SyncError),
        ("55P02", SyncError),
        ("57P01", DatabaseUnavailableError),
    ],
)
def test_of_the_states_of_objects_only_those_that_pass_are_transient(state, kind):
    assert type(translate(psycopg.errors.lookup(state)(), "db/app")) is kind


@pytest.mark.fault("D1")
@pytest.mark.fault("S2")
def test_an_unreachable_database_is_one_sentence_without_the_password():
    with pytest.raises(DatabaseUnavailableError) as caught:
        connect("postgresql://u:hunter2@127.0.0.1:1/app")

    assert str(caught.value) == ("database 127.0.0.1:1/app cannot be reached: Connection refused")


@pytest.mark.postgres
@pytest.mark.fault("S2")
def test_a_wrong_password_is_a_refusal(app):
    with pytest.raises(DatabaseRefusedError) as caught:
        connect(app.run_url.replace("run%3Apass", "hunter2"))

    assert "password authentication failed" in str(caught.value)
    assert "hunter2" not in str(caught.value)


@pytest.mark.postgres
def test_a_database_that_does_not_exist_is_a_refusal(app):
    with pytest.raises(DatabaseRefusedError, match="does not exist"):
        connect(app.run_url + "_gone")


@pytest.mark.postgres
@pytest.mark.fault("S2")
@pytest.mark.parametrize(
    ("statement", "kind"),
    [
        ("SELECT * FROM public.nowhere", SchemaMismatchError),
        ("SELECT nothing FROM public.plants", SchemaMismatchError),
        ("CREATE TABLE public.x ()", DatabaseRefusedError),
        ("SELECT pg_terminate_backend(pg_backend_pid())", DatabaseUnavailableError),
        ("SELECT 'hunter2'::int", SyncError),
    ],
)
def test_errors_of_the_server_say_what_they_mean_and_show_no_values(app, statement, kind):
    with pytest.raises(kind) as caught, app.transaction() as cursor:
        cursor.execute(statement)

    assert type(caught.value) is kind
    assert "hunter2" not in str(caught.value)
    assert not isinstance(caught.value, psycopg.Error)


@pytest.mark.postgres
def test_a_wait_for_a_lock_is_bounded(app):
    with app.connect() as other, other.transaction():
        other.execute("LOCK TABLE public.plants")
        impatient = app.transaction(timeouts=Timeouts(lock=0.05))
        with pytest.raises(LockTimeoutError), impatient as cursor:
            cursor.execute("SELECT FROM public.plants")


@pytest.mark.postgres
def test_text_goes_in_as_utf_8_whatever_the_url_says(app):
    with closing(Database(f"{app.run_url}?client_encoding=latin1")) as database:
        statement = Statement("SELECT %(text)s || '', length(%(text)s)", {"text": "Zürich"})
        ((row,),) = database.read(statement)

    assert row == ("Zürich", 6)


@pytest.mark.postgres
def test_nothing_outlives_a_transaction(app):
    with app.database() as database:
        with database.transaction() as cursor:
            backend = cursor.connection
        rows = backend.execute(
            "SELECT current_setting('statement_timeout'), current_setting('search_path'),"
            " current_setting('vendorsync.organization_id'),"
            " (SELECT count(*) FROM pg_prepared_statements),"
            " (SELECT count(*) FROM pg_locks WHERE locktype = 'advisory')"
        ).fetchall()

    assert rows == [("0", '"$user", public', "", 0, 0)]


@pytest.mark.postgres
def test_a_dry_run_cannot_write(app):
    with pytest.raises(DatabaseUnavailableError), app.transaction(read_only=True) as cursor:
        cursor.execute("INSERT INTO public.organizations (id, name) VALUES (3, 'O')")
