"""What the pages of a listing add up to: every record once, an end, and whether it is whole."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, TypeVar

from msgspec.structs import replace

from vendorsync_job.errors import (
    ThrottledError,
    VendorContractError,
    VendorRefusedError,
    VendorUnavailableError,
)
from vendorsync_job.models import Page

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Iterator

Record = TypeVar("Record", bound="Hashable")

_digest = hash
"""64 bits under a key of this process: among a million keys, two alike are one in 37 million."""


class Listing(Generic[Record]):
    """The pages of one listing; iterate over it once, then read its attributes.

        plants = Listing(
            adapter.plants(session),
            key=lambda plant: plant.vendor_plant_id,
            page_size=adapter.policy.page_size,
        )
        for page in plants:
            write(page.records, page.rejected)
        finish(complete=plants.complete, because=plants.error, duplicates=plants.duplicates)

    The keys within a yielded page are unique. A record that its own page or the page before had
    just the same is dropped and counted in `duplicates`; that happens where pages shift while they
    are read. Any other key that comes again is yielded, before the rest of its page, and counts:
    whoever collects several pages before writing keeps the last record of a key that can be read
    and counts the other as a duplicate. So rows = records yielded + rejected + duplicates once a
    page is through.

    The listing ends with a page that says so or with the last record of the vendor's total,
    whichever comes first; a total that turns out too small is not believed. Since a total may count
    its page alone, one more page is asked for after a full one that holds the whole total. If that
    one is empty, came before or is refused, there was none.

    When the vendor stops answering after the first page (throttled, quota used up, unavailable),
    the iteration ends and `error` holds the reason: what came before is good. Everything else is
    raised, and so is any error on the first page.

    Memory holds a number for each key, and the records of two pages.
    """

    def __init__(
        self,
        pages: Iterable[Page[Record]],
        *,
        key: Callable[[Record], str],
        page_size: int | None = None,
        max_pages: int = 10_000,
    ) -> None:
        """`page_size` is how many records a page is asked to hold; None takes each for full."""
        self._pages = pages
        self._key = key
        self._page_size = page_size
        self._max_pages = max_pages
        self._seen: set[int] = set()
        self._before: dict[str, Record] = {}
        self._fingerprints: dict[int, int] = {}
        self._nameless = 0
        self._is_beyond = False
        """Pages are asked for beyond the total."""
        self.pages = 0
        """Pages read so far."""
        self.rows = 0
        """Records that the vendor sent so far, whatever became of them."""
        self.total: int | None = None
        """Records there are, as the last page that named a number said."""
        self.duplicates = 0
        """Records dropped because their key had been listed before."""
        self.rejected = 0
        """Records that cannot be stored."""
        self.complete = False
        """Every page was read and no record is missing from the vendor's own total."""
        self.error: ThrottledError | VendorUnavailableError | None = None
        """Why the vendor stopped answering in the middle of the listing."""
        self.share_spent = False
        """Never so: a listing is whole or it is not."""
        self.doubt = ""
        """Why a record that was not listed may be there, whatever the vendor's total says."""

    def __iter__(self) -> Iterator[Page[Record]]:
        for page in self._followed():
            keys = [self._key(record) for record in page.records]
            digests = frozenset(map(_digest, keys))
            if self._repeats(page, digests):
                break
            self._seen |= digests
            yield from self._distinct(page, keys)
        if self.error is None:
            self._finish()

    @property
    def distinct(self) -> int:
        """Different records listed so far, those that cannot be stored included."""
        return len(self._seen) + self._nameless

    @property
    def tells_absent(self) -> bool:
        """Whether a record that was not listed is not there.

        Not so if a record came without a key that can be read: it may be the one that is missed.
        Nor if a page leaves it in doubt.
        """
        return self.complete and not self._nameless and not self.doubt

    def has(self, key: str) -> bool:
        """Tell whether the vendor listed this key, be it a record that cannot be stored."""
        return _digest(key) in self._seen

    def _followed(self) -> Iterator[Page[Record]]:
        pages = iter(self._pages)
        while (page := self._next(pages)) is not None:
            self.pages += 1
            if page.total is not None:
                self.total = page.total
            self.doubt = self.doubt or page.doubt
            yield page
            if page.is_last or (self.distinct == self.total and not self._goes_beyond(page)):
                return

    def _next(self, pages: Iterator[Page[Record]]) -> Page[Record] | None:
        try:
            return next(pages, None)
        except (ThrottledError, VendorUnavailableError) as error:
            if self.pages == 0:
                raise
            self.error = error
        except VendorRefusedError:
            if not self._is_beyond:
                raise
        return None

    def _goes_beyond(self, page: Page[Record]) -> bool:
        """Tell whether the total may count this page alone, so that the next one is asked for."""
        rows = len(page.records) + len(page.rejected)
        is_full = self._page_size is None or rows >= self._page_size
        was_beyond = self._is_beyond
        self._is_beyond = was_beyond or (is_full and self.total is not None and self.total <= rows)
        return self._is_beyond and not was_beyond

    def _repeats(self, page: Page[Record], digests: frozenset[int]) -> bool:
        """Tell whether a page beyond the total came before: then the vendor has no other.

        Refuse a listing that goes round in circles or never ends.
        """
        if self.pages > self._max_pages:
            raise VendorContractError(f"the listing has more than {self._max_pages} pages")
        count = len(page.records) + len(page.rejected)
        if not count:
            return False
        rejected = (_digest(item.key or repr(item.record)) for item in page.rejected)
        fingerprint = hash((count, digests.union(rejected)))
        earlier = self._fingerprints.setdefault(fingerprint, self.pages)
        if earlier != self.pages and not self._is_beyond:
            raise VendorContractError(
                f"page {self.pages} of the listing repeats page {earlier}: the vendor ignores the"
                " page number"
            )
        return earlier != self.pages

    def _distinct(self, page: Page[Record], keys: list[str]) -> Iterator[Page[Record]]:
        last = dict(zip(keys, page.records, strict=True))
        for item in page.rejected:
            if item.key is None:
                self._nameless += 1
            else:
                self._seen.add(_digest(item.key))
        before, self._before = self._before, last
        self.rows += len(page.records) + len(page.rejected)
        self.rejected += len(page.rejected)
        if len(last) == len(keys) and last.keys().isdisjoint(before):
            yield page
            return
        earlier = [
            (key, record)
            for key, record in zip(keys, page.records, strict=True)
            if record != last[key]
        ]
        for _, record in earlier:
            yield Page((record,))
        same = {key for key in last.keys() & before if last[key] == before[key]}
        same -= {key for key, _ in earlier}
        records = tuple(record for key, record in last.items() if key not in same)
        self.duplicates += len(page.records) - len(records) - len(earlier)
        yield replace(page, records=records)

    def _finish(self) -> None:
        if self.total and not self.rows:
            raise VendorContractError(
                "the vendor speaks of records but lists none; that is an error, not an empty"
                " account"
            )
        self.complete = self.total is None or self.distinct >= self.total
