"""A port of the cluster on 127.0.0.1, through kubectl port-forward."""

from __future__ import annotations

import os
import re
import subprocess
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dev.cluster import Cluster


@contextmanager
def forward(cluster: Cluster, namespace: str, target: str, port: int) -> Iterator[int]:
    """Lend a local port that leads to `target` (such as `service/database`) while open."""
    command = [
        str(cluster.binaries / "kubectl"),
        f"--context={cluster.context}",
        "port-forward",
        f"--namespace={namespace}",
        target,
        f":{port}",
    ]
    with subprocess.Popen(
        command,
        env={**os.environ, **cluster.environment()},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        assert process.stdout is not None  # noqa: S101 - asked for above
        line = process.stdout.readline()
        found = re.search(r"127\.0\.0\.1:(\d+)", line)
        if not found:
            raise ConnectionError(f"kubectl port-forward {target}: {line.strip()}")
        # kubectl says a line for each connection; unread, they would fill the pipe and block it.
        reader = threading.Thread(target=process.stdout.read)
        reader.start()
        try:
            yield int(found[1])
        finally:
            process.terminate()
            reader.join()
