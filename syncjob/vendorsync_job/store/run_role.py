"""The role of runs: its name and password come from the URL in the runs' own Secret."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import psycopg
from psycopg import sql

from vendorsync_job.errors import ConfigurationError
from vendorsync_job.models import Veiled
from vendorsync_job.store.url import parameters

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from vendorsync_job.store.connection import Cursor


POOLER_OF_TENANTS = ".pooler.supabase.com"
"""Ends the host names of a pooler of many databases (Supabase, "Connect to your database").

It is told which one by the user: `role.tenant` there is `role` in the database.
"""


class RunRole(Veiled, frozen=True):
    """The role of runs, as the URL in its Secret has it."""

    hidden = ("password",)

    user: str
    password: str
    host: str
    logs_in: bool
    """The password is in force already."""

    @classmethod
    def of(cls, url: str) -> RunRole:
        """Take role and password out of a URL and try them, or raise ConfigurationError."""
        found = parameters(url)
        if not (found.get("user") and found.get("password")):
            raise ConfigurationError(
                "the run role's URL needs a user and a password;"
                " write postgresql://user:password@host:5432/database"
            )
        host = str(found.get("host") or "")
        return cls(str(found["user"]), str(found["password"]), host, _logs_in(found))

    def name(self, cursor: Cursor) -> str:
        """Return the role's name in the database, without the tenant that a pooler wants of it."""
        role, _, tenant = self.user.rpartition(".")
        if not role:
            return self.user
        cursor.execute("SELECT session_user")
        (owner,) = cursor.fetchone() or ("",)
        # Whoever migrates may come by the same pooler.
        is_told = cursor.connection.info.user == f"{owner}.{tenant}"
        return role if is_told or self.host.endswith(POOLER_OF_TENANTS) else self.user


def _logs_in(found: Mapping[str, Any]) -> bool:
    try:
        psycopg.connect(**{**found, "connect_timeout": 5}).close()
    except psycopg.Error:
        return False
    return True


def create(cursor: Cursor, role: RunRole, name: str) -> Iterator[str]:
    """Create the role under its name in the database or set its password; yield a line for that."""
    cursor.execute("SELECT FROM pg_roles WHERE rolname = %s", [name])
    exists = cursor.rowcount > 0
    if exists and role.logs_in:
        return
    # The server gets a SCRAM verifier, so no log or statement view ever holds the password.
    verifier = cursor.connection.pgconn.encrypt_password(
        role.password.encode(), name.encode(), b"scram-sha-256"
    ).decode()
    command = "ALTER ROLE {} LOGIN PASSWORD {}" if exists else "CREATE ROLE {} LOGIN PASSWORD {}"
    cursor.execute(sql.SQL(command).format(sql.Identifier(name), sql.Literal(verifier)))
    yield f"{'set the password of' if exists else 'created'} role {name}"
