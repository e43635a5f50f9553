"""`python -m dev.demo up|down`: what `make demo` and `make demo-down` call."""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from typing import TYPE_CHECKING, Any

from dev.cluster import Cluster, ClusterError, NoClusterError, choose
from dev.demo import organizations
from dev.demo.organizations import NAMESPACE
from dev.stack import backing, images, product
from dev.stack.waiting import until

if TYPE_CHECKING:
    from collections.abc import Iterable

ROWS = (
    "select o.name as organization, v.name as vendor, count(*) as plants,"
    " round(sum(capacity_kw)) as kw from plants p join vendors v on v.id = p.vendor_id"
    " join organizations o on o.id = p.org_id group by 1, 2 order by 1, 2"
)
ALERTS = (
    "select v.name as vendor, a.status, a.severity, count(*) as alerts from alerts a"
    " join vendors v on v.id = a.vendor_id group by 1, 2, 3 order by 1, 2, 3"
)
FIVE = (
    "select vendor_plant_id, name, capacity_kw, time_zone, address from plants"
    " order by vendor_id, vendor_plant_id limit 5"
)
NO_CLUSTER = """\
No cluster can be had here, so the demo cannot run:
  {error}
`make try` needs neither Docker nor root: it runs the sync job alone, against the simulated vendors
and a PostgreSQL of its own.
"""


def main() -> int:
    """Do what the command line says; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m dev.demo", description=__doc__)
    parser.add_argument("verb", choices=["up", "down"])
    verb = parser.parse_args().verb
    try:
        cluster = choose()
        if verb == "down":
            cluster.down()
        else:
            Demo(cluster).run()
    except NoClusterError as error:
        print(NO_CLUSTER.format(error=error), file=sys.stderr)
        return error.exit_code
    except (ClusterError, TimeoutError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 70
    return 0


class Demo:
    """One pass through the demo; everything it makes may be there already."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.started = time.monotonic()

    def run(self) -> None:
        """Bring everything up, run each vendor once and show what there is to see."""
        self.cluster.up()
        self.say("building the images that changed")
        images.load(self.cluster)
        self.say("starting PostgreSQL and the simulated vendors")
        backing.start(self.cluster)
        self.say("installing the operator with Helm, and the database's schema")
        product.install(self.cluster)
        self.say("applying two organizations, as they are at first")
        backing.apply(
            self.cluster,
            backing.namespace(NAMESPACE),
            *organizations.secrets(self.cluster),
            *organizations.resources(),
        )
        context = self.cluster.context
        self.cluster.kubectl("config", "set-context", context, f"--namespace={NAMESPACE}")
        cron_jobs = until(self.cron_jobs, "a CronJob for each vendor")
        started = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        for stream in ("plants", "alerts"):
            chosen = [name for name in cron_jobs if name.endswith(f"-{stream}")]
            for name in chosen:
                self.start(name)
            self.await_runs(set(chosen), started)
        self.show()

    def say(self, text: str) -> None:
        """Print a line of progress."""
        print(f"[{time.monotonic() - self.started:6.1f}s] {text}", flush=True)

    def cron_jobs(self) -> list[str]:
        """Return the names of the demo's CronJobs once all of them are there."""
        found = json.loads(self.cluster.kubectl("get", "cronjobs", "-n", NAMESPACE, "-o", "json"))
        wanted = organizations.cron_jobs()
        there = {item["metadata"]["name"] for item in found["items"]}
        return wanted if there.issuperset(wanted) else []

    def start(self, cron_job: str) -> None:
        """Start a run by hand, as a person would."""
        job = f"{cron_job}-by-hand-{time.strftime('%H%M%S')}"
        self.say(f"$ kubectl create job {job} --from=cronjob/{cron_job} -n {NAMESPACE}")
        self.cluster.kubectl("create", "job", job, f"--from=cronjob/{cron_job}", "-n", NAMESPACE)

    def await_runs(self, cron_jobs: set[str], started: str) -> None:
        """Wait until the status has a result of each vendor since then, saying each as it comes.

        It need not be that of the run by hand: a tick of the schedule may come right after it.
        """
        seen: set[str] = set()

        def all_reported() -> bool:
            for cron_job, vendor in self.vendor_statuses():
                ended = vendor.get("completionTime", "")
                if cron_job in cron_jobs - seen and ended >= started:
                    seen.add(cron_job)
                    self.say(f"{vendor['job']}: {vendor['result']} ({vendor['reason']})")
            return seen == cron_jobs

        until(all_reported, "a result of every run in the status", seconds=180, every=0.5)

    def vendor_statuses(self) -> Iterable[tuple[str, dict[str, Any]]]:
        """Yield the CronJob's name and the status of every vendor of every resource."""
        found = json.loads(self.cluster.kubectl("get", "vs", "-n", NAMESPACE, "-o", "json"))
        for item in found["items"]:
            for vendor in item.get("status", {}).get("vendors", ()):
                name = item["metadata"]["name"]
                yield f"{name}-{vendor['name']}-{vendor['stream']}", vendor

    def show(self) -> None:
        """Print the tour."""
        self.say("done; this is what there is to see")
        self.shell("get", "vs", "-n", NAMESPACE)
        degraded = '{range .status.conditions[?(@.type=="Degraded")]}{.reason}: {.message}{end}'
        self.shell("get", "vs", "organization-b", "-n", NAMESPACE, "-o", f"jsonpath={degraded}")
        for query in (ROWS, FIVE, ALERTS):
            self.shell(
                "exec", "-n", backing.NAMESPACE, "deploy/database", "--", "psql", "-c", query
            )
        print(self.next_steps(), flush=True)

    def shell(self, *arguments: str) -> None:
        """Print a kubectl command and what it prints."""
        shown = " ".join(f"'{a}'" if " " in a or "{" in a else a for a in arguments)
        print(f"\n$ kubectl {shown}\n{self.cluster.kubectl(*arguments).rstrip()}", flush=True)

    def next_steps(self) -> str:
        """Return the commands to try next."""
        patch = json.dumps({"stringData": {"password": product.account("sim-south")["password"]}})
        return f"""
Try next (the first line points kubectl at this cluster):
  eval "$(make -s env)"
  kubectl explain vendorsync.spec.schedule
  kubectl patch secret organization-b-solarman -n {NAMESPACE} -p '{patch}'
  kubectl create job fixed-$(date +%s) --from=cronjob/organization-b-solarman-plants -n {NAMESPACE}
`make demo-down` removes everything."""


if __name__ == "__main__":
    os.environ.setdefault("PYTHONUNBUFFERED", "1")
    sys.exit(main())
