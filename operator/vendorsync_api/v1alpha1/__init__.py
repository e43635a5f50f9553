"""The VendorSync resource, group vendorsync.dev, version v1alpha1.

These models are the source of the CRD and of the field reference.
"""

from vendorsync_api.v1alpha1.fields import (
    LABEL_KEY,
    MAX_ID,
    NAME,
    TIME,
    LocalObjectRef,
    Quantity,
    SecretKeyRef,
    SecretName,
    SecretRef,
    Stream,
    Weekday,
)
from vendorsync_api.v1alpha1.pod import (
    ResourceAmounts,
    RunSettings,
    Toleration,
)
from vendorsync_api.v1alpha1.resource import (
    API_VERSION,
    VERSION,
    Metadata,
    VendorSync,
)
from vendorsync_api.v1alpha1.spec import (
    Database,
    VendorSyncSpec,
)
from vendorsync_api.v1alpha1.status import (
    Condition,
    Delay,
    Display,
    Summary,
    VendorStatus,
    VendorSyncStatus,
)
from vendorsync_api.v1alpha1.timing import (
    RestrictedWindow,
    Schedule,
    Streams,
    StreamSpec,
    VendorStreams,
    VendorStreamSpec,
)
from vendorsync_api.v1alpha1.vendor import (
    Allowance,
    Organization,
    Vendor,
)

__all__ = [
    "API_VERSION",
    "LABEL_KEY",
    "MAX_ID",
    "NAME",
    "TIME",
    "VERSION",
    "Allowance",
    "Condition",
    "Database",
    "Delay",
    "Display",
    "LocalObjectRef",
    "Metadata",
    "Organization",
    "Quantity",
    "ResourceAmounts",
    "RestrictedWindow",
    "RunSettings",
    "Schedule",
    "SecretKeyRef",
    "SecretName",
    "SecretRef",
    "Stream",
    "StreamSpec",
    "Streams",
    "Summary",
    "Toleration",
    "Vendor",
    "VendorStatus",
    "VendorStreamSpec",
    "VendorStreams",
    "VendorSync",
    "VendorSyncSpec",
    "VendorSyncStatus",
    "Weekday",
]
