"""A private PostgreSQL server for tests and for the demo."""

from dev.database.binaries import Binaries, find_binaries
from dev.database.server import DatabaseError, PostgresServer, postgres

__all__ = ["Binaries", "DatabaseError", "PostgresServer", "find_binaries", "postgres"]
