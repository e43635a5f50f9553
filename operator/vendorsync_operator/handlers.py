"""What kopf calls: each event goes into the store, and nothing else happens here.

Only the low-level event handler is used. It keeps no state in the resource, adds no finalizer and
writes nothing, so a restart of kopf costs a list and a watch. The list itself goes into the store
on its way to kopf, see `intake`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import kopf

from vendorsync_api.group import GROUP, PLURAL
from vendorsync_api.v1alpha1 import VERSION

if TYPE_CHECKING:
    from collections.abc import Callable

    import aiohttp

    from vendorsync_operator.watch.follow import Sink


def registry(
    resources: Sink, *, server: str, session: Callable[[], aiohttp.ClientSession]
) -> kopf.OperatorRegistry:
    """Return kopf's handlers over a store of resources.

    kopf sends its requests to a server through a session, which it closes; it asks for another
    when the server says that it does not know us.
    """
    handlers = kopf.OperatorRegistry()

    @kopf.on.event(GROUP, VERSION, PLURAL, id="resource", registry=handlers)
    async def resource(event: kopf.RawEvent, **_: Any) -> None:
        observe(resources, event["type"], dict(event["object"]))

    @kopf.on.login(id="login", registry=handlers, errors=kopf.ErrorsMode.PERMANENT)
    async def login(**_: Any) -> kopf.AiohttpSession:
        return kopf.AiohttpSession(server=server, aiohttp_session=session())

    return handlers


def observe(resources: Sink, kind: str | None, document: dict[str, Any]) -> None:
    """Take one event of kopf; its kind is None for an object of a list."""
    if kind == "DELETED":
        resources.gone(document)
    else:
        resources.found(document)
