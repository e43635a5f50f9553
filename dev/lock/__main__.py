"""`python -m dev.lock [--upgrade]`: pyproject.toml -> requirements/*.txt and metadata.json.

`dev.txt` is resolved first; the others are parts of it, so that images and development agree.
"""

from __future__ import annotations

import sys

from dev.lock import resolution, wanted
from dev.lock.closure import OpenLockError


def main() -> int:
    """Resolve every lock of the project."""
    sets, options = wanted.of_project(), sys.argv[1:]
    parts = [*options, f"--constraint=requirements/{wanted.ALL}.txt"]
    try:
        resolution.make(sets, {name: options if name == wanted.ALL else parts for name in sets})
    except OpenLockError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
