"""One real cluster with the whole product for this folder.

Real: Kubernetes, the images built from this checkout, Helm, PostgreSQL. Simulated: the vendors, by
servers that speak their HTTP inside the cluster. Each test gets a namespace and an organization of
its own. The cluster is called `vendorsync-test`, so a demo that runs is not touched.
"""

import itertools
import json
import subprocess
import time
import uuid
from contextlib import ExitStack, contextmanager

import httpx
import psycopg
import pytest
from psycopg.rows import dict_row

from dev.cluster import choose
from dev.cluster.context import require_ours
from dev.cluster.errors import CommandError
from dev.stack import backing, images, product
from dev.stack.forward import forward
from dev.stack.waiting import until

# New ones in each session, since a kept cluster still has the rows of the last one.
ORGANIZATIONS = itertools.count(int(time.time()) * 100)
CONTROL_TIMEOUT = 30

# Chunks of a page each, so that a run has several.
VALUES = {"batchSize": 100}


class Stack:
    """The cluster with everything on it, and the truth behind its back: vendors and database."""

    values = VALUES

    def __init__(self, cluster, database_port, control_port):
        self.cluster = cluster
        self.kubectl = cluster.kubectl
        self.database_url = backing.owner_url(cluster, "127.0.0.1", database_port)
        self._control = f"http://127.0.0.1:{control_port}"

    def control(self, method, path, **arguments):
        with httpx.Client(base_url=self._control, timeout=CONTROL_TIMEOUT) as client:
            answer = client.request(method, path, **arguments)
        answer.raise_for_status()
        return answer.json() if answer.content else None

    def truth(self, vendor, account):
        found = self.control("GET", "/truth", params={"vendor": vendor, "account": account})
        return found["plants"] if isinstance(found, dict) else found

    def calls(self, **filters):
        found = self.control("GET", "/calls", params=filters)
        return found["calls"] if isinstance(found, dict) else found

    def fault(self, kind, **options):
        self.control("PUT", "/faults", json={"faults": [{"kind": kind, **options}]})

    def query(self, text, *arguments):
        with psycopg.connect(self.database_url, row_factory=dict_row) as connection:
            return connection.execute(text, arguments).fetchall()

    def get(self, kind, name, namespace):
        return json.loads(self.kubectl("get", kind, name, "-n", namespace, "-o", "json"))

    def items(self, kind, namespace, *more):
        return json.loads(self.kubectl("get", kind, "-n", namespace, "-o", "json", *more))["items"]


# No tick of a test's own schedule may come while it looks: New Year's midnight is far enough.
ONCE_A_YEAR = {"cron": "0 0 1 1 *", "restrictedWindows": []}


@pytest.fixture(scope="session")
def cluster(request):
    """An own cluster, removed at the end; a half-started one of a killed run is cleaned first."""
    cluster = choose(name="test")
    require_ours(cluster.context)
    keep = request.config.getoption("keep_cluster")
    if not keep:
        cluster.down()
    cluster.up()
    yield cluster
    if not keep:
        cluster.down()


@pytest.fixture(scope="session")
def stack(cluster):
    images.load(cluster)
    backing.start(cluster)
    product.install(cluster, VALUES)
    with (
        forward(cluster, backing.NAMESPACE, "service/database", 5432) as database,
        forward(cluster, backing.NAMESPACE, "service/vendors", 8080) as control,
    ):
        yield Stack(cluster, database, control)


