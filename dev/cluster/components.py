"""The parts of a local cluster: how each is started and configured.

Paths are those inside the machine: our files are in `/var/lib/vendorsync`, binaries in `/run/bin`.
Settings are written as JSON, which every reader of YAML understands.
"""

import json
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

SETTINGS = "/var/lib/vendorsync"
SERVICES = "10.96.0.0/16"
DNS_SERVICE = "10.96.0.10"
PODS = "10.244.0.0/16"
DOMAIN = "cluster.local"
PAUSE_IMAGE = "localhost/vendorsync/pause:1"
SOCKET = "/run/containerd/containerd.sock"
AUDIT_LOG = "audit.jsonl"
"""Below SETTINGS, in a cluster without nodes: every request as one or two lines of JSON."""

CONTROLLERS = (
    "clusterrole-aggregation-controller",
    "cronjob-controller",
    "deployment-controller",
    "disruption-controller",
    "endpoints-controller",
    "endpointslice-controller",
    "garbage-collector-controller",
    "job-controller",
    "namespace-controller",
    "node-lifecycle-controller",
    "pod-garbage-collector-controller",
    "replicaset-controller",
    "resourcequota-controller",
    "root-ca-certificate-publisher-controller",
    "serviceaccount-controller",
    "serviceaccount-token-controller",
    "statefulset-controller",
    "taint-eviction-controller",
    "ttl-after-finished-controller",
)


class Parts(Enum):
    """Which components a cluster has: all of them, or no nodes, or no controllers either."""

    ALL = "all"
    CONTROLLERS = "controllers"
    API = "api"

    @property
    def pods(self) -> bool:
        """Whether pods can run."""
        return self is Parts.ALL

    def includes(self, component: str) -> bool:
        """Tell whether a cluster of these parts has the component."""
        match self:
            case Parts.ALL:
                return True
            case Parts.CONTROLLERS:
                return component in (*_API, *_CONTROLLERS)
            case Parts.API:
                return component in _API


_API = ("etcd", "kube-apiserver")
_CONTROLLERS = ("kube-controller-manager", "kube-scheduler")


@dataclass(frozen=True, slots=True)
class Node:
    """The one node: its name, its address, and where its pods' control groups hang."""

    name: str
    address: str
    cgroup: str
    network_plugins: str

    @property
    def server(self) -> str:
        """The address of the API server."""
        return f"https://{self.address}:6443"


def first_commands(node: Node, parts: Parts = Parts.ALL) -> dict[str, list[str]]:
    """Return the components that need nothing else to be there."""
    commands = {
        "etcd": _command(
            "etcd",
            data_dir="/var/lib/etcd",
            listen_client_urls="http://127.0.0.1:2379",
            advertise_client_urls="http://127.0.0.1:2379",
            listen_peer_urls="http://127.0.0.1:2380",
            # A test cluster may lose its data with the machine; waiting for disks is most of etcd.
            unsafe_no_fsync=True,
            # The most that etcd's makers advise; the default of 2 GiB is full at about 50,000
            # objects of a few kB with the versions of the last five minutes.
            quota_backend_bytes=8 * 1024**3,
        ),
        "containerd": ["containerd", "--config", f"{SETTINGS}/containerd.toml"],
        "kube-apiserver": _command(
            "kube-apiserver",
            etcd_servers="http://127.0.0.1:2379",
            bind_address="0.0.0.0",  # noqa: S104  # of the cluster's own network
            advertise_address=node.address,
            secure_port=6443,
            cert_dir=f"{SETTINGS}/apiserver",
            service_account_issuer=f"https://kubernetes.default.svc.{DOMAIN}",
            service_account_key_file=f"{SETTINGS}/accounts.key",
            service_account_signing_key_file=f"{SETTINGS}/accounts.key",
            service_cluster_ip_range=SERVICES,
            authorization_mode="RBAC",
            token_auth_file=f"{SETTINGS}/tokens.csv",
            allow_privileged=True,
            kubelet_client_certificate=f"{SETTINGS}/kubelet-client.crt",
            kubelet_client_key=f"{SETTINGS}/kubelet-client.key",
            kubelet_preferred_address_types="InternalIP",
            **({} if parts.pods else _AUDIT),
        ),
    }
    return {name: argv for name, argv in commands.items() if parts.includes(name)}


