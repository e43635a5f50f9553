from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from dev.simulators.plants import FIRST_CREATED, LAST_CREATED, Fleet, plant, plants, power_kw

PLANTS = plants(9, 1000)


def test_a_seed_gives_the_same_plants_for_ever():
    first = plant(9, 0)
    assert (first.id, first.name) == (9000001, "सूर्य Solar Farm Kolkata 1")
    assert (first.capacity_kw, first.latitude, first.longitude) == (1470.66, 22.629937, 88.321626)


def test_a_smaller_count_is_the_beginning_of_a_bigger_one():
    assert plants(9, 40) == PLANTS[:40]


def test_seeds_do_not_share_ids():
    assert not {item.id for item in PLANTS} & {item.id for item in plants(10, 1000)}


def test_plants_are_plausible():
    assert len({item.id for item in PLANTS}) == len({item.name for item in PLANTS}) == 1000
    assert all(1 < item.capacity_kw <= 50000 for item in PLANTS)
    assert all(FIRST_CREATED <= item.created_at < LAST_CREATED for item in PLANTS)
    assert all(8 < item.latitude < 35 for item in PLANTS if item.latitude)
    assert all(68 < item.longitude < 98 for item in PLANTS if item.longitude)


def test_some_plants_lack_a_place_or_an_address():
    assert 0 < sum(item.latitude is None for item in PLANTS) < 100
    assert 0 < sum(item.address is None for item in PLANTS) < 100


def test_power_follows_the_sun():
    online = next(item for item in PLANTS if item.status == "online")
    offline = next(item for item in PLANTS if item.status == "offline")
    noon, midnight = 1770013800, 1769970600  # 12:00 and 00:00 IST
    assert power_kw(online, midnight) == power_kw(offline, noon) == 0
    assert 0 < power_kw(online, noon) < online.capacity_kw


@given(st.lists(st.tuples(st.sampled_from(["add", "remove", "rename"]), st.integers(0, 30))))
def test_a_fleet_is_the_plants_it_was_told_to_hold(changes):
    fleet, expected = Fleet(9, 3), {item.id: item.name for item in plants(9, 3)}
    for operation, number in changes:
        if operation == "add":
            expected |= {item.id: item.name for item in fleet.add(number % 3)}
        elif expected:
            chosen = sorted(expected)[number % len(expected)]
            if operation == "remove":
                fleet.remove(chosen)
                del expected[chosen]
            else:
                fleet.change(chosen, name=f"sim {number}")
                expected[chosen] = f"sim {number}"
    assert {item.id: item.name for item in fleet} == expected
    assert len(fleet) == len(expected)
    assert all(fleet.get(item.id) == item for item in fleet)