class Solar:
    """A namespace with one organization."""

    def __init__(self, stack, namespace, organization):
        self.stack = stack
        self.namespace = namespace
        self.organization = organization
        self.name = f"organization-{organization}"

    def secret(self, name, values):
        backing.apply(self.stack.cluster, backing.secret(self.namespace, name, values))

    def vendor(self, adapter="solarman", account="sim-north", **more):
        """A vendor with its Secret."""
        secret = f"{self.name}-{adapter}"
        self.secret(secret, {**product.account(account), **more.pop("credentials", {})})
        return {
            "name": adapter,
            "adapter": adapter,
            "credentialsSecretRef": {"name": secret},
            "baseURL": backing.ORIGINS[adapter],
            **more,
        }

    def resource(self, *vendors, **spec):
        return {
            "apiVersion": "vendorsync.dev/v1alpha1",
            "kind": "VendorSync",
            "metadata": {"name": self.name, "namespace": self.namespace},
            "spec": {
                "organization": {
                    "id": self.organization,
                    "name": f"Organization {self.organization}",
                },
                "vendors": list(vendors),
                "schedule": ONCE_A_YEAR,
                **spec,
            },
        }

    def apply(self, *vendors, **spec):
        resource = self.resource(*vendors, **spec)
        self.stack.kubectl("apply", "--server-side", "-f", "-", input=json.dumps(resource))
        return resource

    def status(self):
        return self.stack.get("vs", self.name, self.namespace).get("status", {})

    def condition(self, kind):
        return next((c for c in self.status().get("conditions", ()) if c["type"] == kind), None)

    def await_condition(self, kind, status, reason=None, seconds=60):
        def reached():
            found = self.condition(kind)
            fits = found and found["status"] == status and reason in (None, found["reason"])
            return found if fits else None

        return until(reached, f"{kind}={status} {reason or ''}", seconds=seconds)

    def cron_job(self, vendor="solarman", stream="plants"):
        return f"{self.name}-{vendor}-{stream}"

    def await_cron_job(self, vendor="solarman", stream="plants"):
        name = self.cron_job(vendor, stream)

        def found():
            try:
                return self.stack.get("cronjob", name, self.namespace)
            except CommandError:
                return None

        return until(found, f"CronJob {name}")

    def start(self, vendor="solarman", stream="plants"):
        """Start a run by hand, as a person does; return the Job's name."""
        self.await_cron_job(vendor, stream)
        job = f"by-hand-{uuid.uuid4().hex[:8]}"
        cron_job = f"cronjob/{self.cron_job(vendor, stream)}"
        self.stack.kubectl("create", "job", job, f"--from={cron_job}", "-n", self.namespace)
        return job

    def result(self, job, seconds=90):
        """Wait until the status holds the result of a Job; return its entry."""

        def reported():
            vendors = self.status().get("vendors", ())
            return next((v for v in vendors if v.get("job") == job and v.get("result")), None)

        return until(reported, f"the result of {job} in the status", seconds=seconds)

    def run(self, vendor="solarman", stream="plants", seconds=90):
        return self.result(self.start(vendor, stream), seconds)

    def plants(self, columns="*"):
        return self.stack.query(
            f"select {columns} from plants where org_id = %s order by vendor_id, vendor_plant_id",  # noqa: S608
            self.organization,
        )

    def pods(self, job):
        return self.stack.items("pods", self.namespace, f"-l=batch.kubernetes.io/job-name={job}")


@contextmanager
def founded(stack):
    """A namespace and an organization of its own."""
    organization = next(ORGANIZATIONS)
    namespace = f"solar-{organization}"
    backing.apply(
        stack.cluster,
        backing.namespace(namespace),
        *product.organization_secrets(stack.cluster, namespace),
    )
    yield Solar(stack, namespace, organization)
    subprocess.run(
        [
            str(stack.cluster.binaries / "kubectl"),
            f"--kubeconfig={stack.cluster.kubeconfig}",
            f"--context={stack.cluster.context}",
            "delete", "vs", "--all", "-n", namespace, "--wait=false",
        ],
        check=True,
        capture_output=True,
    )  # fmt: skip


@pytest.fixture
def solar(stack):
    """A namespace and an organization of its own; faults and accounts are reset before."""
    stack.control("POST", "/reset")
    with founded(stack) as found:
        yield found


@pytest.fixture(scope="session")
def found(stack):
    """Makes further organizations, for those who need several or longer than a test."""
    with ExitStack() as made:
        yield lambda: made.enter_context(founded(stack))
