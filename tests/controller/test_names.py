from hypothesis import given
from hypothesis import strategies as st

from vendorsync_operator.names import cron_job_name, request_job_name

RESOURCES = st.from_regex(r"[a-z0-9]([-a-z0-9.]{0,61}[a-z0-9])?", fullmatch=True)
VENDORS = st.from_regex(r"[a-z][a-z0-9]{0,19}", fullmatch=True)


def test_a_short_name_says_resource_vendor_and_stream():
    assert cron_job_name("acme", "solarman", "plants") == "acme-solarman-plants"


@given(RESOURCES, VENDORS)
def test_a_name_leaves_room_for_what_the_controllers_add(resource, vendor):
    name = cron_job_name(resource, vendor, "plants")

    assert len(name) <= 52
    assert name.endswith(f"-{vendor}-plants")
    assert name[0].isalnum()
    assert len(request_job_name(name, "again")) <= 63


def test_long_names_that_differ_in_the_cut_part_stay_apart():
    start = "a" * 50

    assert cron_job_name(f"{start}-b", "x", "plants") != cron_job_name(f"{start}-c", "x", "plants")


def test_a_cut_never_ends_in_a_dot_or_dash_before_the_hash():
    name = cron_job_name("a" * 20 + "." * 40, "solarman", "plants")

    assert ".-" not in name


def test_a_requested_job_is_not_named_like_a_scheduled_one():
    ending = request_job_name("acme-solarman-plants", "now").removeprefix("acme-solarman-plants-")

    assert not ending.isdigit()


def test_one_request_gives_one_job_name_and_another_request_another():
    name = request_job_name("acme-solarman-plants", "now")

    assert name == request_job_name("acme-solarman-plants", "now")
    assert name != request_job_name("acme-solarman-plants", "then")


def test_a_request_that_comes_back_after_another_one_is_a_new_one():
    first = request_job_name("acme-solarman-plants", "a")

    assert request_job_name("acme-solarman-plants", "a", last="b") != first
