"""Which namespaces are served: those of which every list is read."""

import logging

from vendorsync_operator.watch.picture import Picture

KINDS = ("vendorsyncs", "cronjobs", "jobs")


class Scene:
    """A picture of namespaces, each of three streams, and which were turned to."""

    def __init__(self, *namespaces):
        self.turned: list[str | None] = []
        self.picture = Picture(self.turned.append)
        self.parts = {
            namespace: [self.picture.expect(f"{kind} in {namespace}", namespace) for kind in KINDS]
            for namespace in namespaces
        }

    def read(self, namespace):
        for part in self.parts[namespace]:
            part.read()


def test_a_namespace_is_shown_when_all_its_lists_are_read():
    scene = Scene("team-a", "team-b")
    first, second, third = scene.parts["team-a"]

    first.read()
    second.read()
    assert not scene.picture.shows("team-a")
    third.read()

    assert scene.picture.shows("team-a")
    assert not scene.picture.shows("team-b")
    assert scene.turned == ["team-a"]


def test_all_namespaces_are_shown_when_the_lists_of_all_are_read():
    scene = Scene(None)
    assert not scene.picture.shows("solar")

    scene.read(None)

    assert scene.picture.shows("solar")
    assert scene.picture.whole.is_set()


def test_another_list_of_the_same_stream_completes_nothing():
    scene = Scene("team-a")
    scene.read("team-a")

    scene.read("team-a")

    assert scene.turned == ["team-a"]


def test_what_is_whole_is_known_of_the_first_and_of_all():
    scene = Scene("team-a", "team-b")
    assert not scene.picture.begun.is_set()

    scene.read("team-a")
    assert scene.picture.begun.is_set()
    assert not scene.picture.whole.is_set()
    scene.read("team-b")

    assert scene.picture.whole.is_set()
    assert scene.picture.unserved == []


def test_a_namespace_that_is_lost_says_why_and_is_turned_again():
    scene = Scene("team-a", "team-b")
    scene.read("team-a")
    scene.read("team-b")

    scene.parts["team-b"][1].lost("listed again")
    assert not scene.picture.shows("team-b")
    assert scene.picture.unserved == ["team-b"]
    scene.parts["team-b"][1].read()

    assert scene.picture.shows("team-b")
    assert scene.turned == ["team-a", "team-b", "team-b"]


def test_one_loss_is_logged_once_and_so_is_its_end(caplog):
    caplog.set_level(logging.INFO)
    scene = Scene("team-a")

    for _ in range(2):
        for part in scene.parts["team-a"]:
            part.lost("HTTP 403: no")
    scene.read("team-a")

    assert [(each.message, each.namespace) for each in caplog.records] == [
        ("namespace is not served", "team-a"),
        ("namespace is served again", "team-a"),
    ]


def test_a_namespace_that_is_denied_is_turned_to_once_for_each_stream_and_says_why():
    scene = Scene("team-a")
    scene.read("team-a")
    scene.turned.clear()

    for _ in range(2):
        scene.parts["team-a"][1].denied("HTTP 403: no")
        scene.parts["team-a"][2].denied("HTTP 403: nor this")

    assert scene.turned == ["team-a", "team-a"]
    assert not scene.picture.shows("team-a")
    assert scene.picture.refusal("team-a") == (
        "cronjobs in team-a: HTTP 403: no; jobs in team-a: HTTP 403: nor this"
    )
    scene.read("team-a")
    assert scene.picture.refusal("team-a") == ""
    assert scene.turned[2:] == ["team-a"]


def test_what_is_not_read_yet_is_no_refusal():
    assert Scene("team-a").picture.refusal("team-a") == ""
