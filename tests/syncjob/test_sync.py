from contextlib import contextmanager

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.syncjob.builders import page, plant, plants
from vendorsync_job.errors import InterruptedRunError, ThrottledError, VendorContractError
from vendorsync_job.listing import Listing
from vendorsync_job.models import Counts, Rejection
from vendorsync_job.sync import Progress, sync


class Sink:
    """Takes what is called new by its name, keeps the last of a key, and remembers its chunks."""

    def __init__(self):
        self.chunks = []
        self.renewals = 0
        self._waiting = {}

    @property
    def pending(self):
        return len(self._waiting)

    def renew(self):
        self.renewals += 1

    def take(self, records, rejected):
        new = [record for record in records if record.name != "known"]
        again = sum(record.vendor_plant_id in self._waiting for record in new)
        self._waiting |= {record.vendor_plant_id: record.name for record in new}
        return Counts(unchanged=len(records) - len(new), rejected=len(rejected), duplicate=again)

    def commit(self):
        self.chunks.append(list(self._waiting.values()))
        self._waiting = {}
        return Counts(created=len(self.chunks[-1]))


class Patience:
    """Asks the run to end at the n-th question."""

    def __init__(self, questions=1_000_000):
        self.left = questions

    def check(self):
        self.left -= 1
        if self.left < 0:
            raise InterruptedRunError("stop")

    @contextmanager
    def shield(self):
        yield


def run(pages, *, batch_size=3, stop=None):
    sink, progress = Sink(), Progress()
    listing = Listing(pages, key=lambda record: record.vendor_plant_id)
    sync(listing, sink, progress, batch_size=batch_size, stop=stop or Patience())
    return sink, progress, listing


def test_changes_of_many_pages_wait_until_there_are_enough_of_them():
    sink, progress, _ = run([page(plant(number)) for number in range(7)])

    assert [len(chunk) for chunk in sink.chunks] == [3, 3, 1]
    assert progress.complete


def test_records_that_are_known_do_not_wait():
    sink, progress, _ = run([page(*plants(4, name="known")), page(plant(9))])

    assert sink.chunks == [["Plant 9"]]
    assert progress.counts == Counts(created=1, unchanged=4)


@pytest.mark.fault("D7")
def test_the_lease_is_looked_after_with_each_page_though_no_chunk_is_full():
    sink, _, _ = run([page(plant(number)) for number in range(4)], batch_size=9)

    assert (len(sink.chunks), sink.renewals) == (1, 4)


@pytest.mark.fault("V3")
def test_what_came_before_an_error_of_the_vendor_is_written():
    def pages():
        yield page(plant(1))
        raise VendorContractError("nonsense")

    sink, progress = Sink(), Progress()
    listing = Listing(pages(), key=lambda record: record.vendor_plant_id)
    with pytest.raises(VendorContractError):
        sync(listing, sink, progress, batch_size=9, stop=Patience())

    assert sink.chunks == [["Plant 1"]]
    assert (progress.counts, progress.complete) == (Counts(created=1), False)


def test_an_empty_account_writes_nothing_and_is_complete():
    sink, progress, _ = run([page()])

    assert sink.chunks == [[]]
    assert progress.complete


def test_the_counts_of_an_earlier_listing_are_counted_on():
    progress = Progress(Counts(created=5, duplicate=1))
    twice = page(plant(1), plant(1, name="renamed"))
    listing = Listing([twice], key=lambda record: record.vendor_plant_id)
    sync(listing, Sink(), progress, batch_size=3, stop=Patience())

    assert progress.counts == Counts(created=6, duplicate=2)


@pytest.mark.fault("V6")
def test_of_two_records_with_one_key_in_a_chunk_the_last_one_is_written():
    sink, progress, _ = run([page(plant(1, name="old"), plant(2)), page(plant(1, name="new"))])

    assert sink.chunks == [["new", "Plant 2"]]
    assert progress.counts == Counts(created=2, duplicate=1)


@pytest.mark.fault("V3")
def test_what_came_before_a_throttle_is_written_and_the_listing_is_incomplete():
    def pages():
        yield page(*plants(4))
        raise ThrottledError("slow down")

    sink, progress, _ = run(pages())

    assert sum(map(len, sink.chunks)) == 4
    assert not progress.complete
    assert isinstance(progress.error, ThrottledError)


@pytest.mark.fault("K1")
def test_a_wish_to_stop_ends_the_run_between_two_chunks():
    stop = Patience(questions=4)

    with pytest.raises(InterruptedRunError):
        run([page(plant(number)) for number in range(9)], batch_size=2, stop=stop)


records = st.lists(
    st.tuples(st.integers(1, 6), st.sampled_from(["a", "b", "known"]), st.booleans()), max_size=8
)


@pytest.mark.fault("H4")
@given(listed=st.lists(records, max_size=5), batch_size=st.integers(1, 9))
def test_the_counts_add_up_to_what_the_vendor_listed(listed, batch_size):
    pages = [
        page(
            # A page like an earlier one would be refused as repeated.
            plant(f"only on page {number}"),
            *(plant(key, name=name) for key, name, good in part if good),
            rejected=[Rejection(None, "bad", {}) for *_, good in part if not good],
        )
        for number, part in enumerate(listed)
    ]

    _, progress, listing = run(pages, batch_size=batch_size)

    assert progress.counts.total == sum(map(len, listed)) + len(listed) == listing.rows
