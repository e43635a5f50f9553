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
        " registry, or name the registry's Secret in spec.run.imagePullSecrets. Then delete the"
        " Job that waits, because it keeps what it was made with.",
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
        "Correct spec.run.nodeSelector, tolerations or resources, or add a node that fits them."
        " Then delete the Job that waits, because it keeps what it was made with.",
    )
    POD_REFUSED = (
        "PodRefused",
        True,
        "The API server refuses the run's pod. Set what the message names in"
        " spec.run.resources, or have the quota, LimitRange or policy changed. Then delete the"
        " Job that waits, because it keeps what it was made with.",
    )
    JOB_REFUSED = (
        "JobRefused",
        True,
        "The API server refuses the run's Job. Have the quota or policy changed that the"
        " message names. The next run is tried at its usual time.",
    )
    POD_PENDING = (
        "PodPending",
        False,
        "If this lasts, read kubectl describe of the Job and of its pod. The usual causes are a"
        " slow pull of the image, the network of the node, and a node that is down.",
    )
    NOT_STARTED = (
        "NotStarted",
        False,
        "If this lasts, look at the CronJob controller (kube-controller-manager) of the"
        " cluster. A run starts without it by kubectl create job by-hand-$(date +%s)"
        " --from=cronjob/NAME.",
    )
    SIDECAR_RUNNING = (
        "SidecarRunning",
        True,
        "The run itself has ended. Its Job ends, and the next run starts, only when every other"
        " container of the pod has ended. Make the container that the message names a native"
        " sidecar (an init container with restartPolicy: Always), or keep it out of the pods of"
        ' runs. For Istio that is the pod label sidecar.istio.io/inject: "false".',
    )
    NOT_ENDING = (
        "NotEnding",
        True,
        "The run is past its deadline and its pod is still there, most often on a node that was"
        " lost. No other run starts before the pod is gone. Bring the node back, delete the"
        " node, or delete the pod with --force.",
    )
