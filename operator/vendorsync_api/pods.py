"""Labels and annotations that people add to the pods of runs: their syntax, and whose they are.

The syntax is that of Kubernetes (its documentation, "Labels and Selectors" and "Annotations"). It
is checked here because one bad label in the chart would have the API server refuse every CronJob.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from vendorsync_api.run import MANAGED_BY_LABEL

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_WORD = r"[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?"
LABEL_VALUE = f"({_WORD})?"
_NAME = re.compile(_WORD)
_LABEL_VALUE = re.compile(LABEL_VALUE)
_DOMAIN_PART = r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"
_DOMAIN = re.compile(rf"{_DOMAIN_PART}(\.{_DOMAIN_PART})*")
_DOMAIN_LIMIT = 253

_OUR_DOMAIN = "vendorsync.dev"
_BATCH_DOMAIN = "batch.kubernetes.io"
_BATCH_LABELS = ("job-name", "controller-uid")
"""Labels that the Job controller sets beside those of its domain."""


def label_faults(labels: Mapping[str, str]) -> Iterator[str]:
    """Yield what is wrong with labels for the pods of runs, one sentence each."""
    for key, value in labels.items():
        yield from _key_faults("label", key)
        if not is_label_value(value):
            yield (
                f"the label {key!r} has the value {value!r}; write at most 63 letters, digits,"
                " dashes, underscores and dots that begin and end with a letter or digit"
            )


def annotation_faults(annotations: Mapping[str, str]) -> Iterator[str]:
    """Yield what is wrong with annotations for the pods of runs, as `label_faults` does."""
    for key in annotations:
        yield from _key_faults("annotation", key)


def is_label_value(text: str) -> bool:
    """Tell whether Kubernetes takes the text as the value of a label."""
    return _LABEL_VALUE.fullmatch(text) is not None


def _key_faults(kind: str, key: str) -> Iterator[str]:
    domain, slash, name = key.rpartition("/")
    if not _NAME.fullmatch(name) or (slash and not is_domain(domain)):
        yield (
            f"{key!r} is no key of a {kind}; write a name of at most 63 letters, digits, dashes,"
            " underscores and dots, and a domain and a slash before it if need be"
        )
    elif _within(domain, _OUR_DOMAIN) or key == MANAGED_BY_LABEL:
        yield f"the {kind} {key!r} is set by VendorSync itself; use another key"
    elif _within(domain, _BATCH_DOMAIN) or key in _BATCH_LABELS:
        yield f"the {kind} {key!r} belongs to Kubernetes' Job controller; use another key"


def is_domain(text: str) -> bool:
    """Tell whether Kubernetes takes the text as the name of an object (RFC 1123, subdomain)."""
    return len(text) <= _DOMAIN_LIMIT and _DOMAIN.fullmatch(text) is not None


def _within(domain: str, owner: str) -> bool:
    return domain == owner or domain.endswith(f".{owner}")
