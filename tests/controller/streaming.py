"""One stream as a test sees it: what it tells of itself, and how it rests."""

from __future__ import annotations

from vendorsync_operator.watch.follow import Stream
from vendorsync_operator.watch.picture import Picture


class Pulse:
    """Counts what is heard and keeps why attempts failed; the `patience`th refusal lasts."""

    def __init__(self, patience: int) -> None:
        self.count, self.patience = 0, patience
        self.why: list[str] = []

    def heard(self) -> None:
        self.count += 1

    def failed(self, why: str) -> None:
        self.why.append(why)

    def denied(self, why: str) -> bool:
        self.why.append(f"denied {why}")
        self.patience -= 1
        return self.patience <= 0


class Trial:
    """The only stream of a picture, which rests no time."""

    def __init__(self, name: str = "things", patience: int = 1000) -> None:
        self.pulse = Pulse(patience)
        self.rests: list[float] = []
        self.turned: list[str | None] = []
        self.picture = Picture(self.turned.append)
        self.stream = Stream(
            name,
            None,
            pulse=self.pulse,
            part=self.picture.expect(name, None),
            sleep=self._sleep,
            random=lambda: 1.0,
        )

    @property
    def is_read(self) -> bool:
        return self.picture.whole.is_set()

    async def _sleep(self, seconds: float) -> None:
        self.rests.append(seconds)
