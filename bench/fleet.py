"""Solarman's plant rows in any number, made as they are asked for: the same ones each time.

Rows are those of the simulator; only the first thousand are drawn, the others take their fields
from these and have an id and a name of their own, so that making them costs next to nothing. Ids
are numbers throughout: loaders for everything do not take one that is a text every now and then.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from dev.simulators.plants import plant
from dev.simulators.solarman_rows import plant_row
from vendorsync_api.vendors import SOLARMAN
from vendorsync_job.models import Token
from vendorsync_job.vendors.solarman import SolarmanAdapter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from vendorsync_job.models import Fields, Page

Row = dict[str, Any]

SEED: Final = 7
DRAWN: Final = 1000
FIRST_ID: Final = 10_000_000
MOMENT: Final = datetime(2026, 3, 2, 6, 30, tzinfo=UTC)


@cache
def _drawn() -> tuple[Row, ...]:
    return tuple(plant_row(plant(SEED, index), MOMENT.timestamp()) for index in range(DRAWN))


@dataclass(frozen=True)
class Fleet:
    """The plants of an account; `version` counts how often every hundredth of them has changed."""

    count: int
    version: int = 0

    def rows(self, start: int = 0, stop: int | None = None) -> list[Row]:
        """Return the rows from one position up to another, as the vendor sends them."""
        return [self._row(index) for index in range(start, min(stop or self.count, self.count))]

    def _row(self, index: int) -> Row:
        drawn = _drawn()[index % DRAWN]
        changes = self.version if index % 100 == 0 else 0
        return drawn | {
            "id": FIRST_ID + index,
            "name": f"{drawn['name']} {index}",
            "installedCapacity": round(drawn["installedCapacity"] + changes, 2),
        }


@dataclass(frozen=True)
class ListedRows:
    """Rows that are in memory already, under the same name."""

    listed: Sequence[Row]

    @property
    def count(self) -> int:
        """How many there are."""
        return len(self.listed)

    def rows(self, start: int, stop: int) -> list[Row]:
        """Return the rows from one position up to another."""
        return list(self.listed[start:stop])


class FleetClient:
    """Answers the list calls of Solarman's adapter: a `VendorClient` without a network."""

    def __init__(self, fleet: Fleet | ListedRows) -> None:
        self._fleet = fleet

    def get(self, path: str, **_: object) -> dict[str, Any]:
        """Refuse: Solarman has no such call."""
        raise NotImplementedError(path)

    def post(self, path: str, *, json: Mapping[str, Any], **_: object) -> dict[str, Any]:  # noqa: ARG002
        """Return one page of the list."""
        first = (json["page"] - 1) * json["size"]
        found = self._fleet.rows(first, first + json["size"])
        return {"success": True, "code": None, "total": self._fleet.count, "stationList": found}


class OneToken:
    """A `Session` whose token never ends."""

    def __init__(self, token: str = "token") -> None:  # noqa: S107 - nobody checks it
        self._token = Token(token, expires_at=MOMENT, obtained_at=MOMENT)

    def call(self, request: Callable[[Token], Any]) -> Any:  # noqa: ANN401
        """Run the request."""
        return request(self._token)


def pages(fleet: Fleet | ListedRows) -> Iterator[Page[Fields]]:
    """Yield the pages of a listing as Solarman's adapter lists them."""
    adapter = SolarmanAdapter(FleetClient(fleet), {}, SOLARMAN.check_options({}))
    return adapter.plants(OneToken())
