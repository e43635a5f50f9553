"""What the API server calls the resource in every version."""

from __future__ import annotations

GROUP = "vendorsync.dev"
KIND = "VendorSync"
PLURAL = "vendorsyncs"
SINGULAR = "vendorsync"
SHORT_NAMES = ("vs",)
