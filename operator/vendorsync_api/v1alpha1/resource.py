"""The VendorSync resource of this version."""

from __future__ import annotations

from vendorsync_api.group import GROUP
from vendorsync_api.model import Model
from vendorsync_api.v1alpha1.spec import VendorSyncSpec
from vendorsync_api.v1alpha1.status import VendorSyncStatus

VERSION = "v1alpha1"
API_VERSION = f"{GROUP}/{VERSION}"


class Metadata(Model):
    """The parts of metadata that the operator reads."""

    name: str
    namespace: str = "default"
    uid: str = ""
    generation: int = 0
    creation_timestamp: str = ""
    deletion_timestamp: str | None = None


class VendorSync(Model):
    """A VendorSync keeps the plants of one organization in step with its vendors' clouds."""

    metadata: Metadata
    spec: VendorSyncSpec
    status: VendorSyncStatus = VendorSyncStatus()

    @property
    def key(self) -> tuple[str, str]:
        """Namespace and name."""
        return self.metadata.namespace, self.metadata.name
