import json

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vendorsync_job.store.quarantine import without_personal_data


def test_numbers_codes_and_types_are_kept():
    record = {"id": 7, "stationId": "A-7", "capacityUnit": "kW", "gridInterconnectionType": None}

    assert without_personal_data(record) == record


def test_names_addresses_places_and_phones_are_not():
    record = {
        "name": "Sharma House",
        "locationAddress": "12 Hill Road",
        "locationLat": 18.52,
        "ownerPhone": 9890000000,
        "contact": {"email": "a@example.test"},
    }

    shown = json.dumps(without_personal_data(record))

    for text in ("Sharma", "Hill", "18.52", "9890000000", "example"):
        assert text not in shown
    assert "text of 12 characters" in shown


@pytest.mark.fault("S2")
def test_whatever_belongs_to_a_person_is_not_even_kept_as_a_number_or_a_code():
    record = {
        "ownerName": "sim-person",
        "contactNumber": 9890000000,
        "installer": {"e_mail": "sim-person"},
        "userType": "sim-person",
        "mobile_tel": 9890000000,
        "total": 5,
    }

    shown = without_personal_data(record)

    assert "sim-person" not in str(shown)
    assert "9890000000" not in str(shown)
    assert shown["total"] == 5


def test_a_record_of_endless_fields_is_cut():
    shown = without_personal_data({f"{'x' * 500}{number}": 1 for number in range(5000)} | {"id": 7})

    assert len(orjson.dumps(shown)) < 20_000


json_values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text()),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.text(), json_values, max_size=5))
def test_any_record_can_be_kept_as_json(row):
    assert b"\\u0000" not in orjson.dumps(without_personal_data(row))


def test_what_no_column_could_hold_is_described():
    shown = without_personal_data(
        {"capacity": float("inf"), "id": 10**400, "type": "a\0b\ud800", "power": float("nan")}
    )

    assert shown["capacity"] == shown["id"] == shown["power"] == "number out of range"
    assert shown["type"] == "a\\0b?"
