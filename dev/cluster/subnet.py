"""A small network between the host and one local cluster, apart from all others."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from ipaddress import IPv4Network

from dev.cluster.command import run
from dev.cluster.errors import ClusterError, CommandError

# 256 networks of four addresses each, in a private range that few others use.
LINKS = IPv4Network("10.213.0.0/22")


@dataclass(frozen=True, slots=True)
class Link:
    """A cable with two ends: `host` on this machine, `node` in the cluster's network."""

    interface: str
    host: str
    node: str
    prefix: int


def free_links(taken: Iterable[IPv4Network]) -> Iterator[Link]:
    """Yield the links whose addresses overlap with nothing in `taken`, first to last."""
    used = list(taken)
    for number, network in enumerate(LINKS.subnets(new_prefix=30)):
        if not any(network.overlaps(other) for other in used):
            host, node = map(str, network.hosts())
            yield Link(f"vsync{number}", host, node, network.prefixlen)


def networks_in_use() -> list[IPv4Network]:
    """Return every network this machine has an address in or a route to."""
    routes = json.loads(run(["ip", "-json", "-4", "route", "show", "table", "all"]) or "[]")
    destinations = (route["dst"] for route in routes)
    return [
        IPv4Network(destination, strict=False)
        for destination in destinations
        if destination != "default"
    ]


def connect(pid: int) -> Link:
    """Lay a link between the host and the network of process `pid`; it ends with that network.

    The kernel refuses a second interface of one name, so two clusters never get the same link.
    """
    for link in free_links(networks_in_use()):
        name = link.interface
        ends = ["type", "veth", "peer", "name", "eth0", "netns", str(pid)]
        try:
            run(["ip", "link", "add", name, *ends])
        except CommandError as error:
            if "File exists" in str(error):
                continue
            raise
        run(["ip", "address", "add", f"{link.host}/{link.prefix}", "dev", name])
        run(["ip", "link", "set", name, "up"])
        return link
    raise ClusterError(f"Every network of {LINKS} is in use: remove a cluster first.")
