"""Why a run that should go on does not."""

from __future__ import annotations

from enum import StrEnum


class DelayReason(StrEnum):
    """Why a run is overdue: it did not start or does not end, as seen from outside its pod."""

    needs_action: bool
    advice: str

    def __new__(cls, value: str, needs_action: bool = True, advice: str = "") -> DelayReason:
        """Attach the meaning to the word."""
        member = str.__new__(cls, value)
        member._value_ = value
        member.needs_action = needs_action
        member.advice = advice
        return member

    IMAGE_UNAVAILABLE = (
        "ImageUnavailable",
        True,
        "Correct the name of the image in the operator's settings, let the nodes reach its"
        " registry, or name the registry's Secret in spec.run.imagePullSecrets. Then"
        " delete the Job that waits, which keeps what it was made with.",
    )
    CONTAINER_REFUSED = (
        "ContainerRefused",
        True,
        "The node refuses to make the run's container. Create what the message names, or read"
        " kubectl describe of the Job's pod.",
    )
    UNSCHEDULABLE = (
        "Unschedulable",
        True,
        "Correct spec.run.nodeSelector, tolerations or resources, or add a node that suits them."
        " Then delete the Job that waits, which keeps what it was made with.",
    )
    POD_REFUSED = (
        "PodRefused",
        True,
        "The Job may not make its pod. Raise the quota or change the policy that the message"
        " names; kubectl describe of the Job has the words of the API server.",
    )
    JOB_REFUSED = (
        "JobRefused",
        True,
        "The CronJob may not make a Job. Raise the quota or change the policy that the message"
        " names; kubectl describe of the CronJob has the words of the API server.",
    )
    POD_PENDING = (
        "PodPending",
        False,
        "If this lasts, read kubectl describe of the Job and of its pod: a slow pull of the image,"
        " the network of the node and a node that is down are the usual causes.",
    )
    NOT_STARTED = (
        "NotStarted",
        False,
        "If this lasts, look at the CronJob controller (kube-controller-manager) of the cluster;"
        " kubectl create job --from=cronjob/… starts a run without it.",
    )
    SIDECAR_RUNNING = (
        "SidecarRunning",
        True,
        "The run itself has ended. Its Job ends, and the next run starts, only when every other"
        " container of the pod has ended too. Make the one that the message names a native sidecar"
        " (an init container with restartPolicy: Always), or keep it out of the pods of runs, which"
        ' for Istio is the annotation sidecar.istio.io/inject: "false".',
    )
    NOT_ENDING = (
        "NotEnding",
        True,
        "The run is past its deadline and its pod is still there, most often on a node that was"
        " lost, and no other run starts before it is gone. Bring the node back, delete the node, or"
        " delete the pod with --force.",
    )
