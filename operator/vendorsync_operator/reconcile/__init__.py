"""One visit to a resource: what it writes to the cluster, and what is remembered of it."""
