"""The installed adapters, found by the entry points of group `vendorsync.vendors`."""

from __future__ import annotations

from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Final

from vendorsync_job.errors import AdapterUnavailableError

if TYPE_CHECKING:
    from vendorsync_job.ports import VendorAdapter

GROUP: Final = "vendorsync.vendors"


def names() -> list[str]:
    """Return the names of the installed adapters; imports none of them."""
    return sorted(point.name for point in entry_points(group=GROUP))


def load(name: str) -> type[VendorAdapter]:
    """Import one adapter and return its class.

    Raises AdapterUnavailableError when none has that name, or when it cannot be imported.
    """
    found = next((point for point in entry_points(group=GROUP) if point.name == name), None)
    if found is None:
        raise AdapterUnavailableError(
            f"adapter {name!r} is not installed in this image; known: {', '.join(names())}"
        )
    try:
        adapter = found.load()
    except Exception as error:
        raise AdapterUnavailableError(
            f"adapter {name!r} cannot be imported from {found.value}: {error}"
        ) from error
    policy = getattr(adapter, "policy", None)
    if getattr(policy, "adapter", None) != name:
        raise AdapterUnavailableError(
            f"{found.value} is not an adapter whose policy is named {name!r}"
        )
    loaded: type[VendorAdapter] = adapter
    return loaded
