"""S2 and S3: planted secrets are found nowhere, and a vendor's texts do no harm."""

import base64
import json
import unicodedata
from hashlib import sha256
from urllib.parse import quote

import pytest
from psycopg import sql

from dev.simulators import SolarmanAccount, SungrowAccount
from tests.syncjob.builders import RUN_PASSWORD
from tests.syncjob.jobs import LIST, LOGIN, NORTH, PLANTS, WEST
from vendorsync_job.logs import JOINERS

pytestmark = pytest.mark.postgres

ACCOUNTS: dict[str, SolarmanAccount | SungrowAccount] = {"solarman": NORTH, "sungrow": WEST}
LOGINS = {"solarman": LOGIN, "sungrow": "/openapi/login"}
CODES = {
    "solarman": {"credentials": "2101025", "throttle": "2101002"},
    "sungrow": {"credentials": "E912", "throttle": "E901"},
}
NOT_SECRET = {"email", "userAccount"}
HOSTILE = "\x1b[31mred\x1b[0m\r\nERROR forged \u202ednal\u2066\u2069\x07 <script>x</script> [a](b)"


def planted(account) -> list[str]:
    """Every secret of an account and of the database, in each form in which it may travel."""
    secrets = [RUN_PASSWORD] + [
        value for name, value in account.secret.items() if name not in NOT_SECRET
    ]
    return [form for secret in secrets for form in forms(secret)]


def forms(secret):
    yield secret
    yield quote(secret, safe="")
    yield base64.b64encode(secret.encode()).decode().rstrip("=")
    yield sha256(secret.encode()).hexdigest()


def left_behind(job, *runs) -> str:
    """All that runs left where people or programs look: logs, reports, tables of our own."""
    tables = job.app.rows(
        "SELECT tablename FROM pg_tables WHERE schemaname = 'vendorsync' ORDER BY 1"
    )
    dumps = [
        job.app.rows(sql.SQL("SELECT t::text FROM vendorsync.{} t").format(sql.Identifier(name)))
        for (name,) in tables
    ]
    return "\n".join(
        [run.output for run in runs] + [json.dumps(run.report) for run in runs] + [str(dumps)]
    )


def found(account, text) -> list[str]:
    return [secret for secret in planted(account) if secret in text]


@pytest.mark.fault("S2")
@pytest.mark.parametrize("adapter", ACCOUNTS)
def test_a_good_run_leaves_no_secret(job, adapter):
    account = ACCOUNTS[adapter]
    ended = job.lay_out(account).run()

    assert ended.code == 0
    assert found(account, left_behind(job, ended)) == []


@pytest.mark.fault("S2")
@pytest.mark.parametrize("form", range(4), ids=["plain", "quoted", "base64", "hashed"])
@pytest.mark.parametrize(
    ("adapter", "refusal"),
    [("solarman", "credentials"), ("sungrow", "throttle")],
)
def test_a_vendor_that_sends_our_secrets_back_in_an_error_shows_them_to_nobody(
    job, clouds, adapter, form, refusal
):
    account = ACCOUNTS[adapter]
    echo = " ".join(list(forms(value))[form] for value in account.secret.values())
    code = CODES[adapter][refusal]
    clouds.fault("error", path=LOGINS[adapter], code=code, message=echo)

    first = job.lay_out(account).run("--text-logs")
    second = job.run()

    assert first.code == second.code != 0
    assert f"code {code} (" in first.report["message"]
    assert found(account, left_behind(job, first, second)) == []


@pytest.mark.fault("S2")
def test_a_token_is_as_secret_as_the_password(job, clouds):
    job.run()
    clouds.fault("login_page", path=LIST, page=2)
    tokens = []
    vendor = clouds.vendors["solarman"]
    original = vendor.answer

    def noting(request):
        tokens.append(request.headers.get("authorization", "").removeprefix("bearer "))
        return original(request)

    vendor.answer = noting
    ended = job.run()

    assert ended.reason == (65, "VendorContractBroken")
    assert all(len(token) > 20 for token in tokens)
    shown = left_behind(job, ended)
    assert tokens
    assert not any(token in shown for token in tokens)


