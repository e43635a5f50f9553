"""`python -m dev.timed TITLE COMMAND…`: run a command and print how long it took."""

from __future__ import annotations

import subprocess
import sys
import time

if __name__ == "__main__":
    started = time.monotonic()
    code = subprocess.run(sys.argv[2:], check=False).returncode
    print(f"[{sys.argv[1]}: {time.monotonic() - started:.0f} s]", flush=True)
    sys.exit(code)
