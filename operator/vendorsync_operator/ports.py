"""The API server as the reconciler needs it: the port, and what its answers mean."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from vendorsync_operator.cache.live import Key

Document = dict[str, Any]


class RefusedError(Exception):
    """The API server refuses a write, and would again; the text is the server's."""


class ConflictError(Exception):
    """What was to be created exists, or what was to be changed is gone."""


class Cluster(Protocol):
    """The API server, as far as reconciling needs it.

    Reads return None for what does not exist. Writes raise RefusedError for a refusal that lasts;
    other errors are worth another try.
    """

    async def read_resource(self, key: Key) -> Document | None:
        """Return a VendorSync."""

    async def read_cron_job(self, key: Key) -> Document | None:
        """Return a CronJob."""

    async def apply_cron_job(self, rendered: Document, uid: str | None) -> Document:
        """Apply a CronJob to the object of that uid, or create it; return it as it lives.

        Without a uid it is created. ConflictError is raised if one of that name exists that has
        not this uid, and if the one of this uid is gone; nothing is changed then.
        """

    async def suspend_cron_job(self, key: Key) -> Document | None:
        """Suspend a CronJob and leave the rest of it alone; return it as it lives.

        The hash of what was rendered goes away, since that is no longer what lives.
        """

    async def delete_cron_job(self, key: Key, uid: str) -> None:
        """Delete the CronJob of that uid, its Jobs after it."""

    async def create_job(self, job: Document) -> bool:
        """Create a Job; return False if one of that name exists."""

    async def read_job(self, key: Key) -> Document | None:
        """Return a Job."""

    async def pods(self, job: Key, since: str) -> list[Document]:
        """Return the pods of a Job as they were at that version of it, or later."""

    async def refusals(self, namespace: str, uid: str) -> list[Document]:
        """Return the Events that tell of what the object of that uid could not create.

        Raises RefusedError where Events may not be listed.
        """

    async def apply_status(self, key: Key, uid: str, status: Document) -> Document | None:
        """Apply the status of the VendorSync of that uid; return it as it lives."""

    async def create_event(self, event: Document) -> None:
        """Create an Event."""
