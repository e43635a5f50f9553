import io
import json
import logging

import pytest

from vendorsync_job import logs


@pytest.fixture
def lines():
    stream = io.StringIO()
    root = logging.getLogger()
    before = root.handlers[:], root.level

    def configure(*, text):
        logs.configure(text=text, stream=stream)
        return lambda: stream.getvalue().splitlines()

    yield configure
    root.handlers[:], _ = before
    root.setLevel(before[1])


@pytest.mark.requirement("R22")
def test_every_line_carries_the_context_of_the_run(lines):
    read = lines(text=False)

    run = logs.context(source="cron", requestId="r1", operation="sync-plants", orgId=3)
    with run, logs.context(vendorId=1, vendorName="Solarman Vendor 1"):
        logging.getLogger("a.b").info("listed", extra={"page": 2})
    logging.getLogger("a.b").info("outside")

    inside, outside = map(json.loads, read())
    assert inside["message"] == "listed"
    assert inside["source"] == "cron"
    assert (inside["requestId"], inside["operation"]) == ("r1", "sync-plants")
    assert (inside["orgId"], inside["vendorId"], inside["page"]) == (3, 1, 2)
    assert "orgId" not in outside


@pytest.mark.requirement("R22")
def test_the_text_format_is_that_of_the_former_system(lines):
    read = lines(text=True)

    with logs.context(source="cron", operation="sync-plants", vendorId=1, orgId=3):
        logging.getLogger("a").info("starting sync")

    head, rest = read()[0].split("] ", 1)
    assert head.endswith("Z")
    assert rest == "[CRON] [sync-plants] [INFO] [Vendor:1] [Org:3] starting sync"


def test_the_text_format_shows_lists_quoted_and_leaves_out_empty_ones(lines):
    read = lines(text=True)

    logging.getLogger("a").info("checked", extra={"names": ["Dach, Süd", "B\u202e"], "reasons": []})

    assert read()[0].endswith('[INFO] checked names=["Dach, Süd", "B\\u202e"]')


@pytest.mark.fault("S3")
@pytest.mark.parametrize("text", [True, False])
def test_hostile_text_stays_on_its_line_and_shows_no_escape_codes(lines, text):
    read = lines(text=text)

    logging.getLogger("a").warning("plant %s", "x\nERROR \x1b[31mred\u202e")

    assert len(read()) == 1
    assert not {"\x1b", "\u202e"} & set(read()[0])


def test_an_exception_is_part_of_its_line(lines):
    read = lines(text=False)

    try:
        int("boom")
    except ValueError:
        logging.getLogger("a").exception("failed")

    (line,) = map(json.loads, read())
    assert "ValueError: invalid literal" in line["exception"]
