"""What becomes of the values that vendors send."""

from __future__ import annotations

import math
import unicodedata
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from vendorsync_job import normalise
from vendorsync_job.normalise import UnfitError
from vendorsync_job.vendors import pages

KOLKATA = ZoneInfo("Asia/Kolkata")


@pytest.mark.parametrize(
    ("value", "unit", "expected"),
    [
        ("250.5", "kWp", "250.500"),
        ("0.2505", "MWp", "250.500"),
        ("250500", "Wp", "250.500"),
        ("0.0002505", "GWp", "250.500"),
        (98.4, "kWp", "98.400"),
        (5, "kW", "5.000"),
        (5500, "W", "5.500"),
        ("1e2", "kWp", "100.000"),
        (0, "kWp", "0.000"),
        ("0.0004", "kWp", "0.000"),
    ],
)
@pytest.mark.requirement("R07")
def test_a_capacity_is_the_same_in_any_unit(value, unit, expected):
    assert str(normalise.capacity_kw(value, unit)) == expected


@pytest.mark.parametrize("value", [None, "", "--", "-", " ", "null", "N/A"])
def test_a_capacity_that_is_not_given_is_none(value):
    assert normalise.capacity_kw(value, "") is None


@pytest.mark.fault("V13")
@pytest.mark.parametrize(
    ("value", "unit", "words"),
    [
        ("5,5", "kWp", "'5,5' is not a number"),
        ("5,5 kW", "kWp", "is not a number"),
        ("1,234.5", "kWp", "is not a number"),
        ("5 kW", "kWp", "is not a number"),
        (True, "kWp", "is true or false, not a number"),
        ([5], "kWp", "is a list, not a number"),
        (math.inf, "kWp", "is not a number"),
        (math.nan, "kWp", "is not a number"),
        ("NaN", "kWp", "is not a number"),
        ("1_000", "kWp", "is not a number"),
        ("\u0665", "kWp", "is not a number"),
        (10**400, "kWp", "is not a number"),
        ("9" * 5000, "kWp", "is not a number"),
        ("1e99", "kWp", "out of range"),
        (-1, "kWp", "out of range"),
        (1_000_000, "MWp", "out of range"),
        (5, "kVA", "has the unit 'kVA'"),
        (5, None, "has the unit 'None'"),
    ],
)
def test_a_capacity_that_cannot_be_is_refused_with_the_reason(value, unit, words):
    with pytest.raises(UnfitError, match=words):
        normalise.capacity_kw(value, unit)


@pytest.mark.parametrize(
    ("latitude", "longitude", "expected"),
    [
        (18.52, 73.85, ("18.520000", "73.850000")),
        ("18.52", "73.85", ("18.520000", "73.850000")),
        (-33.9, -70.1, ("-33.900000", "-70.100000")),
        (0, 0, ("None", "None")),
        (0.0, 12.5, ("0.000000", "12.500000")),
        (None, 73.85, ("None", "None")),
        (18.52, "--", ("None", "None")),
        (1e-9, 12.5, ("0.000000", "12.500000")),
    ],
    ids=repr,
)
def test_a_position_is_whole_or_none(latitude, longitude, expected):
    assert tuple(map(str, normalise.position(latitude, longitude))) == expected


@pytest.mark.parametrize("pair", [(91, 0), (-90.1, 5), (5, 181), ("x", 5), (5, {})])
def test_a_position_off_the_earth_is_refused(pair):
    with pytest.raises(UnfitError, match=r"latitude|longitude"):
        normalise.position(*pair)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("Asia/Kolkata", "Asia/Kolkata"),
        (" Asia/Kolkata ", "Asia/Kolkata"),
        ("America/Argentina/Buenos_Aires", "America/Argentina/Buenos_Aires"),
        ("PRC", "PRC"),
        ("GMT+5:30", "UTC+05:30"),
        ("GMT+8", "UTC+08:00"),
        ("GMT-2", "UTC-02:00"),
        ("UTC+05:30", "UTC+05:30"),
        ("(UTC+05:30)", "UTC+05:30"),
        ("UTC+0530", "UTC+05:30"),
        ("UTC", "UTC"),
        (5.5, "UTC+05:30"),
        ("5.5", "UTC+05:30"),
        (-3, "UTC-03:00"),
        (None, None),
        ("", None),
        (True, None),
        ({}, None),
        ("Asia/Beijing", None),
        ("GMT+15", None),
        ("GMT+5:99", None),
        (99, None),
        ("../../etc/passwd", None),
        ("/etc/passwd", None),
        ("Asia", None),
        ("localtime", None),
        ("x" * 100, None),
        ("\0", None),
    ],
    ids=repr,
)
def test_a_time_zone_is_one_that_exists_or_none(value, expected):
    assert normalise.time_zone(value) == expected


