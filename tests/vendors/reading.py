"""Pages of plants as a run reads them in the end."""

from msgspec.structs import replace

from vendorsync_job.listing import Listing
from vendorsync_job.models import Rejection


def read(adapter, page):
    """Return a page of plants instead of their fields."""
    found = [adapter.plant(fields) for fields in page.records]
    good = [each for each in found if not isinstance(each, Rejection)]
    return replace(
        page,
        records=tuple(each.record for each in good),
        rejected=(*page.rejected, *(each for each in found if isinstance(each, Rejection))),
        dropped=tuple(reason for each in good for reason in each.dropped),
    )


class PlantListing(Listing):
    """A listing of an adapter's plants whose pages are read as they come."""

    def __init__(self, adapter, pages, **settings):
        super().__init__(pages, key=lambda fields: fields[0], **settings)
        self._adapter = adapter

    def __iter__(self):
        return (read(self._adapter, page) for page in super().__iter__())
