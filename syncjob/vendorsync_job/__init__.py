"""The sync job: one run of one vendor and stream."""
