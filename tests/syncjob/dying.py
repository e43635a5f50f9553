"""A run in a process of its own that is killed or stopped at a chosen step.

`python -m tests.syncjob.dying URL` reads lines `MOMENT STEP SIGNAL CHANGES`, makes a run of that
many plants for each, in a child, and prints `stopped PID` when it is stopped and `ended STATUS` in
the end. A step is one exchange with the server after the run has begun; the moment is before,
during (it was sent, nobody reads the answer) or after it. STATUS is the name of the error, `done`
or `killed`.
"""

import os
import signal
import sys
from contextlib import suppress

from tests.syncjob.builders import App, plants, stored_run
from vendorsync_job.store.connection import Database
from vendorsync_job.store.exchange import Exchange

BATCH = 3
PAGE = 2


class Steps:
    """Counts steps, and sends the signal at the chosen one."""

    def __init__(self, moment, step, number):
        self.chosen = moment, step
        self.number = number
        self.count = -1
        self.armed = False

    def at(self, moment, exchange, statements):
        if not self.armed:
            return
        self.count += moment == "before"
        if (moment, self.count) != self.chosen:
            return
        if moment == "during" and statements:
            exchange.connection.pgconn.send_query(exchange._message(statements))
            exchange.connection.pgconn.flush()
        os.kill(os.getpid(), self.number)


def run(url, steps, changes):
    class Dying(Exchange):
        def _send(self, statements):
            for moment in ("before", "during"):
                steps.at(moment, self, statements)
            answer = super()._send(statements)
            steps.at("after", self, statements)
            return answer

        def copy(self, query, types, rows):
            steps.at("before", self, [])
            super().copy(query, types, rows)
            steps.at("after", self, [])

    database = type("DyingDatabase", (Database,), {"exchange_type": Dying})
    records = plants(changes, name="new")
    batch, page = (BATCH, PAGE) if changes < 100 else (changes, changes)
    with stored_run(App("", url), connect=database, owner="job") as stored:
        steps.armed = True
        for start in range(0, len(records), page):
            stored.records.renew()
            stored.records.take(records[start : start + page], [])
            if stored.records.pending >= batch:
                stored.records.commit()
        stored.records.commit()


def child(url, moment, step, number, changes):
    try:
        run(url, Steps(moment, int(step), signal.Signals[number]), int(changes))
    except Exception as error:
        return type(error).__name__
    return "done"


def say(line):
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main(url):
    for line in sys.stdin:
        read, write = os.pipe()
        pid = os.fork()
        if not pid:
            os.write(write, child(url, *line.split()).encode())
            os._exit(0)
        os.close(write)
        while True:
            _, status = os.waitpid(pid, os.WUNTRACED)
            if not os.WIFSTOPPED(status):
                break
            say(f"stopped {pid}")
        with os.fdopen(read) as said:
            say(f"ended {said.read() or 'killed'}")


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        main(sys.argv[1])
