"""The loop: pages in, chunks out, counts; no input or output of its own."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Protocol

from vendorsync_job.models import Counts

if TYPE_CHECKING:
    from collections.abc import Sequence
    from contextlib import AbstractContextManager

    from vendorsync_job.errors import SyncError
    from vendorsync_job.listing import Listing
    from vendorsync_job.models import Plant, Rejection


log = logging.getLogger(__name__)


class PlantSink(Protocol):
    """Takes the plants of a listing, chunk by chunk."""

    def write(self, plants: Sequence[Plant], rejected: Sequence[Rejection]) -> Counts:
        """Take one chunk, whose keys are unique, and return what became of its records."""

    def renew(self) -> None:
        """Keep the right to write while the vendor takes its time; called after each page."""


class Interruption(Protocol):
    """Tells when the run has to end, and keeps that away from a chunk in hand."""

    def check(self) -> None:
        """Raise if the run has to end."""

    def shield(self) -> AbstractContextManager[None]:
        """Keep the end away from the block."""


@dataclass
class Progress:
    """How far a run came; its report can be made from it at any moment."""

    counts: Counts = field(default_factory=Counts)
    complete: bool = False
    """Every page was read, so absent plants are known to be absent."""
    error: SyncError | None = None
    """Why the vendor stopped answering in the middle of the listing."""


def sync(
    listing: Listing[Plant],
    sink: PlantSink,
    progress: Progress,
    *,
    batch_size: int,
    stop: Interruption,
) -> None:
    """Hand all plants of a listing to the sink, at most `batch_size` records at a time.

    Memory holds one page and one chunk. Of two records with one key in a chunk the last one wins.
    """
    plants: dict[str, Plant] = {}
    rejected: list[Rejection] = []
    replaced = 0

    def flush() -> None:
        stop.check()
        with stop.shield():
            progress.counts = progress.counts + sink.write(list(plants.values()), rejected)
        log.info("chunk of %s records done", len(plants) + len(rejected))
        plants.clear()
        rejected.clear()

    for page in listing:
        stop.check()
        sink.renew()
        for rejection in page.rejected:
            rejected.append(rejection)
            if len(plants) + len(rejected) >= batch_size:
                flush()
        for plant in page.records:
            replaced += plant.vendor_plant_id in plants
            plants[plant.vendor_plant_id] = plant
            if len(plants) + len(rejected) >= batch_size:
                flush()
        progress.counts = replace(progress.counts, duplicate=listing.duplicates + replaced)
    if plants or rejected:
        flush()
    progress.complete, progress.error = listing.complete, listing.error
