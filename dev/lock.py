"""`python -m dev.lock [--upgrade]`: pyproject.toml -> requirements/*.txt.

Exact versions and hashes for every platform and Python, and no addresses. `dev.txt` is resolved
first; the others are parts of it, so that images and development agree.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
COMMON = [
    "--quiet",
    "--universal",
    "--python-version",
    "3.11",
    "--generate-hashes",
    "--no-emit-index-url",
    "--no-emit-find-links",
    "--no-annotate",
    "--no-header",
]
SETS = {
    "dev": ["pyproject.toml", "--extra=operator", "--extra=syncjob", "--group=dev"],
    "operator": ["pyproject.toml", "--extra=operator"],
    "syncjob": ["pyproject.toml", "--extra=syncjob"],
    "build": ["--group=build"],
    "simulators": ["--group=simulators"],
}


def main() -> int:
    """Resolve every set."""
    uv = str(Path(sys.executable).parent / "uv")
    for name, wanted in SETS.items():
        limits = [] if name == "dev" else ["--constraint=requirements/dev.txt"]
        target = f"--output-file=requirements/{name}.txt"
        command = [uv, "pip", "compile", *COMMON, *sys.argv[1:], *wanted, *limits, target]
        print(f"requirements/{name}.txt", flush=True)
        subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    return 0


if __name__ == "__main__":
    sys.exit(main())
