"""What is taken from a row, what is read from it, and that a change of the latter is told."""

from hashlib import sha256

import pytest
from msgspec.structs import asdict

from tests.vendors.clouds import CLOUDS
from tests.vendors.test_solarman import ROW as SOLARMAN_ROW
from tests.vendors.test_sungrow import ROW as SUNGROW_ROW
from vendorsync_job import normalise
from vendorsync_job.models import Plant, Read, Rejection
from vendorsync_job.normalise import UnfitError, name, text
from vendorsync_job.store.rows import MAPPING_VERSION
from vendorsync_job.vendors import load, solarman, sungrow
from vendorsync_job.vendors.pages import RowReader
from vendorsync_job.vendors.solarman import PLANT as SOLARMAN_PLANT
from vendorsync_job.vendors.sungrow import PLANT as SUNGROW_PLANT


def plant(row):
    return Plant(row["id"], name(row.get("name")), address=text(row.get("address"), "address", 5))


READER = RowReader(plant, "id", "name", "address")


@pytest.mark.parametrize("key", [7, " 7 "])
def test_the_fields_are_the_key_as_text_and_the_values_in_order(key):
    row = {"address": "Pune", "power": 4.2, "id": key, "name": "Roof"}

    assert READER.fields(row) == ("7", "Roof", "Pune")


def test_a_field_that_is_left_out_is_one_without_a_value():
    assert READER.fields({"id": 7, "address": "Pune"}) == ("7", None, "Pune")


@pytest.mark.parametrize("row", [{}, {"id": None}, {"id": True}, {"id": ""}])
def test_a_row_without_a_good_id_has_no_fields(row):
    with pytest.raises(UnfitError, match="id"):
        READER.fields({**row, "name": "Roof"})


@pytest.mark.parametrize("names", [("id",), ("id", "name")])
def test_a_reader_of_few_names_gives_the_fields_alike(names):
    reader = RowReader(plant, *names)

    assert reader.fields({"id": 7, "name": "Roof", "power": 1}) == ("7", "Roof")[: len(names)]


def test_a_record_is_read_from_its_fields():
    assert READER(("7", "Roof", None)) == Read(Plant("7", "Roof"))


def test_a_value_that_is_unfit_is_left_out_with_its_reason():
    assert READER(("7", "Roof", "Mumbai")) == Read(
        Plant("7", "Roof"), ("address is longer than 5 characters",)
    )


def test_a_record_that_cannot_do_without_a_value_is_rejected_with_the_first_reason():
    found = READER(("7", ["Roof"], "Mumbai"))

    assert found == Rejection(
        "7", "name is a list, not a text", {"id": "7", "name": ["Roof"], "address": "Mumbai"}
    )


ODD = [
    None, "", "--", " x ", "5,5", 0, -28800, 1e9, 91.5, 1, 3, [1], 1_700_000_000, 20240401093000,
    *({"unit": unit, "value": 2} for unit in ("Wp", "kW", "MWp", "GWp", "kVA", "")),
    *("NORMAL", "PARTIAL_OFFLINE", "ALL_OFFLINE", "OFFLINE", "x" * 70, "x" * 1001),
    *("Asia/Kolkata", "PRC", "GMT+5:30", "UTC-03:00", "America/Argentina/ComodRivadavia"),
]  # fmt: skip
READERS = {"solarman": (SOLARMAN_PLANT, SOLARMAN_ROW), "sungrow": (SUNGROW_PLANT, SUNGROW_ROW)}
WORDS = {
    "solarman": {"status": solarman.STATUS.meanings},
    "sungrow": {"types": sungrow.TYPES, "fault": sungrow.FAULT},
}
"""Tables that a reader looks into, whose entries no row here may hold."""
READ_AS = {"solarman": (1, "9abb7f44f505"), "sungrow": (1, "4b0f44de774b")}
"""By adapter: the version of its reader, and the beginning of a digest of what that reads."""
NORMALISED_AS = (3, "f108e598c457")
"""The same of the constants by which all readers go, with MAPPING_VERSION."""


def digest(value):
    return sha256(repr(value).encode()).hexdigest()[:12]


@pytest.mark.parametrize("vendor", sorted(READERS))
def test_whoever_changes_what_is_read_raises_the_version_of_the_reader(vendor):
    """Else plants whose fields stay would keep what was read from them before.

    If this fails, add one to the version, and write it down here with the new digest. If it was a
    change of `normalise`, see the next test instead.
    """
    reader, row = READERS[vendor]
    rows = [row, *({**row, field: odd} for field in row for odd in ODD)]

    read = [read_from(reader, each) for each in rows], WORDS[vendor]

    assert (reader.version, digest(read)) == READ_AS[vendor]


def test_whoever_changes_how_values_are_read_raises_the_version_of_the_mapping():
    """It is for adapters of others, too, whose readers keep their versions.

    If this fails, add one to MAPPING_VERSION, and write it down here with the new digest.
    """
    constants = {
        name: sorted(value) if isinstance(value, frozenset) else value
        for name, value in vars(normalise).items()
        if name.isupper() and name != "TYPE_CHECKING"
    }

    assert (MAPPING_VERSION, digest(constants)) == NORMALISED_AS


def read_from(reader, row):
    try:
        found = reader(reader.fields(row))
    except UnfitError:
        return None
    if isinstance(found, Rejection):
        return None
    return {name: value for name, value in asdict(found.record).items() if value is not None}


def test_every_built_in_vendor_has_a_row_here():
    ours = {name for name in CLOUDS if load(name).__module__.startswith("vendorsync_job.")}

    assert set(READERS) == ours
