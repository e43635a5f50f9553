"""Where a schedule comes from: vendor stream, spec stream, spec, environment, built in.

The environment speaks the names of the system that this one replaces.
"""

from typing import Any

import pytest

from tests.controller.build import resource, vendor
from vendorsync_api.schedule import Timetable, Window
from vendorsync_operator.settings import Settings, SettingsError
from vendorsync_operator.spec import resolve

OLD_NAMES = {
    "PLANT_SYNC_CRON_SCHEDULE": "*/20 * * * *",
    "SYNC_WINDOW_START": "20:00",
    "SYNC_WINDOW_END": "05:30",
    "VENDORSYNC_TIME_ZONE": "Asia/Dubai",
}
LEVELS = ("built in", "environment", "spec", "stream", "vendor")


def resolved(declared, environment, stream="plants"):
    defaults = Settings.from_env(environment).schedule
    found = resolve.assignments(declared, defaults)
    assignment = next(each for each in found if each.stream == stream)
    return resolve.timetable(declared, assignment, defaults)


def declared(level: str, fields: dict[str, Any]):
    """A resource whose levels up to this one declare their part, and the environment's."""
    said = {name: fields[name] for name in LEVELS[2 : LEVELS.index(level) + 1]}
    return resource(
        schedule=said.get("spec", {}),
        streams={"plants": {"schedule": said.get("stream", {})}},
        vendors=[vendor(streams={"plants": {"schedule": said.get("vendor", {})}})],
    )


def environment(level: str) -> dict[str, str]:
    return {} if level == "built in" else OLD_NAMES


def window(hour: int) -> dict[str, str]:
    return {"start": f"{hour}:00", "end": f"{hour + 1}:00"}


@pytest.mark.requirement("R18")
@pytest.mark.requirement("C03")
@pytest.mark.parametrize(
    ("level", "ticks"),
    [
        ("built in", (15, None)),
        ("environment", (None, "*/20 * * * *")),
        ("spec", (30, None)),
        ("stream", (None, "7 * * * *")),
        ("vendor", (120, None)),
    ],
)
def test_interval_or_cron_comes_from_the_nearest_level_that_says_either(level, ticks):
    fields = {
        "spec": {"intervalMinutes": 30},
        "stream": {"cron": "7 * * * *"},
        "vendor": {"intervalMinutes": 120},
    }

    found = resolved(declared(level, fields), environment(level))

    assert (found.interval, found.cron) == ticks


@pytest.mark.requirement("R18")
@pytest.mark.requirement("C03")
@pytest.mark.parametrize(
    ("level", "zone"),
    [
        ("built in", "Asia/Kolkata"),
        ("environment", "Asia/Dubai"),
        ("spec", "UTC"),
        ("stream", "Europe/Paris"),
        ("vendor", "America/New_York"),
    ],
)
def test_the_time_zone_comes_from_the_nearest_level_that_says_it(level, zone):
    fields = {
        "spec": {"timeZone": "UTC"},
        "stream": {"timeZone": "Europe/Paris"},
        "vendor": {"timeZone": "America/New_York"},
    }

    assert resolved(declared(level, fields), environment(level)).time_zone == zone


@pytest.mark.requirement("R18")
@pytest.mark.requirement("R16")
@pytest.mark.parametrize(
    ("level", "windows"),
    [
        ("built in", (Window(19 * 60, 6 * 60),)),
        ("environment", (Window(20 * 60, 5 * 60 + 30),)),
        ("spec", (Window(10 * 60, 11 * 60),)),
        ("stream", ()),
        ("vendor", (Window(12 * 60, 13 * 60), Window(14 * 60, 15 * 60))),
    ],
)
def test_the_windows_come_from_the_nearest_level_that_says_them_and_none_are_said_too(
    level, windows
):
    fields = {
        "spec": {"restrictedWindows": [window(10)]},
        "stream": {"restrictedWindows": []},
        "vendor": {"restrictedWindows": [window(12), window(14)]},
    }

    assert resolved(declared(level, fields), environment(level)).windows == windows


@pytest.mark.requirement("R18")
@pytest.mark.requirement("R16")
def test_an_operator_without_restricted_hours_leaves_them_to_each_resource():
    none = {"SYNC_WINDOW_START": "none", "SYNC_WINDOW_END": "none"}
    said = resource(schedule={"restrictedWindows": [window(10)]})

    assert resolved(resource(), none).windows == ()
    assert resolved(said, none).windows == (Window(600, 660),)


