"""Logins of many processes at once, and of processes that are killed on the way."""

from __future__ import annotations

import multiprocessing
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from functools import partial

import pytest

from tests.syncjob import dying_login

pytestmark = pytest.mark.postgres


@pytest.mark.fault("T3")
@pytest.mark.parametrize("point", dying_login.POINTS)
def test_a_holder_killed_on_the_way_makes_way_when_its_time_is_over(app, tmp_path, point):
    counter = tmp_path / "logins"
    with (
        dying_login.stopped_at(app.run_url, counter, point) as holder,
        ThreadPoolExecutor(1) as pool,
    ):
        waiting = pool.submit(dying_login.refresh, app.run_url, counter, 0.0)
        holder.kill()
        got = waiting.result(30)  # the holder itself would have gone on after a minute

    assert got == "token-2"
    with app.database() as database:
        stored = dying_login.tokens_on(database).current()
    assert stored
    assert stored.value == "token-2"
    assert app.value("SELECT generation FROM vendorsync.accounts") == 1


def several(url, counter, number):
    with ThreadPoolExecutor(number) as pool:
        runs = [pool.submit(dying_login.refresh, url, counter, 0.3) for _ in range(number)]
        return [run.result() for run in runs]


@pytest.mark.fault("T2")
@pytest.mark.requirement("R04")
def test_fifty_runs_in_five_processes_log_in_once(app, tmp_path):
    counter = tmp_path / "logins"
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(5, mp_context=context) as pool:
        found = list(pool.map(partial(several, app.run_url, counter), [10] * 5))

    assert [value for values in found for value in values] == ["token-1"] * 50
    assert counter.read_bytes() == b"."