def test_a_zone_with_an_offset_reckons_as_the_named_one():
    moment = datetime(2026, 2, 2, 12, tzinfo=UTC)

    offset = moment.astimezone(normalise.zone("UTC+05:30"))
    assert offset.replace(tzinfo=None) == moment.astimezone(KOLKATA).replace(tzinfo=None)
    assert normalise.zone("Asia/Kolkata") == KOLKATA
    assert moment.astimezone(normalise.zone("UTC-02:00")).hour == 10


@pytest.mark.parametrize(
    "value",
    [1770001445, 1770001445.0, 1770001445.9, "1770001445", 1770001445000, "1770001445123"],
    ids=repr,
)
def test_a_unix_time_is_the_same_in_every_form(value):
    found = normalise.unix_time(value, "at")

    assert found == datetime(2026, 2, 2, 3, 4, 5, tzinfo=UTC)


@pytest.mark.parametrize("value", [None, 0, "0", "", "--"], ids=repr)
def test_a_unix_time_of_zero_is_none(value):
    assert normalise.unix_time(value, "at") is None


@pytest.mark.parametrize("value", [-1, 1, 9e10, 10**14, 1e99, "soon", True, math.inf])
def test_a_unix_time_out_of_our_age_is_refused(value):
    with pytest.raises(UnfitError, match="at "):
        normalise.unix_time(value, "at")


@pytest.mark.parametrize(
    "value",
    [20240401093000, "20240401093000", "2024-04-01 09:30:00", "2024-04-01T09:30:00",
     "2024-04-01 09:30", "202404010930"],
    ids=repr,
)  # fmt: skip
def test_a_local_time_is_read_on_the_plants_clock(value):
    found = normalise.local_time(value, KOLKATA, "at")

    assert found == datetime(2024, 4, 1, 4, 0, tzinfo=UTC)
    assert found.tzinfo is UTC


def test_a_day_alone_begins_at_the_plants_midnight():
    found = normalise.local_time("2024-04-01", KOLKATA, "at")

    assert found == datetime(2024, 3, 31, 18, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "where"), [(None, KOLKATA), ("--", KOLKATA), ("2024-04-01", None)]
)
def test_a_local_time_without_value_or_zone_is_none(value, where):
    assert normalise.local_time(value, where, "at") is None


@pytest.mark.parametrize(
    "value", ["2024-13-01 00:00:00", "2024-02-30", "yesterday", "1850-01-01", "9999-12-31", 5, {}]
)
def test_a_local_time_that_cannot_be_is_refused(value):
    with pytest.raises(UnfitError, match="at "):
        normalise.local_time(value, KOLKATA, "at")


@pytest.mark.parametrize(
    ("value", "expected"), [(900001, "900001"), ("900001", "900001"), (" a ", "a")], ids=repr
)
def test_an_id_is_the_same_text_whether_number_or_text(value, expected):
    assert normalise.identifier(value) == expected


@pytest.mark.parametrize(
    "value", [None, "", " ", True, 1.5, {}, "a\0b", "a\nb", "\ud800", "x" * 129]
)
def test_an_id_that_cannot_name_a_row_is_refused(value):
    with pytest.raises(UnfitError, match=r"^id "):
        normalise.identifier(value)


