"""`python -m bench.singer_load`: a Singer target for PostgreSQL, in the target's own environment.

Reads one JSON object a line: {"file": path of rows as JSON lines}. Answers each with the seconds
from the first message to the commit; imports, and writing the messages, are not counted.

Settings are the fastest of those that the target documents: COPY, no validation, no metadata
columns, one batch.
"""

from __future__ import annotations

import gc
import io
import json
import logging
import os
import sys
import time
from pathlib import Path
from typing import Any, Final

from sqlalchemy import create_engine, make_url, text  # type: ignore[import-not-found]
from target_postgres.target import TargetPostgres  # type: ignore[import-not-found]

TEXT: Final = {"type": ["string", "null"]}
NUMBER: Final = {"type": ["number", "null"]}
STREAM: Final = "plants"
SCHEMA: Final = "loaded"


def schema(row: dict[str, Any]) -> dict[str, Any]:
    """Return the schema message for rows like this one."""
    properties = {
        name: NUMBER if isinstance(value, int | float) else TEXT for name, value in row.items()
    }
    return {
        "type": "SCHEMA",
        "stream": STREAM,
        "schema": {"properties": properties | {"id": {"type": ["integer"]}}},
        "key_properties": ["id"],
    }


def messages(file: Path) -> tuple[io.StringIO, int]:
    """Return the messages of a tap that lists these rows, and how many rows there are."""
    written = file.read_text(encoding="utf-8").splitlines()
    head = json.dumps(schema(json.loads(written[0])))
    records = [f'{{"type":"RECORD","stream":"{STREAM}","record":{row}}}' for row in written]
    return io.StringIO("\n".join([head, *records]) + "\n"), len(written)


def serve(url: str) -> None:
    """Load one file for each line of standard input."""
    address = make_url(url).set(drivername="postgresql+psycopg")
    engine = create_engine(address)
    for line in sys.stdin:
        prepared, count = messages(Path(json.loads(line)["file"]))
        target = TargetPostgres(
            config={
                "sqlalchemy_url": address.render_as_string(hide_password=False),
                "default_target_schema": SCHEMA,
                "use_copy": True,
                "validate_records": False,
                "add_record_metadata": False,
                "activate_version": False,
                "batch_size_rows": count,
            }
        )
        logging.disable(logging.INFO)
        gc.freeze()
        started = time.perf_counter()
        target.listen(prepared)
        seconds = time.perf_counter() - started
        with engine.connect() as connection:
            total = connection.scalar(text(f"SELECT count(*) FROM {SCHEMA}.{STREAM}"))  # noqa: S608
        print(json.dumps({"seconds": seconds, "updated": total}), flush=True)


if __name__ == "__main__":
    serve(os.environ["BENCH_DATABASE"])
