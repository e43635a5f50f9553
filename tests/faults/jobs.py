"""Whole runs in this process, and what happens while they go on."""

import io
import logging
import signal
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, redirect_stdout
from dataclasses import replace

from dev.simulators import Simulators
from tests.syncjob.jobs import EAST, LIST, Ended, Job
from vendorsync_job.__main__ import main

SOUTH, FAR = (
    replace(
        EAST,
        name=name,
        app_id=f"sim-app-{name}",
        app_secret=f"sim-app-secret-{name}",
        email=f"{name}@example.test",
        password=f"sim-password-{name}",
    )
    for name in ("south", "far")
)
HELD = 100.0
"""Seconds; far more than what is done meanwhile takes."""


class JobInside(Job):
    """A job whose runs are calls of the command line's own function."""

    def run(self, *options: str, command="run", name="by-hand") -> Ended:
        """Run, and put back what the command line takes over."""
        self.report_file.unlink(missing_ok=True)
        output = io.StringIO()
        with taken_over(), redirect_stdout(output):
            code = main(self.words(command, options), {"VENDORSYNC_JOB_NAME": name})
        return self.ended(code, output.getvalue())


@contextmanager
def taken_over():
    """Give back the signals and the log handlers that a command line takes for itself."""
    numbers = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1)
    signals = {number: signal.getsignal(number) for number in numbers}
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    # Otherwise its set-up would close the handlers of pytest.
    root.handlers[:] = []
    try:
        yield
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)
        for number, handler in signals.items():
            signal.signal(number, handler)


@contextmanager
def meanwhile(condition: Callable[[], object], act: Callable[[], object]):
    """Act once in another thread as soon as the condition holds; it must hold within the block."""
    over = threading.Event()

    def watch() -> bool:
        while not condition():
            if over.wait(0.01):
                return False
        act()
        return True

    with ThreadPoolExecutor(1) as thread:
        acted = thread.submit(watch)
        try:
            yield
        finally:
            over.set()
            # An error of its own says more than what that led to in the block.
            has_acted = acted.result()
    assert has_acted, "the moment to act never came"


@contextmanager
def before_page(clouds: Simulators, number: int, act: Callable[[], object]):
    """Act when a page of Solarman's list is asked for; it is answered afterwards."""
    clouds.fault("latency", path=LIST, page=number, seconds=HELD)

    def act_and_answer():
        try:
            act()
        finally:
            clouds.set_faults()

    with meanwhile(lambda: clouds.calls(path=LIST, page=number), act_and_answer):
        yield
