"""The sync job alone: simulated vendors, a PostgreSQL of its own, no cluster and no root."""
