"""The names of our kube-contexts, and the refusal of every other."""

import re

from dev.cluster.errors import ClusterError, ForeignContextError

DEFAULT_NAME = "vendorsync"
BASES = {"kind": "kind-vendorsync", "local": "vendorsync-local"}

_NAME = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,30}[a-z0-9])?")
_OURS = re.compile(rf"(?:{'|'.join(BASES.values())})(?:-{_NAME.pattern})?")


def context_name(provider: str, name: str = DEFAULT_NAME) -> str:
    """Return the kube-context of the cluster `name` on `provider`."""
    if not _NAME.fullmatch(name):
        raise ClusterError(
            f"{name!r} cannot name a cluster: use up to 32 lower-case letters, digits and dashes."
        )
    base = BASES[provider]
    return base if name == DEFAULT_NAME else f"{base}-{name}"


def require_ours(context: str) -> None:
    """Refuse a kube-context that this package would not have made."""
    if not _OURS.fullmatch(context):
        raise ForeignContextError(
            f"The kube-context {context!r} is not one of ours (kind-vendorsync…, "
            "vendorsync-local…): nothing was done to it. "
            'Run `eval "$(make -s env)"` to point kubectl at the development cluster.'
        )
