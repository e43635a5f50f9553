"""The provider `local`: real Kubernetes processes on this Linux machine, as root."""

import json
import secrets
from collections.abc import Callable
from dataclasses import asdict
from functools import cached_property, partial
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.request import ProxyHandler, build_opener

from dev.cluster import components, images, packages, toolchain
from dev.cluster.cluster import Cluster
from dev.cluster.command import run, succeeds, wait_until
from dev.cluster.components import Node, Parts
from dev.cluster.errors import ClusterError
from dev.cluster.images import Image
from dev.cluster.machine import Machine
from dev.cluster.progress import Progress
from dev.cluster.toolchain import Binary

_CTR = ["ctr", "--address", components.SOCKET, "--namespace", "k8s.io"]


class LocalCluster(Cluster):
    """A cluster of one node, in a machine of its own on this one; or its control plane alone."""

    provider = "local"

    def __init__(
        self, name: str, progress: Progress | None = None, *, parts: Parts = Parts.ALL
    ) -> None:
        super().__init__(name, progress)
        self.parts = parts

    @cached_property
    def machine(self) -> Machine:
        """The network, mounts and processes it lives in."""
        return Machine(self.folder)

    @property
    def running(self) -> bool:
        """Whether a start was finished, all components live and the API server answers."""
        return self._finished.exists() and self.machine.whole and self.ready()

    @property
    def audit_log(self) -> Path:
        """The file of all requests, one or two lines of JSON each; only of a cluster without nodes.

        Each is in it before it is worked on (stage RequestReceived); those of others than
        administrators once more with their answer's code (ResponseComplete).
        """
        return self._settings / components.AUDIT_LOG

    @property
    def host_address(self) -> str:
        """The host's end of the link between the two."""
        return str(self._facts()["host"])

    def pids(self) -> dict[str, int]:
        """Return the process id of each running component, by its name."""
        return self.machine.pids()

    def restart(self, component: str) -> None:
        """Kill one component and start it again, as a test of faults wants it."""
        self.end(component)
        self.begin(component)

    def end(self, component: str) -> None:
        """Kill one component; nothing starts it again but `begin`."""
        self._command(component)
        self.machine.end(component)

    def begin(self, component: str) -> None:
        """Start one component that was ended; do not wait until it answers."""
        command = self._command(component)
        if component in self.pids():
            raise ClusterError(f"{component} of {self.context} runs already: end it first.")
        self.machine.spawn(component, command)

    def pause(self, component: str) -> None:
        """Stop one component where it stands (SIGSTOP); its connections stay open and silent."""
        self._command(component)
        self.machine.pause(component)

    def resume(self, component: str) -> None:
        """Let a paused component go on."""
        self._command(component)
        self.machine.resume(component)

    def up(self) -> None:
        """Start it, after removing what a killed start may have left."""
        with self._alone():
            if self.running and self._started_parts() is self.parts:
                self.progress.say(f"{self.context} is up")
                return
            packages.ensure(_missing_packages(self.parts), self.progress)
            binaries = toolchain.ensure_binaries(_binaries(self.parts), self.progress)
            if self.machine.exists:
                self.progress.say("removing what an earlier start left")
                self.machine.stop()
            self.progress.say(f"starting Kubernetes {toolchain.kubernetes_version()}")
            try:
                self._start(binaries)
            except BaseException:
                self.machine.kill()
                raise
            self.progress.say(f"{self.context} is ready")

    def down(self) -> None:
        """End every process and remove every trace."""
        with self._alone():
            if not self.machine.exists:
                self.progress.say(f"{self.context}: nothing to remove")
                return
            self.machine.stop()
            self.progress.say(f"{self.context} is gone")

    def build_and_load(self, *wanted: Image) -> None:
        """Build with buildah what changed, and import what the node lacks."""
        packages.ensure(packages.missing_packages(packages.IMAGE_PROGRAMS), self.progress)
        self._require_running()
        archives = {
            image.reference: images.ensure_archive(image, self.progress) for image in wanted
        }
        digests = {name: archive.stem for name, archive in archives.items()}
        for name in self._load_missing(digests):
            self.progress.say(f"loading {name}")
            self._import(archives[name], name)
            self._note_loaded({name: digests[name]})

    def _start(self, binaries: Path) -> None:
        link = self.machine.start(binaries, pods=self.parts.pods)
        node = Node(
            name=f"{self.context}-node",
            address=link.node,
            cgroup=self.machine.cgroup,
            network_plugins=str(packages.network_plugins()),
        )
        self._furnish(node)
        for name, argv in components.first_commands(node, self.parts).items():
            self.machine.spawn(name, argv)
        if self.parts.pods:
            pause = self.machine.folder / "pause.tar"
            images.write_single_binary(pause, binaries / "pause", components.PAUSE_IMAGE)
            self._wait("containerd", lambda: succeeds(self.machine.entering([*_CTR, "version"])))
            self._import(pause, components.PAUSE_IMAGE)
        self._wait("kube-apiserver", self.ready)
        for name, argv in components.later_commands(node, self.parts).items():
            self.machine.spawn(name, argv)
        if self.parts is not Parts.API:
            for wanted in ("serviceaccount/default", "configmap/kube-root-ca.crt"):
                self._wait("kube-controller-manager", partial(self._has, wanted))
        if self.parts.pods:
            self.kubectl("apply", "--filename=-", input=components.name_service(node))
            self._wait_for_pods_to_be_welcome(node)
        facts = {"host": link.host, "parts": self.parts.value, "node": asdict(node)}
        # Written last: without it the next run takes the cluster for half started.
        self._finished.write_text(json.dumps(facts))

    def _wait_for_pods_to_be_welcome(self, node: Node) -> None:
        self._wait("kube-controller-manager", partial(self._has, f"node/{node.name}"))
        self.kubectl("wait", "--for=condition=Ready", f"node/{node.name}", "--timeout=60s")
        for component, url in (
            ("coredns", f"http://{node.address}:8181/ready"),
            ("kube-proxy", f"http://{node.address}:10256/healthz"),
        ):
            self._wait(component, partial(_answers, url))

    def _has(self, wanted: str) -> bool:
        return bool(
            self.kubectl("get", wanted, "--namespace=default", "--ignore-not-found", "-oname")
        )

    def _wait(self, component: str, condition: Callable[[], bool]) -> None:
        def reached() -> bool:
            self.machine.require_alive(component)
            return condition()

        wait_until(reached, what=component, hint=lambda: self.machine.log_tail(component))

    def _furnish(self, node: Node) -> None:
        """Write settings, keys and the two kubeconfigs."""
        self.folder.chmod(0o700)
        inside = Path(components.SETTINGS)
        settings = self._settings
        token = secrets.token_hex(16)
        files = components.settings_files(node)
        files["tokens.csv"] = f"{token},admin,admin,system:masters\n"
        authority = Path("apiserver") / "apiserver.crt"
        for path, authority_path in (
            (settings / "kubeconfig", inside / authority),
            (self.kubeconfig, settings / authority),
        ):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(
                components.kubeconfig(
                    self.context, server=node.server, token=token, authority=authority_path
                )
            )
        for name, text in files.items():
            path = settings / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        _write_keys(settings)

    @property
    def _settings(self) -> Path:
        return self.machine.lib / Path(components.SETTINGS).name

    def _command(self, component: str) -> list[str]:
        """Return the command line of a component that this cluster has."""
        node, parts = Node(**self._facts()["node"]), self._started_parts()
        commands = components.first_commands(node, parts) | components.later_commands(node, parts)
        if component not in commands:
            raise ClusterError(
                f"{self.context} has no component {component!r}; it has {', '.join(commands)}."
            )
        return commands[component]

    def _started_parts(self) -> Parts:
        return Parts(self._facts().get("parts", Parts.ALL.value))

    @property
    def _finished(self) -> Path:
        return self.folder / "cluster.json"

    def _facts(self) -> dict[str, Any]:
        if not self._finished.exists():
            raise ClusterError(f"{self.context} is not up: start it first.")
        return dict(json.loads(self._finished.read_text()))

    def _import(self, archive: Path, name: str) -> None:
        ctr = self.machine.entering([*_CTR, "images"])
        run([*ctr, "import", "-"], stdin=archive)
        # The kubelet sees an image only once containerd's Kubernetes part has taken note of it.
        known = [*ctr, "list", "--quiet", f'name=={name},labels."io.cri-containerd.image"==managed']
        wait_until(lambda: bool(run(known).strip()), what=f"the image {name} on the node")


