"""Rows looked up by key, one after the other, whatever the planner knows of their table."""

from __future__ import annotations

from psycopg import sql


def lookup(query: sql.Composable, name: str) -> sql.Composed:
    """Return what runs a query for each row that comes before it in a FROM.

    OFFSET 0 keeps the planner from making a join of it. Without statistics, in a table just filled,
    it would read all rows of the vendor for each handful of keys.
    """
    return sql.SQL("LATERAL ({} OFFSET 0) AS {}").format(query, sql.Identifier(name))