@pytest.mark.fault("S3")
@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("  Sim Roof  ", "Sim Roof"),
        ("Sim\nRoof\t1", "Sim Roof 1"),
        ("Sim\0Roof", "Sim Roof"),
        ("\x1b[31mRoof", "[31mRoof"),
        ("Sim\ud800Roof", "SimRoof"),
        ("abc\u202edcba", "abcdcba"),
        ("सूर्य क्‍ष", "सूर्य क्‍ष"),
        ("Roof\u2028two", "Roof two"),
        ("<b>Roof</b>", "<b>Roof</b>"),
    ],
)
def test_a_name_keeps_its_letters_and_loses_what_steers_a_terminal(value, expected):
    assert normalise.name(value) == expected


@pytest.mark.parametrize("value", [None, "", "\0", True, [], "x" * 256])
def test_a_name_that_is_none_is_refused(value):
    with pytest.raises(UnfitError, match=r"^name "):
        normalise.name(value)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("token 0a1b2c3d-1111-2222-3333-444444444444 lost", "token # lost"),
        ("at 2026-02-02T03:04:05Z for 300001 calls", "at # for # calls"),
        ("request 0a1b2c3d4e5f6a7b", "request #"),
        ("wrong password, 4 left", "wrong password, 4 left"),
        ('auth failed:{"error":"invalid_grant"}', 'auth failed:{"error":"invalid_grant"}'),
        (None, ""),
    ],
)
def test_a_vendors_words_do_not_change_from_run_to_run(value, expected):
    assert normalise.vendor_words(value) == expected


def test_a_vendors_words_are_bounded():
    assert len(normalise.vendor_words("word " * 100_000)) == 200


def read(row):
    return (normalise.identifier(row.get("id")), normalise.name(row.get("name")))


def test_one_unfit_record_costs_only_itself():
    rows = [{"id": 1, "name": "A"}, {"id": 2}, "text", {"name": "B"}, {"id": "3", "name": "C"}]

    good, bad, dropped = pages.records(rows, read, key="id")

    assert dropped == ()
    assert good == (("1", "A"), ("3", "C"))
    assert [(item.key, item.reason) for item in bad] == [
        ("2", "name is missing"),
        (None, "the record is not an object"),
        (None, "id is missing"),
    ]


def test_a_record_that_lacks_a_value_it_needs_is_rejected_for_what_was_found_first():
    def read_all(row):
        return (*read(row), normalise.text(row.get("note"), "note", 3))

    rows = [{"id": 1, "name": "A", "note": "long"}, {"id": 2, "note": "long"}]

    good, bad, dropped = pages.records(rows, read_all, key="id")

    assert good == (("1", "A", None),)
    assert dropped == ("note is longer than 3 characters",)
    assert [item.reason for item in bad] == ["name is missing"]


json_values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text()),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(json_values)
def test_no_value_brings_a_reader_down(value):
    readers = [
        lambda: normalise.capacity_kw(value, "kWp"),
        lambda: normalise.capacity_kw(5, value),
        lambda: normalise.position(value, 5),
        lambda: normalise.unix_time(value, "at"),
        lambda: normalise.local_time(value, KOLKATA, "at"),
        lambda: normalise.identifier(value),
        lambda: normalise.name(value),
    ]
    for reader in readers:
        try:
            reader()
        except UnfitError as error:
            assert len(str(error)) < 200  # noqa: PT017
    normalise.time_zone(value)
    normalise.whole(value)
    normalise.vendor_words(value)


@given(st.decimals(min_value=0, max_value=10**7, allow_nan=False, places=3))
def test_a_capacity_in_watts_comes_back_exactly(kilowatts):
    assert normalise.capacity_kw(f"{kilowatts * 1000:f}", "Wp") == kilowatts
    assert normalise.capacity_kw(f"{kilowatts / 1000:f}", "MWp") == kilowatts


@pytest.mark.parametrize(
    ("name", "offset"),
    [("UTC+04:00", 4), ("Asia/Kolkata", 5.5), (None, 1), ("Mars/Olympus", 1), ("", 1)],
)
def test_a_plant_without_a_zone_that_exists_goes_by_another_clock(name, offset):
    zone = normalise.plant_zone(name, "Europe/Berlin")

    assert datetime(2026, 2, 2, tzinfo=zone).utcoffset() == timedelta(hours=offset)


