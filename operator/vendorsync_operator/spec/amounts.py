"""Amounts of compute resources: what admission takes although no CronJob could have it.

The rules are those that the API server has for containers (`ValidateContainerResourceRequirements`
in `pkg/apis/core/validation` of Kubernetes).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from vendorsync_operator.spec import quantity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vendorsync_api.v1alpha1 import ResourceAmounts

_NAMES: Final = ("cpu", "memory", "ephemeral-storage")
_HUGE: Final = "hugepages-"
_WHERE: Final = "spec.run.resources"


def fault(given: ResourceAmounts | None) -> str | None:
    """Return one sentence about the first amount that cannot be rendered, None for none."""
    return next(_faults(given), None) if given else None


def _faults(given: ResourceAmounts) -> Iterator[str]:
    requests, limits = given.requests or {}, given.limits or {}
    for kind, amounts in (("requests", requests), ("limits", limits)):
        for name, amount in amounts.items():
            found = _fault(name, amount)
            if found:
                yield f"{_WHERE}.{kind}.{name}: {found}"
    for name in requests.keys() & limits.keys():
        if quantity.value(requests[name]) > quantity.value(limits[name]):
            yield (
                f"{_WHERE}.requests.{name}: {requests[name]} is more than the limit"
                f" {limits[name]}; raise the limit or lower the request"
            )


def _fault(name: str, amount: str | int) -> str | None:
    if not (name in _NAMES or name.startswith(_HUGE) or "/" in name):
        return (
            f"containers have no resource {name!r}; use {', '.join(_NAMES)}, or a name with a"
            " domain such as example.com/gpu"
        )
    try:
        value = quantity.value(amount)
    except quantity.QuantityError as error:
        return str(error)
    if value.denominator != 1 and name != "cpu":
        return f"{amount} is a fraction, since m is a thousandth; write for example 256Mi"
    return None
