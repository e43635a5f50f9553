"""Sample Solar, after API.md."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Final

from vendorsync_job import normalise
from vendorsync_job.errors import VendorContractError
from vendorsync_job.models import Alert, Grant, Page, Plant
from vendorsync_job.ports import Purpose
from vendorsync_job.vendors.pages import RowReader, numbered, read_page, read_token
from vendorsync_job.vendors.refusals import Refusals
from vendorsync_sample.policy import SAMPLE

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from vendorsync_api.policy import Options, VendorPolicy
    from vendorsync_job.models import AlertQuery, Fields, Token
    from vendorsync_job.ports import Reader, Session, VendorClient

LOGIN_PATH: Final = "/v1/login"
PLANTS_PATH: Final = "/v1/plants"
ALERTS_PATH: Final = "/v1/alerts"
REFUSALS: Final = Refusals(
    title=SAMPLE.title,
    token_expired=frozenset({"TOKEN_UNKNOWN"}),
    credentials_rejected=frozenset({"LOGIN_REFUSED"}),
    throttled=frozenset({"TOO_FAST"}),
    # The vendor's day turns at midnight UTC, so it is over within 24 hours at the latest.
    quota_exhausted={"DAY_SPENT": 86_400.0},
    transient=frozenset({"BUSY"}),
    advice={"LOGIN_REFUSED": "check clientId, user and password"},
)
STATUS: Final = {"up": "online", "part": "partial", "down": "offline"}
SEVERITY: Final = {1: "LOW", 2: "MEDIUM", 3: "HIGH", 4: "CRITICAL"}


class SampleAdapter:
    """Reads the plants and the open alerts of one account."""

    policy: ClassVar[VendorPolicy] = SAMPLE

    def __init__(
        self,
        client: VendorClient,
        credentials: Mapping[str, str],
        options: Options,  # noqa: ARG002 - this vendor has none
    ) -> None:
        self._client = client
        self._credentials = credentials

    def authenticate(self) -> Grant:
        """Log in once."""
        body = {key: self._credentials[key] for key in ("clientId", "user", "password")}
        answer = self._client.post(LOGIN_PATH, json=body, purpose=Purpose.LOGIN)
        result = _result(answer, LOGIN_PATH, login=True)
        token = read_token(result, "token", sender=f"{SAMPLE.title} answered {LOGIN_PATH}")
        lifetime = normalise.whole(result.get("expiresIn"))
        return Grant(token, expires_in=None if lifetime is None else float(lifetime))

    def plants(self, session: Session) -> Iterator[Page[Fields]]:
        """Yield the pages of all plants, up to an empty one."""
        return numbered(
            lambda number: _plants(session.call(partial(self._list, PLANTS_PATH, number)))
        )

    @property
    def plant(self) -> Reader[Plant]:
        """What reads the plants that are listed."""
        return PLANT

    def alerts(self, session: Session, query: AlertQuery) -> Iterator[Page[Alert]]:  # noqa: ARG002
        """Yield the pages of all open alerts; this vendor takes no times."""
        return numbered(
            lambda number: _alerts(session.call(partial(self._list, ALERTS_PATH, number)))
        )

    def _list(self, path: str, number: int, token: Token) -> dict[str, Any]:
        answer = self._client.get(
            path,
            params={"page": str(number), "perPage": str(self.policy.page_size)},
            headers={"Authorization": f"Bearer {token.value}"},
        )
        return _result(answer, path)


def _result(answer: Mapping[str, Any], path: str, *, login: bool = False) -> dict[str, Any]:
    """Open the envelope: HTTP is 200 for every refusal."""
    if answer.get("ok") is not True:
        if "error" not in answer:
            raise VendorContractError(
                f"{SAMPLE.title} answered {path} without ok and without error; check baseURL"
            )
        raise REFUSALS.error(str(answer["error"]), answer.get("message"), path, login=login)
    result = answer.get("result")
    if not isinstance(result, dict):
        raise VendorContractError(f"{SAMPLE.title} answered {path} without result")
    return result


def _plants(result: Mapping[str, Any]) -> Page[Fields]:
    sender = f"{SAMPLE.title} answered {PLANTS_PATH}"
    return read_page(result, PLANT.fields, rows="items", total="count", key="id", sender=sender)


def _plant(row: normalise.Row) -> Plant:
    place = row.get("position")
    if not isinstance(place, dict):
        place = {}
    latitude, longitude = normalise.position(place.get("lat"), place.get("lng"))
    return Plant(
        vendor_plant_id=normalise.identifier(row.get("id")),
        name=normalise.name(row.get("title"), "title"),
        capacity_kw=normalise.capacity_kw(row.get("peakKw"), "kWp", field="peakKw"),
        latitude=latitude,
        longitude=longitude,
        address=normalise.text(row.get("address"), "address"),
        time_zone=normalise.time_zone(row.get("zone")),
        plant_type=normalise.text(row.get("kind"), "kind", 64),
        status=STATUS.get(str(row.get("state"))),
        commissioned_at=normalise.unix_time(row.get("since"), "since"),
    )


PLANT: Final = RowReader(
    _plant, "id", "title", "peakKw", "position", "address", "zone", "kind", "state", "since"
)


def _alerts(result: Mapping[str, Any]) -> Page[Alert]:
    sender = f"{SAMPLE.title} answered {ALERTS_PATH}"
    return read_page(result, _alert, rows="items", total="count", key="id", sender=sender)


def _alert(row: normalise.Row) -> Alert:
    return Alert(
        vendor_alert_id=normalise.identifier(row.get("id")),
        vendor_plant_id=normalise.identifier(row.get("plantId"), "plantId"),
        title=normalise.name(row.get("text"), "text"),
        started_at=normalise.moment(normalise.unix_time(row.get("since"), "since"), "since"),
        severity=SEVERITY.get(normalise.whole(row.get("level")) or 0),
        code=normalise.text(row.get("code"), "code", 64),
        device_serial=normalise.text(row.get("device"), "device", 64),
    )