def _answers(url: str) -> bool:
    try:
        # Without the proxies of the environment, which know nothing of our network.
        with build_opener(ProxyHandler({})).open(url, timeout=1) as answer:
            return bool(answer.status == HTTPStatus.OK)
    except OSError:
        return False


def _missing_packages(parts: Parts) -> list[str]:
    if not parts.pods:
        return packages.missing_packages(packages.MACHINE_PROGRAMS)
    missing = packages.missing_packages(packages.NODE_PROGRAMS)
    return missing if packages.network_plugins() else [*missing, "containernetworking-plugins"]


def _binaries(parts: Parts) -> list[Binary]:
    """Return what to build: without nodes the components themselves, and what any cluster needs."""
    always = ("pause", "kubectl", "helm")
    return [
        binary
        for binary in toolchain.LOCAL_BINARIES
        if binary.name in always or parts.includes(binary.name)
    ]


def _write_keys(folder: Path) -> None:
    """Make the key that signs service accounts, and a certificate for calls to the kubelet."""
    signing = "ecparam -name prime256v1 -genkey -noout -out accounts.key"
    # The kubelet trusts exactly this certificate, so it needs no authority.
    calling = (
        "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 3650 "
        "-subj /O=system:masters/CN=kube-apiserver "
        "-keyout kubelet-client.key -out kubelet-client.crt"
    )
    for words in (signing, calling):
        run(["openssl", *words.split()], cwd=folder)
