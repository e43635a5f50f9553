"""What Helm refuses is what would end the operator, or have the API server refuse a pod."""

import re
from importlib.resources import files
from pathlib import Path
from zoneinfo import available_timezones

import pytest

from dev.plane import chart
from tests.packaging.conftest import CHART
from vendorsync_api.schedule import Cron, ScheduleError
from vendorsync_operator.settings import Settings

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(1200)]

ZONES = Path(str(files("tzdata"))) / "zoneinfo"


@pytest.fixture(autouse=True)
def _own_zones(monkeypatch):
    """Helm reads the same time zones as the operator, whatever this machine has."""
    monkeypatch.setenv("ZONEINFO", str(ZONES))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("images.pullPolicy", "sometimes"),
        ("images.operator.tag", "a b"),
        ("images.operator.tag", 1.5),
        ("images.operator.tag", 0),
        ("defaults.windowStart", "7pm"),
        ("defaults.windowEnd", "24:00"),
        ("defaults.timeZone", ""),
        ("concurrencyLimit", 0),
        ("operator.replicas", 0),
        ("operator.runAsUser", 0),
        ("operator.runAsUser", "root"),
        ("runs.runAsUser", 2**31),
        ("migration.runAsUser", 1.5),
        ("operator.podLabels", {"a": "b c"}),
        ("operator.podLabels", {"a": True}),
        ("migration.podAnnotations", {"a b": "c"}),
        ("runs.podAnnotations", {"sidecar.istio.io/inject": False}),
        ("batchSize", 1),
        ("allowedEndpoints", [{"adapter": "solarman", "origin": "http://a.test"}]),
        ("watch.namespace", ["solar"]),
        ("watch.namespaces", ["Solar,wind"]),
        ("migration.secretName", "My Secret"),
        ("instance", "a/b"),
        ("run", {}),
    ],
)
def test_a_bad_value_is_refused_by_name(template, key, value):
    answer = template(**{key.replace(".", "__"): value})

    assert answer.returncode != 0
    assert re.search(key.rsplit(".", 1)[-1], answer.stderr)


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        pytest.param(
            {"defaults__windowEnd": "19:00"},
            'defaults.windowStart and defaults.windowEnd are both "19:00"; make the window end'
            " later, or leave both empty for no restricted hours.",
            id="equal ends",
        ),
        pytest.param(
            {"defaults__windowStart": ""},
            'defaults.windowStart is "" and defaults.windowEnd is "06:00"; give both, or leave both'
            " empty for no restricted hours.",
            id="one end",
        ),
        pytest.param(
            {"defaults__cron": "@hourly"},
            'defaults.cron is "@hourly" with 1 fields; write minute, hour, day of month, month and'
            " day of week.",
            id="cron of one word",
        ),
        pytest.param(
            {"defaults__cron": "0 24 * * *"},
            'defaults.cron is "0 24 * * *", and its hour "24" is not a star, a value or a range'
            " from 0 to 23, with or without a step.",
            id="hour",
        ),
        pytest.param(
            {"defaults__cron": "0 0 * * fri-mon"},
            'defaults.cron is "0 0 * * fri-mon", and its day of week "fri-mon" ends before it'
            " starts.",
            id="backwards",
        ),
        pytest.param(
            {"defaults__timeZone": "IST"},
            'defaults.timeZone is "IST", which is no time zone of the IANA database; write for'
            " example Asia/Kolkata, Europe/Berlin or UTC.",
            id="zone",
        ),
        pytest.param(
            {"operator__podLabels": {"app.kubernetes.io/name": "x"}},
            "operator.podLabels sets app.kubernetes.io/name, which the chart sets itself; use"
            " another key.",
            id="label of the selector",
        ),
        pytest.param(
            {"migration__podLabels": {"app.kubernetes.io/component": "x"}},
            "migration.podLabels sets app.kubernetes.io/component, which the chart sets itself; use"
            " another key.",
            id="label of the migration",
        ),
        pytest.param(
            {"runs__podLabels": {"vendorsync.dev/vendor": "x"}},
            "runs.podLabels sets vendorsync.dev/vendor, which VendorSync or Kubernetes sets itself;"
            " use another key.",
            id="label of ours",
        ),
        pytest.param(
            {"images__operator__tag": 7},
            "images.operator.tag is the number 7, and a values file cannot tell 7 from 7.0; put the"
            " tag in quotes.",
            id="tag",
        ),
    ],
)
def test_what_a_schema_cannot_say_is_refused_in_one_sentence(refuse, values, sentence):
    assert sentence in refuse(**values)


