import json

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


def test_what_no_column_could_hold_is_described():
    shown = without_personal_data(
        {"capacity": float("inf"), "id": 10**400, "type": "a\0b\ud800", "power": float("nan")}
    )

    assert shown["capacity"] == shown["id"] == shown["power"] == "number out of range"
    assert shown["type"] == "a\\0b?"
