"""Every word the status may give as a reason, and what each one means.

A run ends in one `RunReason`: its result, its exit code, whether somebody has to act, and the
advice that the status, the Event and the troubleshooting page repeat. The exit codes follow
sysexits.h where it has a word for the case. `DelayReason` lists why a run that should go on does
not, and `ConditionReason` what the operator itself finds.
"""

from vendorsync_api.reasons.condition import ConditionReason
from vendorsync_api.reasons.delay import DelayReason
from vendorsync_api.reasons.run import WHOLE_LISTING, ExitCode, Result, RunReason, Trigger

__all__ = [
    "WHOLE_LISTING",
    "ConditionReason",
    "DelayReason",
    "ExitCode",
    "Result",
    "RunReason",
    "Trigger",
]
