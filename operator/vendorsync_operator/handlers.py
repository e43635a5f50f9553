"""What kopf calls: each event goes into the store, and nothing else happens here.

Only the low-level event handler is used. It keeps no state in the resource, adds no finalizer and
writes nothing, so a restart of kopf costs a list and a watch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import kopf

from vendorsync_api.v1alpha1 import GROUP, PLURAL, VERSION

if TYPE_CHECKING:
    from vendorsync_operator.watch import Sink


def registry(resources: Sink) -> kopf.OperatorRegistry:
    """Return kopf's handlers over a store of resources."""
    handlers = kopf.OperatorRegistry()

    @kopf.on.event(GROUP, VERSION, PLURAL, id="resource", registry=handlers)
    async def resource(event: kopf.RawEvent, **_: Any) -> None:
        observe(resources, event["type"], dict(event["object"]))

    @kopf.on.login(id="login", registry=handlers, errors=kopf.ErrorsMode.PERMANENT)
    def login(**arguments: Any) -> kopf.ConnectionInfo | None:
        return kopf.login_with_service_account(**arguments) or kopf.login_with_kubeconfig(
            **arguments
        )

    return handlers


def observe(resources: Sink, kind: str | None, document: dict[str, Any]) -> None:
    """Take one event of kopf; its kind is None for an object of a list."""
    if kind == "DELETED":
        resources.gone(document)
    else:
        resources.found(document)
