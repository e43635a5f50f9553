"""What is said of connection strings that cannot be used, and which can."""

import base64

import pytest

from vendorsync_job.errors import ConfigurationError
from vendorsync_job.store.url import WANTED, parameters, passwords

GOOD = "postgresql://u:hunter2@db/app"


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


UNKNOWN = "which PostgreSQL's own library does not know: remove it"
TORN = "has a port that is no number, or an @, /, ? or # in its password as it is"
FAULTS = {
    "": "is empty",
    "postgresql://user:hunter2@db:5432": "names no database",
    "host=db user=user password=hunter2": "names no database",
    f"'{GOOD}'": "stands in quotes: remove them",
    f"\u201c{GOOD}\u201d": "stands in quotes: remove them",
    f'{GOOD}"': "has a quote at its end: remove it",
    f"DATABASE_URL={GOOD}": "has DATABASE_URL= in front: keep only what follows",
    f'export DATABASE_URL="{GOOD}"': "has DATABASE_URL= in front: keep only what follows",
    f"url: {GOOD}": "has url: in front: keep only what follows",
    f"\ufeff{GOOD}": "begins with a byte order mark (BOM): save the file without one",
    f"{GOOD}\u200b": "has an invisible character in it (U+200B): remove it",
    f"{GOOD}\nOTHER=1": "has a line break in it: write it on one line",
    f"psql '{GOOD}'": "is a command of psql: keep only the URL",
    f'{{"url": "{GOOD}"}}': "is a JSON or YAML text: keep only the URL",
    encoded(GOOD): (
        "is base64 of a URL, so it was encoded twice: under a Secret's `data` encode it once,"
        " under `stringData` not at all"
    ),
    "mysql://u:hunter2@db/app": "begins with mysql:// and not with postgresql://",
    "postgres+asyncpg://u:hunter2@db/app": (
        "begins with postgres+asyncpg:// and not with postgresql://"
    ),
    "jdbc:postgresql://db/app?user=u": "begins with jdbc:postgresql:// and not with postgresql://",
    "POSTGRESQL://u:hunter2@db/app": "begins with POSTGRESQL:// and not with postgresql://",
    "postgresql:/u:hunter2@db/app": (
        "does not begin with postgresql:// as it should: both slashes belong to it"
    ),
    "u:hunter2@db:5432/app": "does not begin with postgresql://",
    f"{GOOD}?pgbouncer=true": f"has a parameter pgbouncer, {UNKNOWN}",
    f"{GOOD}?sslmode=require&connection_limit=1": f"has a parameter connection_limit, {UNKNOWN}",
    f"{GOOD}?schema=public": f"has a parameter schema, {UNKNOWN}",
    f"{GOOD}?sslmode": "has a parameter sslmode that is not written name=value",
    f"{GOOD}&sslmode=require": "has an & before its first parameter, where a ? belongs",
    f"{GOOD}?sslmode=verify_full": (
        "has sslmode=verify_full, which is none of disable, allow, prefer, require, verify-ca,"
        " verify-full"
    ),
    f"{GOOD}?connect_timeout=10s": "has a connect_timeout that is no whole number",
    "host=db sslrootcrt=/ca password=hunter2": (
        "has an option sslrootcrt, which PostgreSQL's own library does not know: remove it"
    ),
    "Server=db;Database=app;Password=hunter2": (
        "is written in pairs with semicolons, as .NET has them"
    ),
    "postgresql://u:hunter2@db:99999/app": "has port 99999, and ports end at 65535",
    "postgresql://u:pw@db:hunter2/app": TORN,
    "postgresql://u:hun@ter2@db/app": TORN,
    "postgresql://u:hun/ter2@db/app": TORN,
    "postgresql://u/hun?ter2@db/app": "has an @, /, ? or # in its password as it is",
    "postgresql://u:hun%ter2@db/app": "has a % that stands for itself: it is written %25",
    "postgresql://u:hunter2%00@db/app": "has a %00 in it, which no part of it can hold",
    "postgresql://u:hun ter2@db/app": "has a blank in it: a blank is written %20",
    "postgresql://u:hunter2@[::1/app": (
        "has a [ or ] in its host and not the other one: IPv6 is written [::1]"
    ),
    "postgresql://u:hunter2@/app": "names no host",
    "postgresql://u:[YOUR-PASSWORD]@db/app": (
        "still has a placeholder where its password belongs: put the real one there"
    ),
    "postgresql://${DB_USER}:hunter2@db/app": (
        "still has a placeholder where its user belongs: put the real one there"
    ),
    "postgresql://u:hunter2@<host>/app": (
        "still has a placeholder where its host belongs: put the real one there"
    ),
    "nonsense": "is not a PostgreSQL connection string",
}


@pytest.mark.fault("S2")
@pytest.mark.parametrize(("text", "said"), FAULTS.items())
def test_each_usual_slip_has_a_sentence_of_its_own(text, said):
    with pytest.raises(ConfigurationError) as caught:
        parameters(text)

    assert str(caught.value) == f"the database URL {said}; {WANTED}"


@pytest.mark.fault("S2")
@pytest.mark.parametrize(
    "text",
    [
        *FAULTS,
        encoded("hunter2"),
        "host=db password=hun ter2=x",
        "host=db user=u password=hun ter2=x",
        "postgresql://u:p@hun?ter2=x@db/app",
        "hunter2",
        "hunter2://db/app",
        "postgresql://hunter2",
    ],
)
def test_no_sentence_shows_what_may_be_a_password(text):
    try:
        parameters(text)
    except ConfigurationError as error:
        said = str(error)
        assert not any(part in said for part in ("hun", "ter2", encoded("hunter2")[:6]))


@pytest.mark.parametrize(
    "text",
    [
        GOOD,
        f"  {GOOD}\r\n",
        "postgres://u:hunter2@db/app?ssl=true",
        "postgresql://u:hunter2@one:1,two:2/app?target_session_attrs=read-write",
        "postgresql://u:hunter2@[::1]:5432/app",
        "postgresql://db/app?user=u&password=hunter2&application_name=a@b",
        "host=db\ndbname=d\nuser=u\npassword=hunter2",
        "host=db dbname=d user=u password='hunter2'",
        "password=hunter2 dbname=d host=/var/run/postgresql",
        "host=db dbname=d password=hunter2 application_name='a b=c; d'",
        "host=db dbname=d password=hunter2 options='-c url=postgresql://x'",
    ],
)
def test_what_libpq_reads_is_taken_as_it_reads_it(text):
    assert passwords(text) == ["hunter2"]


def test_a_password_may_look_like_a_url_or_hold_any_sign():
    assert passwords("host=db dbname=d password=postgresql://x") == ["postgresql://x"]
    assert passwords("postgresql://u:%5Ba%5D%3C%24%7Bb%7D@db/app") == ["[a]<${b}"]
