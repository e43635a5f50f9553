"""`python -m bench.lock`: the loaders that the bench compares with -> requirements/bench-*.txt.

Exact versions and hashes and no addresses, as those of `dev.lock`; nothing of the product is in
them, so they are resolved by themselves.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Final

from dev.lock import COMMON, ROOT

WANTED: Final = {
    "bench-dlt": ["dlt[postgres]", "pyarrow", "adbc-driver-postgresql", "adbc-driver-manager"],
    "bench-singer": ["meltanolabs-target-postgres"],
}


def main() -> int:
    """Resolve every set."""
    uv = str(Path(sys.executable).parent / "uv")
    for name, wanted in WANTED.items():
        target = f"requirements/{name}.txt"
        print(target, flush=True)
        command = [uv, "pip", "compile", *COMMON, *sys.argv[1:], "-", f"--output-file={target}"]
        subprocess.run(
            command,
            cwd=ROOT,
            check=True,
            input="\n".join(wanted),
            text=True,
            stdout=subprocess.DEVNULL,
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
