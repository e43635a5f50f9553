"""Thousands of organizations in seconds: one is made through the API, the others copied in etcd.

A copy differs in name, id, uids and hashes, each as long as the original's, so the stored bytes
stay whole. The API server learns of copies by its own watch of etcd, and serves them like others.
"""

from __future__ import annotations

import json
import subprocess
import sys
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from bench import etcd
from bench.organizations import resource, written
from dev.lock.folder import ROOT
from vendorsync_api.group import GROUP, PLURAL
from vendorsync_api.run import HASH_ANNOTATION

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from dev.cluster.machine import Machine
    from vendorsync_operator.settings import Settings

Document = dict[str, Any]
Pair = tuple[bytes, bytes]
"""Key and value in etcd."""

COLLECTIONS: Final = (f"{GROUP}/{PLURAL}", "cronjobs", "jobs")


@dataclass(frozen=True)
class Original:
    """An organization as it lives and as it is stored; `uids` are those of its parts."""

    live: Document
    hashes: tuple[str, ...]
    """Of its CronJobs as rendered, in the order of their names."""
    stored: tuple[Pair, ...]
    uids: tuple[str, ...]

    @classmethod
    async def read(
        cls, live: Document, parts: Iterable[Document], machine: Machine, settings: Settings
    ) -> Original:
        """Read what is stored of a resource and of its CronJobs and Jobs, its parts."""
        metadata = live["metadata"]
        place = f"{metadata['namespace']}/{metadata['name']}"
        return cls(
            live,
            await _hashes(live, settings),
            tuple(
                pair for each in COLLECTIONS for pair in _get(machine, f"/registry/{each}/{place}")
            ),
            tuple(each["metadata"]["uid"] for each in parts),
        )

    async def copy(self, number: int, settings: Settings) -> Iterator[Pair]:
        """Return what is to be stored for the organization of another number."""
        metadata, spec = self.live["metadata"], self.live["spec"]
        other = resource(number, metadata["namespace"], spec["schedule"])
        changes = {
            metadata["name"]: other["metadata"]["name"],
            spec["organization"]["name"]: other["spec"]["organization"]["name"],
            str(spec["organization"]["id"]): str(other["spec"]["organization"]["id"]),
        }
        changes |= {uid: str(uuid.uuid4()) for uid in (metadata["uid"], *self.uids)}
        copied = json.loads(_changed(json.dumps(self.live).encode(), changes))
        changes |= zip(self.hashes, await _hashes(copied, settings), strict=True)
        return ((_changed(key, changes), _changed(value, changes)) for key, value in self.stored)


async def _hashes(live: Document, settings: Settings) -> tuple[str, ...]:
    made = await written(live, settings, with_jobs=False)
    ordered = [made.cron_jobs[name] for name in sorted(made.cron_jobs)]
    return tuple(each["metadata"]["annotations"][HASH_ANNOTATION] for each in ordered)


def _changed(text: bytes, changes: dict[str, str]) -> bytes:
    for old, new in changes.items():
        if len(old) != len(new):
            raise ValueError(f"{new!r} is not as long as {old!r}, which the stored bytes need")
        text = text.replace(old.encode(), new.encode())
    return text


async def store(
    original: Original, numbers: Iterable[int], machine: Machine, settings: Settings
) -> None:
    """Store a copy for each number."""
    with subprocess.Popen(
        machine.entering(_etcd("put")), stdin=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None  # noqa: S101 - tells the type checker
        for number in numbers:
            for key, value in await original.copy(number, settings):
                process.stdin.write(etcd.encoded(key, value))
    if process.returncode:
        raise RuntimeError(f"etcd did not store the copies: code {process.returncode}")


def _get(machine: Machine, prefix: str) -> Iterator[Pair]:
    done = subprocess.run(
        machine.entering(_etcd("get", prefix)), check=True, capture_output=True, text=True
    )
    return map(etcd.decoded, map(json.loads, done.stdout.splitlines()))


def _etcd(*arguments: str) -> list[str]:
    # Inside, the working directory is another one.
    return ["env", f"--chdir={ROOT}", sys.executable, "-m", etcd.__name__, *arguments]
