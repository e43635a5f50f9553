"""Plain JSON requests to the API server as an administrator: no client, no cache, no retries."""

from __future__ import annotations

import json
import ssl
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlencode

import httpx

if TYPE_CHECKING:
    from dev.cluster.local import LocalCluster

Document = dict[str, Any]

_RBAC = "/apis/rbac.authorization.k8s.io/v1"
PREFIXES = {
    "vendorsyncs": "/apis/vendorsync.dev/v1alpha1",
    "cronjobs": "/apis/batch/v1",
    "jobs": "/apis/batch/v1",
    "events": "/apis/events.k8s.io/v1",
    "leases": "/apis/coordination.k8s.io/v1",
    "customresourcedefinitions": "/apis/apiextensions.k8s.io/v1",
    "clusterroles": _RBAC,
    "clusterrolebindings": _RBAC,
    "roles": _RBAC,
    "rolebindings": _RBAC,
    "namespaces": "/api/v1",
    "pods": "/api/v1",
    "serviceaccounts": "/api/v1",
}
_TIMEOUT = 30
_PAGE = "500"


class ApiError(Exception):
    """An answer that is no success; `status` is its HTTP code."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(f"HTTP {status}: {message}")
        self.status = status


class Api:
    """One connection pool; may be shared by threads."""

    def __init__(self, server: str, token: str, context: ssl.SSLContext | None = None) -> None:
        self._client = httpx.Client(
            base_url=server,
            headers={"Authorization": f"Bearer {token}"},
            verify=context or True,
            timeout=_TIMEOUT,
            # The proxies of the environment know nothing of the cluster's network.
            trust_env=False,
        )

    @classmethod
    def of(cls, cluster: LocalCluster, token: str = "") -> Self:
        """Return requests with a token, by default the administrator's of the kubeconfig."""
        config = json.loads(cluster.kubeconfig.read_text())
        at = config["clusters"][0]["cluster"]
        context = ssl.create_default_context(cafile=at["certificate-authority"])
        return cls(at["server"], token or config["users"][0]["user"]["token"], context)

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def send(
        self,
        method: str,
        path: str,
        body: Document | None = None,
        *,
        content_type: str = "application/json",
        **query: str,
    ) -> Document:
        """Return the JSON answer, or raise ApiError."""
        return dict(json.loads(self.text(method, path, body, content_type=content_type, **query)))

    def text(
        self,
        method: str,
        path: str,
        body: Document | None = None,
        *,
        content_type: str = "application/json",
        **query: str,
    ) -> str:
        """Return the answer as it is, or raise ApiError."""
        answer = self._client.request(
            method,
            path,
            content=None if body is None else json.dumps(body),
            headers={"Content-Type": content_type},
            params=query or None,
        )
        if answer.is_error:
            raise ApiError(answer.status_code, answer.text[:500])
        return answer.text

    def list(self, plural: str, namespace: str | None = None, **query: str) -> list[Document]:
        """Return all objects of a kind, of one namespace or of all, read page by page."""
        found: list[Document] = []
        page: dict[str, str] = {}
        while True:
            asked = {"limit": _PAGE, **query, **page}
            answer = self.send("GET", f"{path(plural, namespace)}?{urlencode(asked)}")
            found += answer["items"]
            if not (token := answer["metadata"].get("continue")):
                return found
            page = {"continue": token}

    def get(self, plural: str, namespace: str, name: str) -> Document:
        """Return one object."""
        return self.send("GET", path(plural, namespace, name))

    def create(self, plural: str, document: Document) -> Document:
        """Create an object in the namespace that it names."""
        return self.send("POST", path(plural, document["metadata"].get("namespace")), document)

    def apply(self, document: Document) -> Document:
        """Apply an object (server-side), whatever others own of it."""
        metadata = document["metadata"]
        return self.send(
            "PATCH",
            path(f"{document['kind'].lower()}s", metadata.get("namespace"), metadata["name"]),
            document,
            content_type="application/apply-patch+yaml",
            fieldManager="plane",
            force="true",
        )

    def patch(self, plural: str, namespace: str, name: str, change: Document) -> Document:
        """Merge a change into an object; a name may end in /status."""
        where = path(plural, namespace, name)
        return self.send("PATCH", where, change, content_type="application/merge-patch+json")

    def delete(self, plural: str, namespace: str, name: str) -> None:
        """Delete an object."""
        self.send("DELETE", path(plural, namespace, name))

    def clear(self, plural: str, namespace: str) -> None:
        """Delete all objects of a kind in a namespace, at once and with all that they own."""
        options = {"gracePeriodSeconds": 0, "propagationPolicy": "Background"}
        self.send("DELETE", path(plural, namespace), options)


def path(plural: str, namespace: str | None = None, name: str = "") -> str:
    """Return the path of a kind or of an object; a namespace itself has no namespace."""
    inside = f"/namespaces/{namespace}" if namespace else ""
    return f"{PREFIXES[plural]}{inside}/{plural}{'/' if name else ''}{name}"
