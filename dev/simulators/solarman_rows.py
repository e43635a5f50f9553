"""How Solarman words plants and alarms."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from dev.simulators.plants import Plant, plant_truth, power_kw

if TYPE_CHECKING:
    from dev.simulators.alerts import Alert
    from dev.simulators.exchange import Json

SEVERITIES: Final = ("LOW", "MEDIUM", "HIGH")
"""By level; a safety matter would be critical, but this path does not tell."""
NETWORK_STATUS: Final = {
    "online": "NORMAL",
    "partial": "PARTIAL_OFFLINE",
    "offline": "ALL_OFFLINE",
}


def plant_row(plant: Plant, now: float) -> Json:
    """Render a row of the plant list; ids are numbers or text (seen in clients)."""
    live = power_kw(plant, now)
    return {
        "id": str(plant.id) if plant.id % 5 == 0 else plant.id,
        "name": plant.name,
        "locationLat": plant.latitude,
        "locationLng": plant.longitude,
        "locationAddress": plant.address,
        "regionNationId": 44,
        "regionLevel1": 1001,
        "regionLevel2": None,
        "regionLevel3": None,
        "regionLevel4": None,
        "regionLevel5": None,
        "regionTimezone": plant.timezone or "Asia/Kolkata",
        "type": plant.kind,
        "gridInterconnectionType": "EXCESS" if plant.kind == "HOUSE_ROOF" else "DISTRIBUTED_FULLY",
        "installedCapacity": plant.capacity_kw,
        "startOperatingTime": plant.created_at + 86400.0,
        "createdDate": float(plant.created_at),
        "lastUpdateTime": float(now // 300 * 300),
        "batterySoc": None,
        "networkStatus": _network_status(plant),
        "generationPower": None if plant.status == "offline" else round(live * 1000, 1),
        "stationImage": None,
        "contactPhone": None,
        "ownerName": None,
    }


def _network_status(plant: Plant) -> str:
    """Word the state; some answers have blanks around it (recorded)."""
    word = NETWORK_STATUS[plant.status]
    return f" {word} " if plant.id % 4 == 1 else word


def truth_row(plant: Plant, now: float) -> Json:
    """Tell what a plant is, with the row that is sent for it."""
    row = plant_row(plant, now)
    sent = {
        "timezone": row["regionTimezone"],
        "type": row["type"],
        "created_as_sent": row["createdDate"],
        "capacity_sent": True,
    }
    return plant_truth(plant, row, sent=sent)


def alert_row(alert: Alert) -> Json:
    """Render an item of the old endpoint: without id and status, `ruleId` is the rule."""
    return {
        "deviceSn": f"SIMINV{alert.plant.id}{alert.inverter}",
        "deviceId": alert.plant.id * 10 + alert.inverter,
        "deviceType": "INVERTER",
        "ruleId": alert.rule,
        "showName": alert.name,
        "addr": f"ERR1_bit{alert.rule}",
        "code": alert.code,
        "level": alert.level,
        "influence": 1 if alert.level == 2 else 0,
        "alertTime": alert.started_at,
    }


def alert_v2_row(alert: Alert) -> Json:
    """Render an item of `alertV2` (online doc V2.0.3, by way of a public Go client)."""
    return {
        "id": alert.id,
        "deviceSn": f"SIMINV{alert.plant.id}{alert.inverter}",
        "deviceId": str(alert.plant.id * 10 + alert.inverter),
        "deviceType": "INVERTER",
        "ruleId": alert.rule,
        "alertName": alert.name,
        "addr": f"ERR1_bit{alert.rule}",
        "code": alert.code,
        "level": alert.level,
        "status": 1 if alert.ended_at is None else 0,
        "alertStartTime": alert.started_at,
        "alertEndTime": alert.ended_at,
    }
