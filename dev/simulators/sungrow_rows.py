"""How iSolarCloud words plants and faults."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Final
from zlib import crc32

from dev.simulators.plants import INDIA, PER_KW, Plant, plant_truth, power_kw, zone_of

if TYPE_CHECKING:
    from datetime import tzinfo

    from dev.simulators.alerts import Alert
    from dev.simulators.exchange import Json

PS_TYPES: Final = {"HOUSE_ROOF": 4, "COMMERCIAL_ROOF": 12, "INDUSTRIAL_ROOF": 3, "GROUND": 1}
SEVERITIES: Final = ("LOW", "MEDIUM", "CRITICAL")
"""By level, as `fault_level` words it."""
UNITS: Final = ("kWp", "kWp", "MWp", "Wp")


def local_text(moment: float, where: tzinfo = INDIA) -> str:
    """Word an instant as the vendor does: plant local time, no zone."""
    return f"{datetime.fromtimestamp(moment, where):%Y-%m-%d %H:%M:%S}"


def _draw(plant: Plant, what: str, of: int) -> int:
    return crc32(f"{what}:{plant.id}".encode()) % of


def capacity_text(plant: Plant) -> Json | None:
    """Word the capacity: unit and text differ per plant, and some rows have none at all."""
    if _draw(plant, "capacity", 25) == 0 or _bare(plant):
        return None
    unit = UNITS[_draw(plant, "unit", len(UNITS))]
    value = (Decimal(str(plant.capacity_kw)) * PER_KW[unit]).normalize()
    return {"unit": unit, "value": f"{value:f}"}


def _bare(plant: Plant) -> bool:
    """Tell whether the row has plain fields only, as in the portal's own sample."""
    return _draw(plant, "bare", 30) == 0


def _quantity(value: float, unit: str) -> Json:
    """Word a live value; from a thousand units on the next bigger unit is used."""
    if value < 1000:
        return {"unit": unit, "value": f"{value:.1f}".removesuffix(".0")}
    bigger = {"W": "kW", "kW": "MW", "kWh": "MWh", "MWh": "GWh"}
    if unit not in bigger:
        return {"unit": unit, "value": f"{value:.1f}"}
    return _quantity(value / 1000, bigger[unit])


def _measured(plant: Plant, now: float) -> Json:
    """Render the unit-bearing fields; an income of `--` has an empty unit (real answers)."""
    if _bare(plant):
        return {}
    days = max(1.0, (now - plant.created_at) / 86400)
    income: Json = {"unit": "", "value": "--"}
    if _draw(plant, "income", 2):
        income = {"unit": "INR", "value": f"{plant.capacity_kw * 24:.2f}"}
    capacity = capacity_text(plant)
    return {
        **({"total_capcity": capacity} if capacity else {}),
        "curr_power": _quantity(power_kw(plant, now) * 1000, "W"),
        "today_energy": _quantity(plant.capacity_kw * 4, "kWh"),
        "total_energy": _quantity(plant.capacity_kw * 4 * days // 1, "kWh"),
        "today_income": income,
    }


def plant_row(plant: Plant, now: float) -> Json:
    """Render a row of the plant list; the misspelt field name is the vendor's."""
    connected = datetime.fromtimestamp(plant.created_at + 86400, zone_of(plant))
    return {
        "ps_id": plant.id,
        "ps_name": plant.name,
        "ps_type": PS_TYPES[plant.kind],
        "ps_location": plant.address,
        "latitude": plant.latitude,
        "longitude": plant.longitude,
        "ps_current_time_zone": plant.offset or plant.timezone or "GMT+5:30",
        "ps_status": 0 if plant.status == "offline" else 1,
        "online_status": 1,
        "ps_fault_status": 1 if plant.status == "partial" else 3,
        "build_status": 2,
        "valid_flag": 3 if plant.connecting else 1,
        "grid_connection_status": 1,
        "grid_connection_time": int(f"{connected:%Y%m%d%H%M%S}")
        if _draw(plant, "connected", 10)
        else None,
        "connect_type": 2 if plant.kind == "HOUSE_ROOF" else 1,
        "install_date": local_text(plant.created_at, zone_of(plant)),
        "update_time": local_text(now // 300 * 300),
        "alarm_count": 0,
        "fault_count": 1 if plant.status == "partial" else 0,
        "share_type": "0",
        "province_name": plant.state,
        "city_name": plant.city,
        "district_name": None,
        "description": None,
        **_measured(plant, now),
    }


def truth_row(plant: Plant, now: float) -> Json:
    """Tell what a plant is, with the row that is sent for it."""
    row = plant_row(plant, now)
    sent = {
        "timezone": row["ps_current_time_zone"],
        "type": row["ps_type"],
        "created_as_sent": row["install_date"],
        "capacity_sent": "total_capcity" in row,
    }
    return plant_truth(plant, row, sent=sent)


def fault_row(alert: Alert) -> Json:
    """Render a fault; `fault_code` names the occurrence, `uuid` the device (portal)."""
    plant = alert.plant
    month = datetime.fromtimestamp(alert.started_at, UTC)
    return {
        "ps_id": plant.id,
        "ps_key": f"{plant.id}_1_{alert.inverter}_1",
        "ps_name": plant.name,
        "fault_code": f"600{alert.rule}.{month:%Y%m}.{alert.id:013x}",
        "fault_type_code": 60000 + alert.rule,
        "fault_type": {2: 1, 1: 2, 0: 3}[alert.level],
        "fault_level": {2: 1, 1: 3, 0: 4}[alert.level],
        "fault_name": alert.name,
        "fault_desc": alert.name,
        "fault_reason": "",
        "process_status": 1 if alert.ended_at is None else 9,
        "create_time": local_text(alert.started_at, zone_of(plant)),
        "over_time": None if alert.ended_at is None else local_text(alert.ended_at, zone_of(plant)),
        "process_time": None,
        "device_name": f"Inverter {alert.inverter}",
        "device_type": 1,
        "type_name": "Inverter",
        "device_model": "SIM-110",
        "device_model_code": "SIM-110",
        "uuid": plant.id * 10 + alert.inverter,
        "grid_connection_status": 1,
    }
