"""Tokens in the old system's columns: read with suspicion, written only when asked to."""

from __future__ import annotations

from datetime import timedelta

import psycopg
import pytest

from tests.syncjob.builders import NOON, account, ciphers
from vendorsync_api.run import LegacyTokens
from vendorsync_job.errors import ConfigurationError, CredentialsRejectedError, SyncError
from vendorsync_job.models import Token
from vendorsync_job.store.account_tokens import AccountTokens, TokenSettings
from vendorsync_job.store.connection import Database
from vendorsync_job.store.legacy import LegacyColumns

pytestmark = [pytest.mark.postgres, pytest.mark.requirement("R34")]
READ, WRITE, IGNORE = LegacyTokens.READ, LegacyTokens.READ_WRITE, LegacyTokens.IGNORE
LATER = "2026-03-02 15:00:00+00"
# Ends in 2100 and in 1970.
LIVING_JWT = "eyJhbGciOiJub25lIn0.eyJleHAiOjQxMDI0NDQ4MDB9.c2ln"
DEAD_JWT = "eyJhbGciOiJub25lIn0.eyJleHAiOjF9.c2ln"


def login():
    return Token("new", NOON + timedelta(hours=2), NOON, metadata={"uid": 7})


@pytest.fixture
def tokens(app):
    app.add_vendor()
    opened = []

    def make(mode=READ, *, of=None, vendor_id=1, now=NOON, **options):
        database = Database(app.run_url, organization_id=3, sleep=lambda _: None)
        opened.append(database)
        legacy = LegacyColumns(mode, "public", vendor_id)
        return AccountTokens(
            database,
            of or account(),
            ciphers(),
            TokenSettings(legacy=legacy, **options),
            clock=lambda: now,
        )

    yield make
    for database in opened:
        database.close()


def store(app, token, expires_at=LATER, metadata="{}"):
    with psycopg.connect(app.owner_url) as connection:
        connection.execute(
            "UPDATE vendors SET access_token = %s, token_expires_at = %s, token_metadata = %s",
            [token, expires_at, metadata],
        )


def columns(app):
    return app.rows("SELECT access_token, token_expires_at, token_metadata FROM vendors")[0]


@pytest.mark.requirement("R02")
def test_a_token_of_the_old_system_is_used_without_a_login(app, tokens):
    store(app, "old", metadata='{"uid": 5}')

    got = tokens().current()

    assert (got.value, got.metadata, got.generation) == ("old", {"uid": 5}, 0)
    assert got.expires_at == NOON + timedelta(hours=3)
    assert tokens(IGNORE).current() is None
    assert tokens(vendor_id=None).current() is None


def test_a_fresh_token_of_our_own_comes_first(app, tokens):
    store(app, "old")
    tokens(IGNORE).refresh(None, login)

    assert tokens().current().value == "new"
    assert tokens(now=NOON + timedelta(hours=2)).current().value == "old"


def test_a_token_of_the_old_system_that_is_refused_is_replaced_by_a_login(app, tokens):
    store(app, "old")
    ours = tokens()
    old = ours.current()

    ours.refused(old)
    got = ours.refresh(old, login)

    assert (got.value, got.generation) == ("new", 1)
    assert tokens().current() == got
    assert app.value("SELECT stolen_at = '{}' FROM vendorsync.accounts")


@pytest.mark.fault("T7")
def test_a_token_that_the_old_system_took_is_borrowed_in_place_of_a_login(app, tokens):
    ours = tokens()
    first = ours.refresh(None, login)
    store(app, "theirs")

    ours.refused(first)
    got = ours.refresh(first, lambda: pytest.fail("a login would take it away again"))

    assert got.value == "theirs"


def test_a_token_that_outdated_credentials_brought_is_not_used(app, tokens):
    tokens().refresh(None, login)
    store(app, "old")

    assert tokens(of=account(b"g" * 32)).current() is None


def test_blocked_credentials_stay_blocked(app, tokens):
    def refused():
        raise CredentialsRejectedError("no")

    with pytest.raises(CredentialsRejectedError):
        tokens().refresh(None, refused)
    store(app, "old")
    with pytest.raises(CredentialsRejectedError):
        tokens().check()


@pytest.mark.requirement("R03")
@pytest.mark.parametrize(
    ("token", "expires_at", "used"),
    [
        pytest.param("old", "2026-03-02 12:04:59+00", False, id="within the buffer"),
        pytest.param("old", "2026-03-02 12:06+00", True, id="just beyond the buffer"),
        pytest.param("old", None, False, id="no end known"),
        pytest.param(LIVING_JWT, None, False, id="a JWT that says it lives 74 years"),
        pytest.param(LIVING_JWT, LATER, True, id="what the column says comes first"),
        pytest.param(LIVING_JWT, "2026-03-02 11:00+00", False, id="even if it is over"),
        pytest.param(DEAD_JWT, None, False, id="a JWT that is over"),
        pytest.param("old", "infinity", False, id="without end"),
        pytest.param("old", "-infinity", False, id="never"),
        pytest.param("old", "9999-12-31 00:00+00", False, id="beyond all sense"),
    ],
)
def test_its_end_must_be_known_and_ahead(app, tokens, token, expires_at, used):
    store(app, token, expires_at)

    got = tokens().current()

    assert (got is not None) is used


