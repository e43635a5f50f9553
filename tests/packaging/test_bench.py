"""The bench's own rules: its table, its exit code, and what makes its rows and its distance."""

import socket
import threading
import time

import pytest

from bench.delay import far_away
from bench.fleet import Fleet, ListedRows, pages
from bench.measure import Figure, WrongResultError, alternate, demand
from bench.report import Goal, Line, exit_code, table

FASTER = Goal(20)
SMALLER = Goal(300, " MB", at_least=False)


def line(value, goal):
    return Line("10 plants", "1.0 ms", "upserts of 100: 9.0 ms", value, goal)


@pytest.mark.parametrize(
    ("value", "goal", "word"),
    [
        (20.0, FASTER, "ok"),
        (19.9, FASTER, "short"),
        (300.0, SMALLER, "ok"),
        (301.0, SMALLER, "short"),
        (0.5, None, "-"),
    ],
)
def test_a_line_is_short_when_it_misses_its_goal(value, goal, word):
    assert line(value, goal).cells[-1] == word


def test_the_table_names_work_ours_baseline_ratio_goal_and_verdict():
    shown = table([line(21.0, FASTER)])

    assert [cell.strip() for cell in shown.splitlines()[1].split("|")] == [
        "10 plants", "1.0 ms", "upserts of 100: 9.0 ms", "21x", ">= 20x", "ok",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("value", "strict", "code"),
    [(1.0, "1", 1), (1.0, "", 0), (1.0, "0", 0), (25.0, "1", 0)],
)
def test_only_a_strict_bench_fails_for_a_short_line(value, strict, code):
    assert exit_code([line(value, FASTER)], {"STRICT": strict}) == code


def test_a_line_without_a_goal_fails_no_bench():
    assert exit_code([line(0.1, None)], {"STRICT": "1"}) == 0


def test_a_bench_that_measured_nothing_fails():
    assert exit_code([], {}) == 1


def test_the_sides_take_turns():
    calls = []

    def side(name):
        def run(number):
            calls.append((name, number))
            return float(number)

        return run

    figures = alternate(2, side("ours"), side("theirs"))

    assert calls == [("ours", 1), ("theirs", 1), ("ours", 2), ("theirs", 2)]
    assert figures == (Figure((1.0, 2.0)), Figure((1.0, 2.0)))


def test_a_side_that_did_something_else_stops_the_bench():
    with pytest.raises(WrongResultError, match="expected 3, found 2"):
        demand(2, 3)


def test_every_hundredth_plant_changes_with_the_version():
    before = [plant for page in pages(Fleet(250)) for plant in page.records]
    after = [plant for page in pages(Fleet(250, version=1)) for plant in page.records]

    changed = [old[0] for old, new in zip(before, after, strict=True) if old != new]

    assert len(before) == 250
    assert changed == ["10000000", "10000100", "10000200"]


def test_rows_in_memory_are_listed_like_rows_made_on_the_way():
    fleet = Fleet(150)

    assert list(pages(ListedRows(fleet.rows()))) == list(pages(fleet))


@pytest.mark.slow
def test_what_is_far_away_is_late_and_keeps_its_order():
    sent = [bytes([number]) * 1000 for number in range(50)]
    with socket.create_server(("127.0.0.1", 0)) as listener:
        echo = threading.Thread(target=_echo, args=(listener,))
        echo.start()
        with (
            far_away(listener.getsockname()[1], 60) as port,
            socket.create_connection(("127.0.0.1", port)) as near,
        ):
            started = time.monotonic()
            for part in sent:
                near.sendall(part)
            near.shutdown(socket.SHUT_WR)
            with near.makefile("rb") as answer:
                assert answer.read() == b"".join(sent)
            assert time.monotonic() - started >= 0.06
        echo.join()


def _echo(listener):
    connection, _ = listener.accept()
    with connection:
        while data := connection.recv(4096):
            connection.sendall(data)
