from dataclasses import replace

import pytest

from tests.controller.build import resource, vendor
from vendorsync_api.schedule import ScheduleError, Window
from vendorsync_operator.settings import ScheduleDefaults
from vendorsync_operator.spec import resolve

BUILT_IN = ScheduleDefaults()


def only(declared, defaults=BUILT_IN, stream="plants"):
    return next(a for a in resolve.assignments(declared, defaults) if a.stream == stream)


def timetable(declared, defaults=BUILT_IN, stream="plants"):
    return resolve.timetable(declared, only(declared, defaults, stream), defaults)


@pytest.mark.requirement("R15")
@pytest.mark.requirement("R16")
def test_a_resource_that_says_nothing_runs_every_quarter_of_an_hour_by_day_in_ist():
    found = timetable(resource())

    assert (found.interval, found.time_zone, found.offset) == (15, "Asia/Kolkata", 0)
    assert found.windows == (Window(19 * 60, 6 * 60),)


@pytest.mark.requirement("R18")
def test_the_operators_settings_stand_in_for_what_the_resource_leaves_out():
    defaults = ScheduleDefaults(
        interval=None, cron="5 * * * *", time_zone="UTC", window=Window(60, 120)
    )

    found = timetable(resource(), defaults)

    assert (found.interval, found.cron, found.time_zone) == (None, "5 * * * *", "UTC")
    assert found.windows == (Window(60, 120),)


@pytest.mark.requirement("C03")
def test_each_field_comes_from_the_nearest_schedule_that_has_it():
    declared = resource(
        schedule={"intervalMinutes": 30, "timeZone": "UTC", "restrictedWindows": []},
        streams={"plants": {"schedule": {"timeZone": "Europe/Paris", "intervalMinutes": 20}}},
        vendors=[vendor(streams={"plants": {"schedule": {"intervalMinutes": 60}}})],
    )

    found = timetable(declared)

    assert (found.interval, found.time_zone, found.windows) == (60, "Europe/Paris", ())


def test_a_nearer_cron_replaces_a_farther_interval():
    declared = resource(
        schedule={"intervalMinutes": 30},
        vendors=[vendor(streams={"plants": {"schedule": {"cron": "7 * * * *"}}})],
    )

    found = timetable(declared)

    assert (found.interval, found.cron) == (None, "7 * * * *")


def test_alerts_run_only_if_declared_and_on_a_clock_of_their_own():
    silent = resource()
    declared = resource(
        streams={"alerts": {"schedule": {"intervalMinutes": 60, "restrictedWindows": []}}}
    )

    assert [a.stream for a in resolve.assignments(silent, BUILT_IN)] == ["plants"]
    assert timetable(declared, stream="alerts").interval == 60
    assert timetable(declared).interval == 15


def test_hashed_spread_moves_the_ticks_of_a_resource_by_less_than_the_interval():
    offsets = {
        timetable(resource(f"org-{n}", schedule={"spread": "Hashed"})).offset for n in range(50)
    }

    assert len(offsets) > 5
    assert all(0 <= offset < 15 for offset in offsets)


def test_hashed_spread_leaves_a_cron_expression_alone():
    found = timetable(resource(schedule={"spread": "Hashed", "cron": "0 * * * *"}))

    assert (found.offset, found.cron) == (0, "0 * * * *")


def test_a_window_keeps_the_days_on_which_it_starts():
    window = {"start": "10:00", "end": "11:00", "days": ["Sat", "Sun"]}

    found = timetable(resource(schedule={"restrictedWindows": [window]}))

    assert found.windows == (Window(600, 660, frozenset({0, 6})),)


def test_an_interval_that_does_not_tile_an_hour_is_refused_with_those_that_do():
    with pytest.raises(ScheduleError, match=r"45 is not one .* 30, 60"):
        timetable(resource(schedule={"intervalMinutes": 45}))


@pytest.mark.requirement("R14")
@pytest.mark.requirement("R13")
@pytest.mark.parametrize(
    ("declared", "defaults", "wanted"),
    [
        pytest.param(resource(suspend=True), BUILT_IN, True, id="the organization"),
        pytest.param(resource(vendors=[vendor(suspend=True)]), BUILT_IN, False, id="the vendor"),
        pytest.param(
            resource(streams={"plants": {"suspend": True}}), BUILT_IN, False, id="the stream"
        ),
        pytest.param(resource(), replace(BUILT_IN, enabled=False), True, id="the operator"),
    ],
)
def test_scheduled_runs_rest_when_one_level_is_suspended(declared, defaults, wanted):
    found = only(declared, defaults)

    assert (found.suspend, found.wanted) == (True, wanted)


def test_vendors_and_streams_come_sorted():
    declared = resource(vendors=[vendor("zeta"), vendor("alpha")], streams={"alerts": {}})

    keys = [assignment.key for assignment in resolve.assignments(declared, BUILT_IN)]

    assert keys == sorted(keys)
    assert len(keys) == 4


def test_equal_schedules_are_worked_out_once():
    first, second = resource("acme"), resource("other")

    assert timetable(first) is timetable(second)
