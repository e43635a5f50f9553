import pytest

from vendorsync_job.store.writers import Writers, WritersBusyError

pytestmark = [pytest.mark.postgres, pytest.mark.requirement("R12"), pytest.mark.requirement("R29")]


def test_as_many_chunks_as_the_limit_are_written_at_once(app):
    slept: list[float] = []
    ticks = iter(range(0, 1000, 25))
    writers = Writers(2, clock=lambda: float(next(ticks)), sleep=slept.append)

    def inner(_exchange, _answers):
        refused = pytest.raises(WritersBusyError, match="all 2 writers busy")
        with app.database() as third, refused:
            writers.run(third, lambda *_: pytest.fail("a third writer"))
        return "done"

    def outer(_exchange, _answers):
        with app.database() as second:
            return writers.run(second, inner)

    with app.database() as first:
        assert writers.run(first, outer) == "done"
        assert writers.run(first, lambda *_: "free again") == "free again"
    assert slept
    assert all(0.02 <= seconds <= 0.22 for seconds in slept)