@pytest.mark.fault("S2")
def test_secrets_in_a_row_that_the_database_refuses_stay_there(job, clouds):
    """PostgreSQL quotes the row in DETAIL, and a trigger of the application may say anything."""
    secret = NORTH.password
    clouds.fault("name_suffix", path=LIST, text=f" {secret}")
    job.app.do("ALTER TABLE plants ADD CONSTRAINT odd CHECK (vendor_plant_id NOT LIKE '%7')")
    try:
        ended = job.run()
    finally:
        job.app.do("ALTER TABLE plants DROP CONSTRAINT odd")

    assert ended.report["rejected"] > 0
    assert found(NORTH, left_behind(job, ended)) == []


@pytest.mark.fault("S2")
@pytest.mark.parametrize("state", ["P0001", "40001", "42P01", "28000"])
def test_an_error_of_the_database_that_tells_secrets_is_cleaned(job, state):
    job.app.do(
        "CREATE FUNCTION public.tell() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
        f" RAISE EXCEPTION USING errcode = '{state}', message = 'told {RUN_PASSWORD}"
        f" {NORTH.password}', detail = 'more {NORTH.app_secret}', hint = '{NORTH.password}';"
        " END $$",
        "CREATE TRIGGER tell BEFORE INSERT ON plants FOR EACH ROW EXECUTE FUNCTION tell()",
    )
    try:
        ended = job.run()
    finally:
        job.app.do("DROP FUNCTION public.tell() CASCADE")

    assert ended.report["created"] == 0
    assert found(NORTH, left_behind(job, ended)) == []


@pytest.mark.fault("S2")
@pytest.mark.parametrize("place", ["password", "database"])
def test_a_connection_string_shows_its_password_in_no_place(job, place):
    secret = "hun#ter2-is-long"
    urls = {
        "password": f"postgresql://u:{quote(secret)}@127.0.0.1:1/app",
        "database": f"host=127.0.0.1 port=1 user=u password={secret} dbname={secret}",
    }
    (job.root / "database" / "url").write_text(urls[place])

    ended = job.run()

    assert ended.code in (64, 69)
    shown = ended.output + json.dumps(ended.report)
    assert not any(form in shown for form in forms(secret))


def harmful(text: str) -> set[str]:
    """Characters that steer a terminal or turn the direction of writing."""
    return {
        letter
        for letter in text
        if unicodedata.category(letter) in ("Cc", "Cf", "Cs") and letter not in JOINERS + "\n"
    }


@pytest.mark.fault("S3")
@pytest.mark.parametrize("text", [True, False], ids=["text", "json"])
def test_a_hostile_refusal_is_one_harmless_line(job, clouds, text):
    clouds.fault("error", path=LIST, code="sim\x1b77", message=HOSTILE)

    ended = job.run(*["--text-logs"] * text)

    assert ended.reason == (65, "VendorRefused")
    message = ended.report["message"]
    assert harmful(message) == set()
    assert "\n" not in message
    assert harmful(ended.output) == set()
    starts = "[" if text else "{"
    assert all(line.startswith(starts) for line in ended.output.splitlines())
    assert "ERROR forged" not in [line[:12] for line in ended.output.splitlines()]


@pytest.mark.fault("S3")
def test_hostile_names_are_stored_clean_and_cost_no_row(job, clouds):
    clouds.fault("name_suffix", path=LIST, text=HOSTILE)

    ended = job.run("--text-logs")

    assert ended.counts == {"created": PLANTS}
    names = [name for (name,) in job.app.rows("SELECT name FROM plants")]
    assert not any(harmful(name) or "\n" in name for name in names)
    assert harmful(ended.output) == set()


@pytest.mark.fault("S3")
def test_hostile_values_that_are_dropped_are_counted_and_harmless(job, clouds):
    clouds.fault("capacity", path=LIST, value=HOSTILE)

    ended = job.run("--text-logs")

    assert ended.counts == {"created": PLANTS}
    assert ended.report["valuesDropped"] == PLANTS
    assert harmful(ended.output) == set()


@pytest.mark.fault("S3")
def test_hostile_values_of_rejected_rows_are_harmless_in_quarantine(job, clouds):
    clouds.fault("name_suffix", path=LIST, text=HOSTILE * 300)

    ended = job.run("--text-logs")

    assert ended.report["rejected"] == PLANTS
    kept = str(job.app.rows("SELECT key, reason FROM vendorsync.quarantine"))
    assert harmful(kept) == set()
    assert "\\x1b" not in kept
    assert harmful(ended.output) == set()
