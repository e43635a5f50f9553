"""`python -m bench.dlt_load`: dlt's `merge` with the upsert strategy, in dlt's own environment.

Reads one JSON object a line: {"file": path of rows as JSON lines}. Answers each with the seconds of
`pipeline.run`, from rows in memory to the commit; imports and reading the file are not counted.

Settings are the fastest of those that dlt documents for PostgreSQL: parquet files, loaded by ADBC.
With BENCH_ARROW set the dicts become an Arrow table first, within the time, so that dlt does not
look at single values.
"""

from __future__ import annotations

import gc
import json
import os
import sys
import time
from pathlib import Path

import dlt  # type: ignore[import-not-found]
import pyarrow as pa  # type: ignore[import-not-found]


def serve(url: str, folder: str) -> None:
    """Load one file for each line of standard input."""
    pipeline = dlt.pipeline(
        "plants",
        destination=dlt.destinations.postgres(url),
        dataset_name="loaded",
        pipelines_dir=folder,
        progress=None,
    )
    for line in sys.stdin:
        with Path(json.loads(line)["file"]).open(encoding="utf-8") as file:
            rows = [json.loads(row) for row in file]
        gc.freeze()
        started = time.perf_counter()
        pipeline.run(
            pa.Table.from_pylist(rows) if os.environ.get("BENCH_ARROW") else rows,
            table_name="plants",
            write_disposition={"disposition": "merge", "strategy": "upsert"},
            primary_key="id",
            loader_file_format="parquet",
        ).raise_on_failed_jobs()
        seconds = time.perf_counter() - started
        with pipeline.sql_client() as client:
            ((total,),) = client.execute_sql("SELECT count(*) FROM plants")
        print(json.dumps({"seconds": seconds, "updated": total}), flush=True)


if __name__ == "__main__":
    serve(os.environ["BENCH_DATABASE"], os.environ["BENCH_FOLDER"])
