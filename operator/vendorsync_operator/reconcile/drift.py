"""Whether a live object still is what was rendered."""

from __future__ import annotations

from typing import Any


def drifts(rendered: object, live: object) -> bool:
    """Tell whether any rendered leaf differs in the live object.

    What others added beside it does not count: neither the server's defaults nor fields and list
    entries of other field managers. An empty rendered value equals an absent one.
    """
    if isinstance(rendered, dict):
        found = live if isinstance(live, dict) else {}
        return any(drifts(value, found.get(name)) for name, value in rendered.items())
    if isinstance(rendered, list):
        return _list_drifts(rendered, live if isinstance(live, list) else [])
    return bool(rendered or live) and rendered != live


def lacks(rendered: object, live: object) -> bool:
    """Tell whether any rendered leaf is absent from the live object, whatever the others say."""
    if isinstance(rendered, dict):
        found = live if isinstance(live, dict) else {}
        return any(lacks(value, found.get(name)) for name, value in rendered.items())
    if isinstance(rendered, list):
        items = live if isinstance(live, list) else []
        names, found = _names(rendered), _names(items) or {}
        if names is not None:
            return any(lacks(item, found.get(name)) for name, item in names.items())
        return len(rendered) > len(items)
    return bool(rendered) and live is None


def _list_drifts(rendered: list[Any], live: list[Any]) -> bool:
    names = _names(rendered)
    if names is not None:
        found = _names(live) or {}
        return any(name not in found or drifts(item, found[name]) for name, item in names.items())
    return len(rendered) != len(live) or any(map(drifts, rendered, live))


def _names(items: list[Any]) -> dict[str, Any] | None:
    """Return the entries by name, or None for a list that is not keyed by it."""
    if not items or not all(isinstance(item, dict) and "name" in item for item in items):
        return None
    return {item["name"]: item for item in items}
