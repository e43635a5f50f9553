"""A statement for each of many rows alone, by one message: a block that the server runs.

A statement for all rows at once is refused as a whole when one row is at fault. The block gives
each row a subtransaction of its own, so the others are written, and the one at fault is named. A
round trip for each row would take a minute and a half where 10,000 of them are refused.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, TypeVar

import orjson
import psycopg
from msgspec import Struct
from psycopg import sql

from vendorsync_job.store.connection import TRANSIENT, TRANSIENT_CLASSES
from vendorsync_job.store.exchange import Statement

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from vendorsync_job.store.exchange import Exchange
    from vendorsync_job.store.rows import Row

Answer = TypeVar("Answer")

PIECE = 500
"""Rows of one block, so that no block comes near the time-out of a statement."""
CHECK_NOW = Statement("SET CONSTRAINTS ALL IMMEDIATE")
"""Has deferred constraints judge the rows here: at the COMMIT no row could be told apart."""
ITEM = sql.Identifier("vs_item")
"""The row in hand, as jsonb."""
SYSTEM = frozenset({"0A", "25", "26", "28", "34", "3D", "3F", "42", "XX"})
"""Classes that speak of our statement or the server, unless a function of a trigger raised them."""
FUNCTION = re.compile(r'^(?:PL/\w+|SQL) function "?([^\s("]+)', re.MULTILINE)

BLOCK = sql.SQL("""
#variable_conflict use_column
DECLARE
    vs_item jsonb;
    vs_new boolean;
    vs_outcome text;
    vs_outcomes text[] := '{{}}';
    vs_state text;
    vs_column text;
    vs_constraint text;
    vs_context text;
BEGIN
    FOR vs_item IN SELECT value FROM jsonb_array_elements({items}::jsonb) LOOP
        BEGIN
            {statement} INTO vs_new;
            vs_outcome := CASE WHEN NOT FOUND THEN '"left"' WHEN vs_new THEN '"new"'
                ELSE '"changed"' END;
        EXCEPTION WHEN assert_failure OR OTHERS THEN
            GET STACKED DIAGNOSTICS vs_state = RETURNED_SQLSTATE, vs_column = COLUMN_NAME,
                vs_constraint = CONSTRAINT_NAME, vs_context = PG_EXCEPTION_CONTEXT;
            IF vs_state = ANY ({states}) OR left(vs_state, 2) = ANY ({classes}) THEN
                RAISE;
            END IF;
            vs_outcome := json_build_array(vs_state, vs_column, vs_constraint, vs_context);
        END;
        vs_outcomes := vs_outcomes || vs_outcome;
    END LOOP;
    PERFORM set_config('vendorsync.outcomes', array_to_json(vs_outcomes)::text, true);
END
""")


class Refusal(Struct, frozen=True):
    """Why the server refused a row."""

    state: str
    """SQLSTATE; a trigger may make one up."""
    column: str
    constraint: str
    function: str
    """The function that raised it, empty for the server itself."""

    @property
    def is_of_row(self) -> bool:
        """Whether the row is at fault, and not our statement, a right or the server."""
        return bool(self.function) or self.state[:2] not in SYSTEM

    def __str__(self) -> str:
        """Name the fault and its place; the server's text would show values of the row."""
        where = self.column or self.constraint
        place = f" of {where}" if where else ""
        place = place or (f" in function {self.function}" if self.function else "")
        return f"refused by the database: {_title(self.state)}{place}"


class Outcomes(Struct, frozen=True):
    """What became of the rows."""

    new: list[Row]
    changed: list[Row]
    left: list[Row]
    """Neither written nor refused."""
    refused: list[tuple[Row, Refusal]]


def try_all(exchange: Exchange, send: Callable[[], Answer]) -> Answer | psycopg.Error:
    """Send what writes all rows, behind a SAVEPOINT of its own; return its answer or a refusal.

    A refusal is returned if it may be the fault of single rows, so that `run_each` is worth a try,
    and what was written is undone. What passes by itself and a broken connection are raised.
    """
    try:
        return send()
    except psycopg.Error as error:
        if not _may_be_of_rows(error):
            raise
        exchange.refused()
        return error


def _may_be_of_rows(error: psycopg.Error) -> bool:
    state = error.sqlstate
    if state is None:
        return isinstance(error, psycopg.DataError)
    return state not in TRANSIENT and state[:2] not in TRANSIENT_CLASSES


def _keys(rows: Sequence[Row]) -> str:
    return orjson.dumps([key for key, *_ in rows]).decode()


def run_each(
    exchange: Exchange,
    statement: Statement,
    rows: Sequence[Row],
    to_document: Callable[[Sequence[Row]], str] = _keys,
) -> Outcomes:
    """Run a statement for each row.

    `to_document` makes a JSON array of rows, the keys alone by default. The statement finds its
    element in ITEM, and returns a boolean if it wrote: whether the row is new. What passes by
    itself is raised, and all that the block did is undone with it.
    """
    outcomes = Outcomes([], [], [], [])
    pieces = (rows[start : start + PIECE] for start in range(0, len(rows), PIECE))
    found = (
        outcome for piece in pieces for outcome in _answers(exchange, statement, to_document(piece))
    )
    for row, outcome in zip(rows, found, strict=True):
        if outcome == "new":
            outcomes.new.append(row)
        elif outcome == "changed":
            outcomes.changed.append(row)
        elif outcome == "left":
            outcomes.left.append(row)
        else:
            outcomes.refused.append((row, _refusal(outcome)))
    return outcomes


def _answers(exchange: Exchange, statement: Statement, document: str) -> Iterator[object]:
    body = BLOCK.format(
        items=sql.Literal(document),
        statement=sql.SQL(exchange.merged(statement)),
        states=sql.Literal(sorted(TRANSIENT)),
        classes=sql.Literal(sorted(TRANSIENT_CLASSES)),
    )
    *_, ((answer,),) = exchange.run(
        CHECK_NOW,
        Statement(sql.SQL("DO {}").format(sql.Literal(body.as_string(exchange.connection)))),
        Statement("SELECT current_setting('vendorsync.outcomes')"),
    )
    return map(orjson.loads, orjson.loads(answer))


def _refusal(outcome: object) -> Refusal:
    state, column, constraint, context = map(str, outcome)  # type: ignore[call-overload]
    functions = (name for name in FUNCTION.findall(context) if name != "inline_code_block")
    return Refusal(state, column, constraint, next(functions, ""))


def _title(state: str) -> str:
    try:
        return psycopg.errors.lookup(state).__name__
    except KeyError:
        return state