def later_commands(node: Node, parts: Parts = Parts.ALL) -> dict[str, list[str]]:
    """Return the components that want the API server."""
    own = {"kubeconfig": f"{SETTINGS}/kubeconfig"}
    quiet = {"leader_elect": False, "bind_address": "127.0.0.1"}
    commands = {
        "kube-controller-manager": _command(
            "kube-controller-manager",
            controllers=",".join(CONTROLLERS),
            service_account_private_key_file=f"{SETTINGS}/accounts.key",
            root_ca_file=f"{SETTINGS}/apiserver/apiserver.crt",
            **own,
            **quiet,
        ),
        "kube-scheduler": _command("kube-scheduler", **own, **quiet),
        "kubelet": _command(
            "kubelet",
            config=f"{SETTINGS}/kubelet.json",
            cert_dir=f"{SETTINGS}/kubelet",
            node_ip=node.address,
            hostname_override=node.name,
            **own,
        ),
        "kube-proxy": _command("kube-proxy", config=f"{SETTINGS}/kube-proxy.json"),
        "coredns": ["coredns", "-conf", f"{SETTINGS}/Corefile"],
    }
    return {name: argv for name, argv in commands.items() if parts.includes(name)}


def settings_files(node: Node) -> dict[str, str]:
    """Return the settings files by their names below `SETTINGS`."""
    return {
        "containerd.toml": _containerd(node),
        "cni/10-pods.conflist": json.dumps(_NETWORK),
        "kubelet.json": json.dumps(_kubelet(node)),
        "kube-proxy.json": json.dumps(_kube_proxy(node)),
        "resolv.conf": "",
        "Corefile": _COREFILE.format(node=node, domain=DOMAIN, settings=SETTINGS),
        "audit-policy.json": json.dumps(_AUDIT_POLICY),
    }


def kubeconfig(context: str, *, server: str, token: str, authority: Path | str) -> str:
    """Return a kubeconfig with one context, for an administrator."""
    return json.dumps(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": context,
            "contexts": [{"name": context, "context": {"cluster": context, "user": context}}],
            "clusters": [
                {
                    "name": context,
                    "cluster": {"server": server, "certificate-authority": str(authority)},
                }
            ],
            "users": [{"name": context, "user": {"token": token}}],
        },
        indent=2,
    )


def name_service(node: Node) -> str:
    """Return the Service of the cluster's names, which CoreDNS serves outside of any pod."""
    metadata = {"name": "kube-dns", "namespace": "kube-system"}
    ports = [{"name": "dns", "port": 53, "protocol": "UDP"}]
    ports.append({"name": "dns-tcp", "port": 53, "protocol": "TCP"})
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": metadata,
        "spec": {"clusterIP": DNS_SERVICE, "ports": ports},
    }
    endpoints = {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {**metadata, "labels": {"kubernetes.io/service-name": "kube-dns"}},
        "addressType": "IPv4",
        "ports": ports,
        "endpoints": [{"addresses": [node.address], "conditions": {"ready": True}}],
    }
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": [service, endpoints]})


# A line is in the file before the request is worked on: `blocking` is the log's default mode.
_AUDIT = {
    "audit_policy_file": f"{SETTINGS}/audit-policy.json",
    "audit_log_path": f"{SETTINGS}/{AUDIT_LOG}",
    "audit_log_mode": "blocking",
    # In MB: never begin a new file, a reader holds its place in this one.
    "audit_log_maxsize": 1_000_000,
}
_AUDIT_POLICY = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "omitManagedFields": True,
    "rules": [
        {"level": "None", "nonResourceURLs": ["/healthz*", "/livez*", "/readyz*"]},
        # The API server's own requests to itself.
        {"level": "None", "users": ["system:apiserver"]},
        # Of an administrator, that there was a request; of all others how it ended, too.
        {
            "level": "Metadata",
            "userGroups": ["system:masters"],
            "omitStages": ["ResponseStarted", "ResponseComplete"],
        },
        {"level": "Metadata", "omitStages": ["ResponseStarted"]},
    ],
}