@pytest.mark.requirement("C03")
@pytest.mark.parametrize(
    ("level", "is_spread"), [("built in", False), ("spec", True), ("stream", False)]
)
def test_the_spread_comes_from_the_nearest_level_that_says_it(level, is_spread):
    fields = {"spec": {"spread": "Hashed"}, "stream": {"spread": "Aligned"}}

    assert bool(resolved(declared(level, fields), {}).offset) is is_spread


@pytest.mark.requirement("R18")
@pytest.mark.requirement("R15")
def test_what_each_level_leaves_out_comes_from_the_one_behind_it():
    fields = {
        "spec": {"timeZone": "Europe/Paris"},
        "stream": {"restrictedWindows": [window(10)]},
        "vendor": {"intervalMinutes": 60},
    }

    found = resolved(declared("vendor", fields), OLD_NAMES)

    assert found == Timetable("Europe/Paris", interval=60, windows=(Window(600, 660),))


@pytest.mark.requirement("R18")
@pytest.mark.requirement("R14")
@pytest.mark.parametrize(("switch", "rests"), [("false", True), ("true", False), ("", False)])
def test_the_old_switch_rests_every_scheduled_run(switch, rests):
    defaults = Settings.from_env({"ENABLE_PLANT_SYNC_CRON": switch}).schedule

    (found,) = resolve.assignments(resource(), defaults)

    assert (found.suspend, found.wanted) == (rests, True)


@pytest.mark.requirement("R18")
@pytest.mark.requirement("R26")
def test_alerts_have_a_clock_of_their_own_beside_the_environments():
    said = resource(streams={"alerts": {"schedule": {"intervalMinutes": 5}}})

    assert resolved(said, OLD_NAMES, "alerts").interval == 5
    assert resolved(said, OLD_NAMES).cron == "*/20 * * * *"


@pytest.mark.requirement("R18")
@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("PLANT_SYNC_CRON_SCHEDULE", "*/20 * * *", r"'\*/20 \* \* \*' has 4 fields"),
        ("SYNC_WINDOW_START", "7pm", "'7pm' is not HH:MM"),
        ("SYNC_WINDOW_END", "19:00", "starts and ends at 19:00"),
        ("SYNC_WINDOW_END", "none", "'none'; write none in both"),
        ("VENDORSYNC_TIME_ZONE", "IST-5:30", "'IST-5:30' is not in the IANA database"),
        ("ENABLE_PLANT_SYNC_CRON", "perhaps", "'perhaps'; write true or false"),
    ],
)
def test_an_environment_that_means_nothing_stops_the_operator_with_the_value(name, value, sentence):
    with pytest.raises(SettingsError, match=sentence):
        Settings.from_env({name: value})


@pytest.mark.requirement("R14")
@pytest.mark.requirement("R13")
def test_a_suspended_vendor_or_stream_rests_alone():
    said = resource(
        vendors=[vendor("alpha", suspend=True), vendor("beta")],
        streams={"plants": {}, "alerts": {"suspend": True}},
    )

    found = resolve.assignments(said, Settings.from_env({}).schedule)

    assert {str(each) for each in found if not each.suspend} == {"beta/plants"}


@pytest.mark.requirement("R14")
def test_a_suspended_organization_rests_whole_and_keeps_its_schedule():
    said = resource(suspend=True, vendors=[vendor("alpha"), vendor("beta")], streams={"alerts": {}})
    found = resolve.assignments(said, Settings.from_env({}).schedule)

    assert all(each.suspend and each.wanted for each in found)
    assert resolved(said, {}) == resolved(resource(), {})


@pytest.mark.promise("P8")
def test_vendors_of_one_kind_start_one_after_the_other_and_those_of_two_kinds_together():
    said = resource(
        schedule={"spread": "Hashed", "intervalMinutes": 30},
        vendors=[vendor("beta"), vendor("alpha"), vendor("gamma", adapter="narrow")],
    )
    defaults = Settings.from_env({}).schedule

    alpha, beta, gamma = (
        resolve.timetable(said, each, defaults).offset
        for each in resolve.assignments(said, defaults)
    )

    assert beta == (alpha + 1) % 30
    assert gamma == alpha
