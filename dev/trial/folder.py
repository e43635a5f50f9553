"""A run's contract and Secrets as files, laid out as a pod finds them."""

from __future__ import annotations

import base64
import json
import secrets
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from dev.cluster.folders import locked
from dev.stack.product import account

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path


_MARK: Final = ".trial"


class FolderError(Exception):
    """A folder that a trial cannot use; the text says why and what to do."""


@dataclass(frozen=True)
class TrialFolder:
    """What `python -m vendorsync_job --spec … --mounts …` reads."""

    path: Path

    @property
    def spec(self) -> Path:
        """The RunSpec."""
        return self.path / "run.json"

    @property
    def alerts(self) -> Path:
        """The RunSpec of the vendor's alerts."""
        return self.path / "run-alerts.json"

    @property
    def arguments(self) -> list[str]:
        """The options that point the job here."""
        return ["--spec", str(self.spec), "--mounts", str(self.path)]

    def write(self, part: str, values: Mapping[str, str]) -> None:
        """Write one Secret: a folder with a file for each key."""
        folder = self.path / part
        folder.mkdir(parents=True, exist_ok=True)
        for key, value in values.items():
            (folder / key).write_text(value)


@contextmanager
def claimed(path: Path) -> Iterator[Path]:
    """Lend a folder to one trial at a time: a new one, an empty one, or that of an earlier trial.

    Raises FolderError for any other, since the files of a trial have common names.
    """
    mark = path / _MARK
    if path.exists() and not mark.exists() and any(path.iterdir()):
        raise FolderError(f"{path} holds other files; name a new folder")

    def refuse() -> None:
        raise FolderError(f"a trial is using {path}; name another folder")

    with locked(mark, waiting=refuse):
        yield path


def trial_folder(path: Path, *, origin: str, ca: str, url: str) -> TrialFolder:
    """Write the files of a run of the simulated Solarman account `sim-north`."""
    folder = TrialFolder(path)
    folder.write("credentials", account("sim-north"))
    folder.write("database", {"url": url})
    folder.write("ca", {"ca.crt": ca})
    folder.write(
        "token-keys",
        {
            "current": "k1",
            "k1": base64.b64encode(secrets.token_bytes(32)).decode(),
            "fingerprint": base64.b64encode(secrets.token_bytes(32)).decode(),
        },
    )
    spec = {
        "resource": {"namespace": "trial", "name": "organization-a"},
        "organization": {"id": 3, "name": "Organization A"},
        "vendor": {"name": "solarman", "adapter": "solarman", "baseURL": origin},
        "credentials": {"name": "organization-a-solarman"},
        "database": {"name": "vendorsync-database", "keys": ["url"]},
        "allowedEndpoints": [
            {"adapter": "solarman", "origin": origin, "allowPrivate": True, "caSecret": "ca"}
        ],
    }
    folder.spec.write_text(json.dumps(spec, indent=2))
    folder.alerts.write_text(json.dumps({**spec, "stream": "alerts"}, indent=2))
    return folder
