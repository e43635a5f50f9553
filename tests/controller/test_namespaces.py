"""Which resources the operator visits: those of namespaces whose lists are read.

No server is behind it: what the operator's own streams are told is played here.
"""

import asyncio
from dataclasses import replace

import pytest

from tests.controller.build import SETTINGS, document
from vendorsync_operator.health import Health
from vendorsync_operator.lease import NotLeadingError
from vendorsync_operator.main import _Operator

HERE, AWAY = ("team-a", "acme"), ("team-b", "acme")


class Api:
    """An API server that nobody may ask here."""

    server = "https://api.test"


class Scene:
    """An operator that leads, over two namespaces with a resource each, and what it queued."""

    def __init__(self):
        settings = replace(SETTINGS, namespaces=(HERE[0], AWAY[0]), lease_namespace="vendorsync")
        health = Health(lambda: 0.0)
        # mypy: Api is no transport.Api, which is the point.
        self.operator = _Operator(settings, Api(), health, "operator-0", "operator-0_1")  # type: ignore[arg-type]
        self.queue: list[tuple[str, str]] = []
        self.operator._queue = self  # type: ignore[assignment]
        for namespace, name in (HERE, AWAY):
            self.operator._cache.resources.found(document(name, namespace=namespace))

    def add(self, key):
        self.queue.append(key)

    @property
    def streams(self):
        followers, intakes = self.operator._followers, self.operator._intakes.values()
        return [each._stream for each in followers] + [each._stream for each in intakes]

    def read(self, *namespaces):
        for stream in self.streams:
            if stream.namespace in namespaces:
                stream.read()

    def edit(self, key, version):
        edited = document(key[1], namespace=key[0], syncRequest=version)
        edited["metadata"]["resourceVersion"] = version
        self.operator._cache.resources.found(edited)

    def visit(self, key):
        async def visit():
            return await self.operator._workload()._handle(key)

        return asyncio.run(visit())


def test_a_namespace_is_visited_when_its_lists_are_read_however_the_others_fare():
    scene = Scene()
    assert scene.queue == []

    scene.read(HERE[0])

    assert scene.queue == [HERE]
    assert scene.operator._picture.begun.is_set()


def test_an_edit_in_a_namespace_that_is_not_read_waits_for_its_lists():
    scene = Scene()
    scene.read(HERE[0])

    scene.edit(AWAY, "2")
    scene.edit(HERE, "3")
    assert scene.queue == [HERE, HERE]
    scene.read(AWAY[0])

    assert scene.queue == [HERE, HERE, AWAY]


def test_a_namespace_that_is_denied_is_told_of_and_the_others_are_visited_as_ever():
    scene = Scene()
    scene.read(HERE[0], AWAY[0])
    scene.queue.clear()

    scene.operator._picture.deny(AWAY[0], scene.streams[-1].name, "HTTP 403")

    assert scene.queue == [AWAY]
    # Both are about to write, which this operator may not without the Lease.
    for key in (AWAY, HERE):
        with pytest.raises(NotLeadingError):
            scene.visit(key)


def test_a_namespace_that_is_only_to_be_listed_again_is_left_alone():
    scene = Scene()
    scene.read(HERE[0], AWAY[0])
    scene.queue.clear()

    scene.operator._picture.lose(AWAY[0], scene.streams[-1].name, "listed again")

    assert scene.queue == []
    assert scene.visit(AWAY) is None


def test_after_a_restore_nothing_is_visited_until_it_is_listed_again():
    scene = Scene()
    scene.read(HERE[0], AWAY[0])
    scene.queue.clear()

    scene.operator._turn_back()
    scene.edit(HERE, "2")

    assert scene.queue == []
    assert scene.operator._restored.is_set()
    assert all(stream._is_doubted for stream in scene.streams)
    scene.read(HERE[0], AWAY[0])
    assert sorted(scene.queue) == [HERE, AWAY]
