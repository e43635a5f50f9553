"""The operator as a process against a real control plane without nodes, for tests and measures.

`Plane` starts etcd and kube-apiserver (with `controllers=True` the controller manager and the
scheduler, too), installs the chart's CRD and rights, and counts what the API server was asked.
"""

from dev.plane.plane import Plane
from dev.plane.process import OperatorProcess

__all__ = ["OperatorProcess", "Plane"]
