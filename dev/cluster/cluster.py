"""What every cluster can do, wherever it runs."""

import json
import os
import shlex
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path

from dev.cluster import subnet, toolchain
from dev.cluster.command import run, succeeds
from dev.cluster.context import context_name, require_ours
from dev.cluster.errors import ClusterError
from dev.cluster.folders import locked, state_folder
from dev.cluster.images import Image
from dev.cluster.progress import Progress


class Cluster(ABC):
    """One named cluster of one provider; making the object starts nothing."""

    provider: str

    def __init__(self, name: str, progress: Progress | None = None) -> None:
        self.name = name
        self.context = context_name(self.provider, name)
        # Here, so that demo, tests and benchmarks cannot work on any other.
        require_ours(self.context)
        self.folder = state_folder() / self.context
        self.kubeconfig = self.folder / "kubeconfig"
        self.progress = progress or Progress()

    @property
    @abstractmethod
    def running(self) -> bool:
        """Whether it is up and answers."""

    @property
    @abstractmethod
    def host_address(self) -> str:
        """The address at which pods reach servers of this machine."""

    @abstractmethod
    def up(self) -> None:
        """Start it and wait until it is ready; a running one is left as it is."""

    @abstractmethod
    def down(self) -> None:
        """Remove it with all it holds; safe to repeat."""

    @abstractmethod
    def build_and_load(self, *wanted: Image) -> None:
        """Build what changed of `wanted` and put it on the node."""

    @cached_property
    def binaries(self) -> Path:
        """The folder of kubectl and helm, built on first use."""
        return toolchain.ensure_binaries((toolchain.KUBECTL, toolchain.HELM), self.progress)

    def kubectl(self, *args: str, input: str | None = None, timeout: float = 300) -> str:  # noqa: A002
        """Run kubectl against this cluster and return what it prints."""
        return run(
            [self.binaries / "kubectl", *self._target("--context"), *args],
            stdin=input,
            env={**os.environ, **self.environment()},
            timeout=timeout,
        )

    def helm(self, *args: str, timeout: float = 300) -> str:
        """Run helm against this cluster and return what it prints."""
        return run(
            [self.binaries / "helm", *self._target("--kube-context"), *args],
            env={**os.environ, **self.environment()},
            timeout=timeout,
        )

    def ready(self) -> bool:
        """Ask the API server once."""
        argv = [str(self.binaries / "kubectl"), *self._target("--context"), "get", "--raw=/readyz"]
        env = {**os.environ, **self.environment()}
        return self.kubeconfig.exists() and succeeds(argv, timeout=5, env=env)

    def environment(self, environ: Mapping[str, str] = os.environ) -> dict[str, str]:
        """Return the variables that point kubectl and helm at this cluster."""
        path = environ.get("PATH", "").split(os.pathsep)
        first = str(self.binaries)
        rest = [folder for folder in path if folder != first]
        found = {
            "KUBECONFIG": str(self.kubeconfig),
            # What kubectl remembers of an API must not outlive the cluster.
            "KUBECACHEDIR": str(self.folder / "kubectl"),
            "PATH": os.pathsep.join([first, *rest]),
        }
        if any(name.upper() == "HTTPS_PROXY" for name in environ):
            direct = environ.get("NO_PROXY") or environ.get("no_proxy") or ""
            ours = [f"127.0.0.1,{subnet.LINKS}"]
            found["NO_PROXY"] = ",".join(dict.fromkeys([*filter(None, direct.split(",")), *ours]))
        return found

    def exports(self) -> str:
        """Return `environment` as lines for a shell to evaluate."""
        lines = (f"export {name}={shlex.quote(v)}" for name, v in self.environment().items())
        return "\n".join(lines)

    def status(self) -> str:
        """Say in one line what there is."""
        state = "up" if self.running else "half there" if self.folder.exists() else "down"
        return f"{self.context}: {state}, kubeconfig {self.kubeconfig}"

    def _target(self, flag: str) -> list[str]:
        return [f"--kubeconfig={self.kubeconfig}", f"{flag}={self.context}"]

    def _require_running(self) -> None:
        if not self.running:
            raise ClusterError(f"{self.context} is not up: start it with `dev.cluster up` first.")

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Keep other runs off this cluster for the while."""
        with locked(
            self.folder.with_suffix(".lock"),
            lambda: self.progress.say(f"another process works on {self.context}; waiting for it"),
        ):
            yield

    def _load_missing(self, wanted: Mapping[str, str]) -> dict[str, str]:
        """Return those of the digests by image name that the node does not have yet."""
        try:
            loaded = json.loads(self._loaded.read_text())
        except FileNotFoundError:
            loaded = {}
        return {name: digest for name, digest in wanted.items() if loaded.get(name) != digest}

    def _note_loaded(self, digests: Mapping[str, str]) -> None:
        loaded = json.loads(self._loaded.read_text()) if self._loaded.exists() else {}
        self._loaded.write_text(json.dumps({**loaded, **digests}, indent=2))

    @property
    def _loaded(self) -> Path:
        return self.folder / "images.json"