@pytest.mark.parametrize(
    "key",
    [
        "batch.kubernetes.io/job-name",
        "job-name",
        "app.kubernetes.io/managed-by",
        "a.vendorsync.dev/x",
    ],
)
@pytest.mark.parametrize("name", ["podLabels", "podAnnotations"])
def test_keys_that_the_operator_refuses_are_refused_by_helm(refuse, key, name):
    assert f"runs.{name} sets {key}," in refuse(**{f"runs__{name}": {key: "x"}})


CRONS = [
    "*/15 * * * *",
    "  0   6-18/2 1,15 * MON-fri ",
    "0,30 0-23 ? JAN,jun-DEC ?",
    "59 23 31 12 6",
    "08 09 010 * *",
    "5/10 * * * *",
    "*/59 * * * *",
    "0 0 * * 0-6",
    "*/0 * * * *",
    "*/60 * * * *",
    "60 * * * *",
    "0060 * * * *",
    "* * 0 * *",
    "* * 32 * *",
    "* * * 13 *",
    "* * * * 7",
    "* * * * sund",
    "* * * mon *",
    "jan * * * *",
    "30-15 * * * *",
    "* * * dec-jan *",
    "1,,2 * * * *",
    "1- * * * *",
    "1-2-3 * * * *",
    "*/5/5 * * * *",
    "-1 * * * *",
    "*-5 * * * *",
    "L * * * *",
    "TZ=UTC * * * *",
    "* * * * * *",
    "\u0665 * * * *",
]


def parses(text):
    try:
        return bool(Cron.parse(text))
    except ScheduleError:
        return False


@pytest.mark.parametrize("text", CRONS)
def test_helm_takes_the_crons_that_the_operator_takes_and_no_other(template, text):
    answer = template(defaults__cron=text)

    assert (answer.returncode == 0) == parses(text), answer.stderr
    if answer.returncode:
        assert text.strip() in answer.stderr or ascii(text.strip())[1:-1] in answer.stderr


def test_some_of_the_crons_are_good_and_some_are_not():
    assert {parses(text) for text in CRONS} == {True, False}


def test_every_zone_of_the_database_has_the_form_that_the_chart_asks_for():
    text = (CHART / "templates" / "_checks.tpl").read_text()
    (pattern,) = re.findall(r'define "vendorsync.zones" -}}\n(.*)\n', text)

    odd = {name for name in available_timezones() if not re.fullmatch(pattern, name)}

    assert odd <= {"Factory", "localtime"}


@pytest.mark.parametrize(
    "zone",
    ["UTC", "Etc/UTC", "Zulu", "Etc/GMT+12", "GMT", "America/Argentina/Ushuaia", "Asia/Kolkata"],
)
def test_a_zone_of_the_database_is_taken(render, zone):
    documents = render(defaults__timeZone=zone)

    found = Settings.from_env(chart.environment(documents, "pod"))
    assert found.schedule.time_zone == zone


@pytest.mark.parametrize(
    "zone",
    ["IST", "asia/kolkata", "Asia/Kolkatta", "Asia", "GMT+5:30", "Local", "localtime", "Factory",
     "posixrules", "right/UTC", "posix/UTC", "Asia/../UTC", "Mars/Base"],
)  # fmt: skip
def test_what_is_no_zone_is_refused(refuse, zone):
    assert f'defaults.timeZone is "{zone}"' in refuse(defaults__timeZone=zone)
