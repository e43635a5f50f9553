"""Which resource may write an organization: one of each namespace, database Secret and number."""

import pytest

from tests.controller.build import document
from tests.controller.world import World

OLDER, YOUNGER = ("solar", "acme"), ("solar", "umbra")
OWN = {"secretRef": {"name": "umbra-database", "key": "url"}}


def world_with(younger):
    world = World()
    world.put(document("acme", created="2026-10-01T00:00:00Z"))
    world.put(younger)
    return world


def test_the_younger_of_two_that_write_the_same_rows_is_refused_and_names_the_older():
    world = world_with(document("umbra"))

    assert world.condition(key=OLDER)[0] == "True"
    assert world.condition(key=YOUNGER) == ("False", "DuplicateOrganization")
    assert "solar/acme" in world.message(key=YOUNGER)


@pytest.mark.parametrize(
    ("key", "fields"),
    [
        pytest.param(("production", "acme"), {}, id="in another namespace"),
        pytest.param(YOUNGER, {"database": OWN}, id="in another database"),
    ],
)
def test_a_resource_of_the_same_number_is_served(key, fields):
    namespace, name = key
    world = world_with(document(name, namespace=namespace, **fields))

    assert world.condition(key=OLDER)[0] == "True"
    assert world.condition(key=key)[0] == "True"
    assert {owner for owner, _ in world.cluster.cron_jobs} == {"solar", namespace}


def test_the_younger_is_served_when_the_older_goes():
    world = world_with(document("umbra"))

    world.cache.resources.gone(world.cluster.resources.pop(OLDER))
    world.reconcile(YOUNGER)

    assert world.condition(key=YOUNGER)[0] == "True"
