"""What a run loads before it asks its vendor: the time of its start is the time of that."""

from __future__ import annotations

import subprocess
import sys

import pytest

GATE = "vendorsync_job.__main__, vendorsync_job.settings, vendorsync_job.run"
RUN = f"{GATE}, vendorsync_job.stream, vendorsync_job.vendors.solarman"


def said_by(program: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def test_no_class_of_the_job_is_made_by_generating_code():
    program = (
        f"import sys, {RUN}; print(sorted({{cls.__qualname__"
        " for name, module in sys.modules.items() if name.startswith('vendorsync_job')"
        " for cls in vars(module).values()"
        " if '__dataclass_fields__' in getattr(cls, '__dict__', ())"
        " and cls.__module__.startswith('vendorsync_job')}))"
    )

    assert said_by(program) == "[]"


@pytest.mark.parametrize(
    ("modules", "absent"),
    [
        (GATE, ("psycopg", "httpx", "httpcore", "cryptography", "orjson", "asyncio", "ssl")),
        (RUN, ("jwt", "vendorsync_job.check", "vendorsync_job.vendors.sungrow", "kopf")),
    ],
    ids=["a run that the gate turns away", "a run"],
)
def test_nothing_is_loaded_that_is_not_needed_yet(modules, absent):
    program = f"import sys, {modules}; print([name for name in {absent!r} if name in sys.modules])"

    assert said_by(program) == "[]"


def test_garbage_is_collected_once_everything_is_loaded():
    program = (
        "import gc, sys, types; from vendorsync_job import __main__ as job;"
        "stream = sys.modules['vendorsync_job.stream'] = types.ModuleType('stream');"
        "stream.sync_stream = lambda *_: print(gc.isenabled(), gc.get_freeze_count() > 1000);"
        "gc.disable(); job._stream(None, None)"
    )

    assert said_by(program) == "True True"
    assert said_by(
        "import gc; from vendorsync_job.__main__ import main; main(['version']);"
        "print(gc.isenabled())"
    ).endswith("True")