_NETWORK = {
    "cniVersion": "0.4.0",
    "name": "pods",
    "plugins": [
        {
            # Point to point rather than a bridge: all traffic is routed, so Services work without
            # the kernel's bridge filter, which is a setting of the whole machine.
            "type": "ptp",
            "ipMasq": True,
            "ipam": {
                "type": "host-local",
                "ranges": [[{"subnet": PODS}]],
                "routes": [{"dst": "0.0.0.0/0"}],
            },
        }
    ],
}

_COREFILE = """\
{domain}:53 in-addr.arpa:53 {{
    bind {node.address}
    errors
    ready {node.address}:8181
    kubernetes {{
        kubeconfig {settings}/kubeconfig
    }}
}}
.:53 {{
    bind {node.address}
    template ANY ANY {{
        rcode NXDOMAIN
    }}
}}
"""


def _containerd(node: Node) -> str:
    # Loading an AppArmor profile or making /opt/containerd would change the host.
    return f"""\
version = 2
disabled_plugins = ["io.containerd.internal.v1.opt"]
[grpc]
address = "{SOCKET}"
[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = "{PAUSE_IMAGE}"
disable_apparmor = true
# Without it no pod starts where root may not lower the score, as in a container.
restrict_oom_score_adj = true
[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = "{node.network_plugins}"
conf_dir = "{SETTINGS}/cni"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"
"""


def _kubelet(node: Node) -> dict[str, object]:
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": "0.0.0.0",  # noqa: S104  # of the cluster's own network
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": False},
            "x509": {"clientCAFile": f"{SETTINGS}/kubelet-client.crt"},
        },
        "authorization": {"mode": "AlwaysAllow"},
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": f"/{node.cgroup}",
        "clusterDNS": [DNS_SERVICE],
        "clusterDomain": DOMAIN,
        "containerRuntimeEndpoint": f"unix://{SOCKET}",
        "enforceNodeAllocatable": [],
        # A disk that is nearly full is no news to a developer, and no reason to lose the pods.
        "evictionHard": dict.fromkeys(
            ("imagefs.available", "imagefs.inodesFree", "nodefs.available", "nodefs.inodesFree"),
            "0%",
        ),
        "failCgroupV1": False,
        "failSwapOn": False,
        # Nothing could be pulled again.
        "imageGCHighThresholdPercent": 100,
        "oomScoreAdj": 0,
        "resolvConf": f"{SETTINGS}/resolv.conf",
        "volumePluginDir": "/var/lib/kubelet/volume-plugins",
    }


def _kube_proxy(node: Node) -> dict[str, object]:
    return {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "clientConnection": {"kubeconfig": f"{SETTINGS}/kubeconfig"},
        "clusterCIDR": PODS,
        # Zero leaves the kernel's tables as the host has them.
        "conntrack": {
            "maxPerCore": 0,
            "tcpCloseWaitTimeout": "0s",
            "tcpEstablishedTimeout": "0s",
        },
        "healthzBindAddress": f"{node.address}:10256",
        "hostnameOverride": node.name,
        "iptables": {"minSyncPeriod": "0s"},
        "metricsBindAddress": "127.0.0.1:10249",
        "mode": "iptables",
        "oomScoreAdj": 0,
    }


def _command(program: str, **flags: object) -> list[str]:
    def text(value: object) -> str:
        return str(value).lower() if isinstance(value, bool) else str(value)

    return [program, *(f"--{name.replace('_', '-')}={text(flags[name])}" for name in flags)]
