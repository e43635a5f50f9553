"""A real Kubernetes cluster for development and tests: kind, or plain processes on Linux.

`choose()` returns the one that suits this machine; nothing starts before its `up()`.
"""

from dev.cluster.choice import choose
from dev.cluster.cluster import Cluster
from dev.cluster.components import Parts
from dev.cluster.errors import ClusterError, NoClusterError
from dev.cluster.images import Image

__all__ = ["Cluster", "ClusterError", "Image", "NoClusterError", "Parts", "choose"]
