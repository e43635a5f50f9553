"""The loop: pages in, changes out, counts; no input or output of its own."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from msgspec import Struct, field
from msgspec.structs import replace

from vendorsync_job.errors import VendorError
from vendorsync_job.logs import log_dropped
from vendorsync_job.models import Counts

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from contextlib import AbstractContextManager

    from vendorsync_job.errors import SyncError
    from vendorsync_job.models import Page, Rejection

Record = TypeVar("Record")
Record_co = TypeVar("Record_co", covariant=True)
Record_contra = TypeVar("Record_contra", contravariant=True)

log = logging.getLogger(__name__)


class Pages(Protocol[Record_co]):
    """One listing, or several as one; the facts hold once the iteration has ended."""

    @property
    def duplicates(self) -> int:
        """Records dropped so far because they had been listed before."""

    @property
    def complete(self) -> bool:
        """Nothing is missing."""

    @property
    def error(self) -> SyncError | None:
        """Why the vendor stopped answering in the middle."""

    @property
    def share_spent(self) -> bool:
        """Whether it ended early because its share of the calls was used, as is expected of it."""

    @property
    def doubt(self) -> str:
        """Why a record that was not listed may be there all the same; empty for no doubt."""

    @property
    def tells_absent(self) -> bool:
        """Whether a record that was not listed is not there."""

    def has(self, key: str) -> bool:
        """Tell whether the record was listed, if `tells_absent` may ever be true."""

    def __iter__(self) -> Iterator[Page[Record_co]]: ...


class Sink(Protocol[Record_contra]):
    """Takes the records of a listing, and writes those that differ when it is told to."""

    @property
    def pending(self) -> int:
        """Changes that wait for a commit."""

    def take(self, records: Sequence[Record_contra], rejected: Sequence[Rejection]) -> Counts:
        """Sort records out, without writing, and count those that are settled by that."""

    def commit(self) -> Counts:
        """Settle all that was taken, in one transaction, and count it."""

    def renew(self) -> None:
        """Keep the right to write while the vendor takes its time; called with each page."""


def _told(page: Page[Any], settled: Counts) -> Counts:
    """Count the values that records of a page do without; the first is logged."""
    if not settled.values_dropped:
        log_dropped(log, page.dropped[0])
    return Counts(values_dropped=len(page.dropped))


class Interruption(Protocol):
    """Tells when the run has to end, and keeps that away from a chunk in hand."""

    def check(self) -> None:
        """Raise if the run has to end."""

    def shield(self) -> AbstractContextManager[None]:
        """Keep the end away from the block."""


class Progress(Struct):
    """How far a run came; its report can be made from it at any moment."""

    counts: Counts = field(default_factory=Counts)
    complete: bool = False
    """Every page was read, so absent records are known to be absent."""
    error: SyncError | None = None
    """Why the vendor stopped answering in the middle of the listing."""


def sync(
    listing: Pages[Record],
    sink: Sink[Record],
    progress: Progress,
    *,
    batch_size: int,
    stop: Interruption,
) -> None:
    """Hand all records of a listing to the sink, which commits once `batch_size` changes wait.

    Memory holds one page and the changes that wait. Of records with one key the last one wins; the
    others are duplicates, or were written before it came. `progress` counts on from what it has.
    """
    before = progress.counts

    def commit() -> None:
        stop.check()
        with stop.shield():
            settle(sink.commit())
        log.info("%s records done", progress.counts.total)

    settled = Counts()

    def settle(counts: Counts) -> None:
        nonlocal settled
        settled = settled + counts
        progress.counts = before + replace(
            settled, duplicate=settled.duplicate + listing.duplicates
        )

    try:
        for page in listing:
            stop.check()
            sink.renew()
            settle(sink.take(page.records, page.rejected))
            if page.dropped:
                settle(_told(page, settled))
            if sink.pending >= batch_size:
                commit()
    except VendorError:
        # What the vendor said until then is good, and the calls are spent.
        commit()
        raise
    commit()
    progress.complete, progress.error = listing.complete, listing.error