def test_the_end_of_a_jwt_counts_where_the_column_is_empty(app, tokens):
    store(app, LIVING_JWT, None)
    end = NOON.replace(year=2099)

    assert tokens(now=end).current().value == LIVING_JWT


@pytest.mark.fault("T9")
@pytest.mark.parametrize(
    "token",
    [
        "",
        " ",
        "two words",
        "line\r\nX-Injected: 1",
        "tab\there",
        "nö",
        "\u202e\u0007",
        "x" * 16_385,
        "x" * 10_000_000,
    ],
    ids=lambda text: repr(text[:12]) + str(len(text)),
)
def test_what_cannot_be_a_token_counts_as_none(app, tokens, token):
    store(app, token)

    assert tokens().current() is None
    assert tokens().refresh(None, login).value == "new"


@pytest.mark.fault("T9")
@pytest.mark.parametrize("metadata", ["null", "[1]", '"text"', "7", '{"a": {"b": 1}}', None])
def test_strange_metadata_does_not_harm_the_token(app, tokens, metadata):
    store(app, "old", metadata=metadata)

    got = tokens().current()

    assert got.value == "old"
    assert got.metadata == ({"a": {"b": 1}} if metadata and metadata[0] == "{" else {})


@pytest.mark.fault("T9")
def test_old_columns_of_other_types_are_read_as_well(app, tokens):
    app.do(
        "ALTER TABLE vendors ALTER access_token TYPE varchar(40), ALTER token_expires_at TYPE"
        " timestamp USING NULL, ALTER token_metadata TYPE text"
    )
    store(app, "old", "2026-03-02 15:00:00", "{broken")

    got = tokens().current()
    assert got.value == "old"
    assert got.expires_at == NOON + timedelta(hours=3)


@pytest.mark.fault("S2")
def test_the_old_token_is_made_known_to_the_logs_and_never_logged(app, tokens, caplog):
    heard: list[str] = []
    store(app, "old-secret")
    tokens(on_token=heard.append).current()
    store(app, "old secret with blanks")
    tokens().current()

    assert heard == ["old-secret"]
    assert "old secret" not in caplog.text
    assert "holds no token" in caplog.text


def test_reading_leaves_the_columns_alone(app, tokens):
    tokens(READ).refresh(None, login)

    assert columns(app) == (None, None, None)


def test_a_login_is_written_for_the_old_system_as_plain_text(app, tokens):
    tokens(WRITE).refresh(None, login)

    assert columns(app) == ("new", NOON + timedelta(hours=2), {"uid": 7})
    assert app.value("SELECT token FROM vendorsync.accounts").startswith("v1:k1:")


def test_both_places_are_written_in_one_transaction(app, tokens):
    app.do(
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql"
        " AS $$BEGIN RAISE EXCEPTION USING ERRCODE = 'check_violation'; END$$",
        "CREATE CONSTRAINT TRIGGER late AFTER UPDATE ON vendors DEFERRABLE INITIALLY DEFERRED"
        " FOR EACH ROW EXECUTE FUNCTION refuse()",
    )
    with pytest.raises(SyncError):
        tokens(WRITE).refresh(None, login)

    assert columns(app) == (None, None, None)
    assert tokens(IGNORE).current() is None


@pytest.mark.fault("D9")
def test_a_table_that_refuses_the_old_columns_does_not_cost_the_login(app, tokens, caplog):
    app.do("ALTER TABLE vendors ADD CHECK (access_token <> 'new')")

    assert tokens(WRITE).refresh(None, login).value == "new"
    assert tokens(IGNORE).current().value == "new"
    assert "could not be written" in caplog.text


@pytest.mark.fault("S5")
def test_another_organizations_row_is_neither_read_nor_written(app, tokens):
    app.add_vendor(2, 4)
    store(app, "theirs")

    assert tokens(vendor_id=2).current() is None
    tokens(WRITE, vendor_id=2).refresh(None, login)
    assert app.value("SELECT access_token FROM vendors WHERE id = 2") == "theirs"


def check(app, mode):
    with app.transaction(read_only=True) as cursor:
        LegacyColumns(mode, "public", 1).check(cursor)


@pytest.mark.fault("D9")
def test_missing_columns_are_named_together(app):
    app.do(
        "ALTER TABLE vendors DROP access_token, DROP token_metadata, DROP token_expires_at,"
        " ADD token_expires_at bigint"
    )

    with pytest.raises(ConfigurationError) as caught:
        check(app, READ)
    assert str(caught.value) == (
        "legacyTokens is Read, and schema public lacks vendors.access_token,"
        " vendors.token_expires_at of a fitting type (it is bigint), vendors.token_metadata;"
        " add the columns or set legacyTokens to Ignore"
    )
    check(app, IGNORE)


def test_writing_plain_text_is_warned_of_at_each_start(app, caplog):
    check(app, READ)
    check(app, IGNORE)
    assert not caplog.records
    check(app, WRITE)
    check(app, WRITE)

    assert [record.levelname for record in caplog.records] == ["WARNING"] * 2
    assert "plain text" in caplog.text
