"""A control plane without nodes, with what the chart installs but the operator itself."""

from __future__ import annotations

import json
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from dev.cluster import Parts, components
from dev.cluster.command import wait_until
from dev.cluster.local import LocalCluster
from dev.plane import audit, chart, process
from dev.plane.api import Api, ApiError
from dev.plane.process import OperatorProcess

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Mapping, Sequence

    from dev.cluster.progress import Progress
    from dev.plane.chart import Right

Document = dict[str, Any]

NAMESPACE = "solar"
_TOKEN_SECONDS = 24 * 3600
# Owners first, so that no controller makes anew what is deleted.
_CONTENTS = ("vendorsyncs", "cronjobs", "jobs", "pods", "events", "leases")


class Plane:
    """One plane, known by its name: a start removes what an earlier run of that name left.

    Without controllers nothing makes Jobs, deletes what belongs to something deleted, or ends a
    namespace; a test plays those parts by `api`.
    """

    def __init__(
        self,
        name: str,
        *,
        controllers: bool = False,
        namespaces: Sequence[str] = (),
        values: Mapping[str, object] | None = None,
        progress: Progress | None = None,
    ) -> None:
        """Take the namespaces that the operator watches (none: all) and more values of the chart.

        `values` replace whole entries of the first level.
        """
        parts = Parts.CONTROLLERS if controllers else Parts.API
        self.cluster = LocalCluster(name, progress, parts=parts)
        self.namespaces = tuple(namespaces)
        self._values = {"watch": {"namespaces": list(namespaces)}, **(values or {})}
        self._folder = self.cluster.folder / "operators"
        self._operators: list[OperatorProcess] = []

    def __enter__(self) -> Self:
        self.up()
        return self

    def __exit__(self, *_: object) -> None:
        self.down()

    def up(self) -> None:
        """Start it anew, with nothing in it but what the chart installs and empty namespaces."""
        self.down()
        self.cluster.up()
        try:
            self._furnish()
        except BaseException:
            self.down()
            raise

    def down(self) -> None:
        """End its operators and remove it; safe to repeat."""
        for operator in self._operators:
            if operator.alive:
                operator.kill()
        self._operators.clear()
        process.end_recorded(self._folder)
        if "api" in self.__dict__:
            self.api.close()
        for made in ("api", "audit", "documents"):
            self.__dict__.pop(made, None)
        if self.cluster.folder.exists():
            self.cluster.down()

    # What it is

    @property
    def server(self) -> str:
        """The API server's address."""
        return str(self._config["server"])

    @property
    def ca(self) -> Path:
        """The certificate that the API server's connection is checked against."""
        return Path(self._config["certificate-authority"])

    @cached_property
    def api(self) -> Api:
        """Requests as an administrator."""
        return Api.of(self.cluster)

    @cached_property
    def documents(self) -> list[Document]:
        """Everything that the chart renders to, what a plane leaves out among it."""
        return chart.render(self.cluster.binaries / "helm", self._values)

    def kubectl(self, *args: str, input: str | None = None) -> str:  # noqa: A002
        """Run kubectl as an administrator and return what it prints."""
        return self.cluster.kubectl(*args, input=input)

    def namespace(self, name: str) -> None:
        """Make a namespace in which pods can be created."""
        self.api.create("namespaces", {"metadata": {"name": name}})
        if self.cluster.parts is Parts.API:
            # The controller manager's work; without it the API server refuses pods.
            account = {"metadata": {"name": "default", "namespace": name}}
            self.api.create("serviceaccounts", account)

    # The operator

    def operator(
        self,
        name: str = "operator",
        *,
        server: str | None = None,
        env: Mapping[str, str] | None = None,
        token: str | None = None,
    ) -> OperatorProcess:
        """Return an operator that is not started yet, as the chart would set it up.

        It runs with a token of the chart's service account and the environment of the chart's
        Deployment; `server` replaces the API server's address, `env` adds to the environment.
        """
        kubeconfig = self._folder / f"{name}.kubeconfig"
        kubeconfig.touch(mode=0o600)
        text = components.kubeconfig(
            self.cluster.context,
            server=server or self.server,
            token=token or self.token(),
            authority=self.ca,
        )
        kubeconfig.write_text(text)
        variables = {**chart.environment(self.documents, name), **(env or {})}
        whole = process.environment(self._folder, kubeconfig, variables)
        operator = OperatorProcess(name, self._folder, whole)
        self._operators.append(operator)
        return operator

    def token(self, namespace: str = chart.NAMESPACE, account: str = chart.SERVICE_ACCOUNT) -> str:
        """Return a new token of a service account, the chart's by default, good for a day."""
        where = f"/api/v1/namespaces/{namespace}/serviceaccounts/{account}/token"
        asked = {"spec": {"expirationSeconds": _TOKEN_SECONDS}}
        return str(self.api.send("POST", where, asked)["status"]["token"])

    # Its rights

    def rights(self) -> list[Right]:
        """Return every right that the chart gives the operator."""
        return chart.rights(self.documents)

    def grant(self, *, without: Right | None = None) -> None:
        """Give the operator all rights of the chart, or all but one; wait until that holds."""
        documents = self.documents
        self._apply(chart.without(documents, without) if without else chart.roles(documents))

        def holds() -> bool:
            return all(
                self.may(right, *place) == (right != without)
                for right in self.rights()
                for place in chart.places(documents, right)
            )

        # The server's own view of the roles follows what is stored, by a moment.
        wait_until(holds, what=f"the operator's rights without {without}")

    def may(self, right: Right, namespace: str = "", name: str = "") -> bool:
        """Tell whether the operator may do this; an empty namespace or name stands for all."""
        resource, _, subresource = right.resource.partition("/")
        asked = {
            "spec": {
                "user": chart.USER,
                "groups": ["system:serviceaccounts", f"system:serviceaccounts:{chart.NAMESPACE}"],
                "resourceAttributes": {
                    "namespace": namespace,
                    "group": right.group,
                    "resource": resource,
                    "subresource": subresource,
                    "verb": right.verb,
                    "name": name,
                },
            }
        }
        path = "/apis/authorization.k8s.io/v1/subjectaccessreviews"
        return bool(self.api.send("POST", path, asked)["status"]["allowed"])

    # What the API server was asked

    @cached_property
    def audit(self) -> audit.AuditLog:
        """The API server's record of requests."""
        return audit.AuditLog(
            self.cluster.audit_log, lambda path, name: self.api.send("GET", path, marker=name)
        )

    def mark(self) -> None:
        """Count requests from now on."""
        self.audit.mark()

    def requests(self, user: str | None = None) -> Counter[tuple[str, str]]:
        """Return the requests since the mark by verb and `resource[/subresource]` or path.

        Of the operator's service account, unless another user is named ("admin" is `api`).
        """
        return self.audit.count(user or chart.USER)

    def totals(self) -> Counter[tuple[str, str]]:
        """Return the finished requests of all users since the API server's start (/metrics)."""
        return audit.totals(self.api.text("GET", "/metrics"))

    # What the operator made of it

    def settled(self, *, seconds: float = 60) -> list[Document]:
        """Wait until the operator has seen all resources as they are now; return them."""
        found: list[Document] = []

        def are_seen() -> bool:
            found[:] = self.api.list("vendorsyncs")
            return all(map(is_settled, found))

        def behind() -> str:
            names = [each["metadata"]["name"] for each in found if not is_settled(each)]
            return f"Not seen: {', '.join(names[:5])}, {len(names)} of {len(found)}."

        wait_until(are_seen, what="the status of all resources", seconds=seconds, hint=behind)
        return found

    def clear(self) -> None:
        """Delete every resource, CronJob, Job, pod, Event and Lease of the plane's namespaces."""
        for namespace in dict.fromkeys((NAMESPACE, chart.NAMESPACE, *self.namespaces)):
            for plural in _CONTENTS:
                self.api.clear(plural, namespace)

    def _furnish(self) -> None:
        self._folder.mkdir()
        self.api.create("namespaces", {"metadata": {"name": chart.NAMESPACE}})
        for name in dict.fromkeys((NAMESPACE, *self.namespaces)):
            self.namespace(name)
        self._apply(chart.applied(self.documents))
        wait_until(self._serves_resources, what="the address of VendorSync resources")

    def _serves_resources(self) -> bool:
        try:
            self.api.list("vendorsyncs")
        except ApiError:
            return False
        return True

    def _apply(self, documents: Sequence[Document]) -> None:
        for document in documents:
            self.api.apply(document)

    @property
    def _config(self) -> Document:
        config = json.loads(self.cluster.kubeconfig.read_text())
        return dict(config["clusters"][0]["cluster"])


def is_settled(resource: Document) -> bool:
    """Tell whether the operator is ready with a resource as it is: its condition Ready is True."""
    status = resource.get("status", {})
    conditions = {each["type"]: each for each in status.get("conditions", ())}
    seen = status.get("observedGeneration") == resource["metadata"]["generation"]
    return bool(seen and conditions.get("Ready", {}).get("status") == "True")
