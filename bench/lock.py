"""`python -m bench.lock`: the loaders that the bench compares with -> requirements/bench-*.txt.

Exact versions and hashes and no addresses, as those of `dev.lock`; nothing of the product is in
them, so they are resolved by themselves.
"""

from __future__ import annotations

import sys
from typing import Final

from dev.lock import resolution
from dev.lock.closure import OpenLockError

WANTED: Final = {
    "bench-dlt": ["dlt[postgres]", "pyarrow", "adbc-driver-postgresql", "adbc-driver-manager"],
    "bench-singer": ["meltanolabs-target-postgres"],
}


def main() -> int:
    """Resolve every lock of the bench."""
    try:
        resolution.make(WANTED, dict.fromkeys(WANTED, sys.argv[1:]))
    except OpenLockError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
