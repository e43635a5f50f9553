"""What kopf is told to do, and what its events lead to."""

from collections.abc import Iterable
from itertools import islice

from tests.controller.build import document
from vendorsync_operator import handlers, health, main


class Names(set):
    """A sink that keeps the names."""

    def found(self, document):
        self.add(document["metadata"]["name"])

    def gone(self, document):
        self.discard(document["metadata"]["name"])

    def listed(self, document, revision):
        raise AssertionError("kopf gets no objects of a list")

    def sweep(self, listed, namespace, revision):
        raise AssertionError("kopf never sweeps")

    def doubt(self, namespace):
        raise AssertionError("kopf never doubts")


def _no_session():
    raise AssertionError("no request is made here")


def test_events_go_into_the_store():
    names = Names()

    for kind, name in ((None, "listed"), ("ADDED", "added"), ("MODIFIED", "listed")):
        handlers.observe(names, kind, document(name))
    handlers.observe(names, "DELETED", document("added"))

    assert names == {"listed"}


def test_kopf_has_no_handler_that_would_write_to_a_resource():
    registry = handlers.registry(Names(), server="https://a.test", session=_no_session)

    assert list(registry._changing.get_all_handlers()) == []
    assert list(registry._spawning.get_all_handlers()) == []
    assert list(registry._indexing.get_all_handlers()) == []


def test_kopf_scans_nothing_posts_nothing_and_meets_no_peers():
    settings = main.kopf_settings()

    assert settings.scanning.disabled
    assert not settings.posting.enabled
    assert settings.peering.standalone


def test_kopf_lists_in_chunks_before_it_watches():
    watching = main.kopf_settings().watching
    server, client = watching.server_timeout, watching.client_timeout

    # Initial streaming loses objects when the stream is cut during the first listing.
    assert not watching.initial_streaming
    assert watching.chunk_size == 500
    assert server is not None
    assert client is not None
    assert client > server


def test_kopf_ends_a_watch_that_is_silent_before_health_calls_it_dead():
    assert main.kopf_settings().watching.inactivity_timeout < health.SILENCE_LIMIT


def test_kopf_tries_for_ever_with_bounded_waits():
    backoffs = main.kopf_settings().networking.error_backoffs

    assert isinstance(backoffs, Iterable)
    waits = list(islice(backoffs, 200))
    assert len(waits) == 200
    assert all(0 < seconds <= 30 for seconds in waits)
