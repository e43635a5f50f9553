"""What can go wrong between asking for a cluster and having one.

ClusterError
├── NoClusterError         this machine cannot run a cluster as it is; says what to install
├── ForeignContextError    a kube-context that was not made by this package
├── CommandError           a program that we called failed
└── NotReadyError          something did not become ready in time, or died on the way
"""


class ClusterError(Exception):
    """The base of every error of this package; its text is meant for people."""

    exit_code = 1


class NoClusterError(ClusterError):
    """No provider can run here; the exit code is `EX_UNAVAILABLE` of sysexits."""

    exit_code = 69


class ForeignContextError(ClusterError):
    """A kube-context that is not ours; nothing may be done to it."""

    exit_code = 77


class CommandError(ClusterError):
    """A program ended with an error."""


class NotReadyError(ClusterError):
    """A condition did not come true before its deadline."""
