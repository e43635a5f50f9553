"""kwok beside a cluster: nodes that exist in the API alone, and the pods on them."""

from __future__ import annotations

import json
import subprocess
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from dev.building import KWOK, ensure
from dev.cluster.command import wait_until
from dev.cluster.errors import NotReadyError
from dev.nodes.stages import LABEL, Runs, documents

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dev.cluster.cluster import Cluster

LEASE_SECONDS: Final = 40
PARALLEL: Final = 16
"""Pods whose next status kwok works out at once."""


@dataclass(frozen=True)
class Nodes:
    """Nodes that a running kwok keeps alive."""

    names: tuple[str, ...]
    process: subprocess.Popen[bytes]
    log: Path


@contextmanager
def nodes(cluster: Cluster, count: int = 2, runs: Runs | None = None) -> Iterator[Nodes]:
    """Add nodes on which Jobs' pods run and end as `runs` says, until the block ends.

    The first time on a machine builds kwok. The nodes stay in the API; without kwok they turn
    NotReady after a minute. Raises ClusterError when kwok ends or the nodes do not become ready.
    """
    program = ensure(KWOK, cluster.progress)
    names = tuple(f"pretends-{number}" for number in range(count))
    with tempfile.TemporaryDirectory(prefix="vendorsync-nodes-") as scratch:
        settings, log = Path(scratch) / "kwok.yaml", Path(scratch) / "kwok.log"
        settings.write_text(configuration(runs or Runs()))
        cluster.kubectl("apply", "--filename=-", input=json.dumps(_list(names)))
        with log.open("wb") as output:
            process = subprocess.Popen(
                [program, f"--config={settings}", f"--kubeconfig={cluster.kubeconfig}"],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd=scratch,
                # Its home is the scratch folder: kwok reads settings of the user's own otherwise.
                env={"HOME": scratch, **_direct(cluster)},
                start_new_session=True,  # Ctrl-C is for us, we end it
            )
        try:
            running = Nodes(names, process, log)
            _await_ready(cluster, running)
            yield running
        finally:
            # Nothing of it is to be kept: what it knows is in the API.
            process.kill()
            process.wait()


def configuration(runs: Runs) -> str:
    """Return kwok's configuration file, a document after the other."""
    options = {
        "apiVersion": "config.kwok.x-k8s.io/v1alpha1",
        "kind": "KwokConfiguration",
        "options": {
            "manageAllNodes": False,
            "manageNodesWithLabelSelector": LABEL,
            "nodeLeaseDurationSeconds": LEASE_SECONDS,
            "nodeLeaseParallelism": 1,
            "nodePlayStageParallelism": 1,
            "podPlayStageParallelism": PARALLEL,
            "podsOnNodeSyncParallelism": PARALLEL,
            "enablePodsOnNodeSyncStreamWatch": True,
        },
    }
    return "\n---\n".join(json.dumps(each) for each in (options, *documents(runs)))


def _list(names: tuple[str, ...]) -> dict[str, Any]:
    items = [
        {
            "apiVersion": "v1",
            "kind": "Node",
            "metadata": {"name": name, "labels": {LABEL: "true", "kubernetes.io/os": "linux"}},
        }
        for name in names
    ]
    return {"apiVersion": "v1", "kind": "List", "items": items}


def _direct(cluster: Cluster) -> dict[str, str]:
    """Keep the environment's proxies away from the cluster's own network."""
    found = cluster.environment()
    return {name: found[name] for name in ("PATH", "NO_PROXY") if name in found}


def _await_ready(cluster: Cluster, running: Nodes) -> None:
    def ready() -> bool:
        if running.process.poll() is not None:
            raise NotReadyError(f"kwok ended by itself. {_tail(running.log)}")
        found = json.loads(cluster.kubectl("get", "nodes", f"--selector={LABEL}", "--output=json"))
        return sum(map(_is_ready, found["items"])) == len(running.names)

    wait_until(ready, what="the nodes that kwok keeps", hint=lambda: _tail(running.log))


def _is_ready(node: dict[str, Any]) -> bool:
    # The taint goes last; until then no pod is put there.
    conditions = node.get("status", {}).get("conditions", ())
    is_ready = any((each["type"], each["status"]) == ("Ready", "True") for each in conditions)
    return is_ready and not node["spec"].get("taints")


def _tail(log: Path, lines: int = 12) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-lines:])