def test_a_time_that_must_be_there_is_named_when_it_is_not():
    with pytest.raises(normalise.UnfitError, match="create_time is missing"):
        normalise.moment(None, "create_time")


def outcome(read, *values):
    """Return what a reader makes of the values, or its reason to refuse them."""
    try:
        return repr(read(*values))
    except UnfitError as error:
        return str(error).replace("'", "")


def cleaned_by_the_rule(value):
    marks = "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\ufeff"
    kept = (
        " " if unicodedata.category(character) == "Cc" else character
        for character in value
        if unicodedata.category(character) != "Cs" and character not in marks
    )
    return " ".join("".join(kept).split())


awkward = st.sampled_from(" \t\n\0\x7f\x85\xa0\u2028\u200d\u202e\ufeff\ud800\udfffaक")


@given(st.text(st.characters() | awkward) | st.text("ab "))
def test_clean_text_goes_a_short_way_to_what_the_rule_makes_of_it(value):
    assert normalise.cleaned(value) == cleaned_by_the_rule(value)


@pytest.mark.slow
def test_every_character_is_kept_or_dropped_as_its_category_says():
    everything = "".join(map(chr, range(0x110000)))

    assert normalise.cleaned(everything) == cleaned_by_the_rule(everything)


short = st.decimals(-200, 200, places=7).map(float) | st.decimals(-200, 200, places=6).map(float)
numbers = st.floats() | st.floats(-200, 200) | short | st.integers()


@given(numbers, numbers)
@example(-0.0, 5.0)
@example(0.0, -0.0)
@example(0.0000005, 16.6587315)
@example(16.6587315, 16.6587315)
@example(90.0, 180.0)
@example(90.000001, 5.0)
@example(5.0, 180.000001)
def test_a_position_in_numbers_is_to_the_byte_the_one_in_texts(north, east):
    assert outcome(normalise.position, north, east) == outcome(
        normalise.position, str(north), str(east)
    )


@given(numbers | st.decimals(-1, 10**9, places=4).map(float) | st.integers(-1, 10**9))
@example(-0.0)
@example(0.0005)
@example(1e8)
def test_a_capacity_in_a_number_is_to_the_byte_the_one_in_a_text(kilowatts):
    assert outcome(normalise.capacity_kw, kilowatts, "kWp") == outcome(
        normalise.capacity_kw, str(kilowatts), "kWp"
    )


@given(st.floats() | st.floats(0, 1e10))
@example(86_400.0)
@example(86_399.999)
@example(4_102_444_800.0)
def test_a_unix_time_in_a_number_is_the_one_in_a_text(seconds):
    assert outcome(normalise.unix_time, seconds, "at") == outcome(
        normalise.unix_time, str(seconds), "at"
    )


digits = st.datetimes().map(lambda moment: int(f"{moment:%Y%m%d%H%M%S}"))


@given(digits | st.integers(10**11, 10**15))
@example(20240229235959)
@example(20240230000000)
@example(20240401240000)
@example(10**13 - 1)
@example(10**14)
def test_a_local_time_in_digits_is_the_one_in_a_text(value):
    assert outcome(normalise.local_time, value, KOLKATA, "at") == outcome(
        normalise.local_time, str(value), KOLKATA, "at"
    )


@given(st.integers() | st.integers(0, 10**19))
def test_an_id_in_a_number_is_the_one_in_a_text(value):
    assert outcome(normalise.identifier, value) == outcome(normalise.identifier, str(value))


@pytest.mark.parametrize("value", ["yesterday", 20240401093000, "2024-13-01"], ids=repr)
def test_a_local_time_is_not_even_looked_at_without_a_zone(value):
    assert normalise.local_time(value, None, "at") is None


def test_a_long_text_is_read_as_a_zone_but_not_remembered():
    assert normalise.time_zone(f"GMT{' ' * 100}+5:30") == "UTC+05:30"
    assert normalise._known_zone.cache_info().maxsize
    before = normalise._known_zone.cache_info().misses
    normalise.time_zone("Asia/" + "x" * 100)
    assert normalise._known_zone.cache_info().misses == before
