"""`python -m dev.rows FILE [--summary]`: rows and faults with the tests that showed them.

With `--summary` only how many of them were shown, and which were not.
"""

from __future__ import annotations

import json
import sys
import tomllib
from collections import defaultdict
from pathlib import Path

ROWS = Path(__file__).resolve().parents[1] / "tests" / "rows.toml"


def main(path: Path, *, summary: bool = False) -> int:
    """Print one line a row: the id, then its tests, or `none`; or one line a kind of rows."""
    if not path.exists():
        print(f"{path} does not exist: run `make test` first.", file=sys.stderr)
        return 66
    record = json.loads(path.read_text())
    # One case that failed is enough for its test not to count.
    failed = {test.split("[")[0] for test, found in record.items() if not found["passed"]}
    shown: dict[str, set[str]] = defaultdict(set)
    for test, found in record.items():
        for row in found["rows"]:
            shown[row] |= {test.split("[")[0]} - failed
    for kind, rows in tomllib.loads(ROWS.read_text()).items():
        if summary:
            missing = [row for row in rows if not shown[row]]
            print(
                f"{kind} rows shown: {len(rows) - len(missing)} of {len(rows)};"
                f" not shown: {' '.join(missing) or 'none'}"
            )
        else:
            for row in rows:
                print(row, " ".join(sorted(shown[row])) or "none")
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), summary="--summary" in sys.argv[2:]))
