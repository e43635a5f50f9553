"""One store of live objects, against lists, events and late answers in any order."""

from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vendorsync_operator.cache.store import Store

KEY = ("solar", "acme")


@dataclass(frozen=True)
class Thing:
    """The least that a store keeps; what was `found_out` about it stays while it is the same."""

    key: tuple[str, str]
    uid: str
    version: str
    text: str
    found_out: str = ""
    news: bool = True

    @classmethod
    def of(cls, document):
        metadata = document["metadata"]
        return cls(
            key=(metadata["namespace"], metadata["name"]),
            uid=metadata["uid"],
            version=metadata["resourceVersion"],
            text=document.get("text", ""),
        )

    @property
    def affected(self):
        return (self.key,)

    def same(self, other):
        return (self.uid, self.text) == (other.uid, other.text)

    def after(self, older):
        return self


def thing(version, uid="u1", name="acme", namespace="solar", text=""):
    metadata = {"namespace": namespace, "name": name, "uid": uid, "resourceVersion": str(version)}
    return {"metadata": metadata, "text": text}


@dataclass
class Told:
    """A store, and the names it announced."""

    changed: list = field(default_factory=list)

    def __post_init__(self):
        self.store = Store(Thing.of, self.changed.append)

    @property
    def known(self):
        return self.of(KEY)

    def of(self, key):
        live = self.store.get(key)
        return live and (live.uid, live.version)


def store():
    return Told().store


# One name through its life: what happened to it, by revision.


@st.composite
def histories(draw):
    """Return events of one name as a watch tells them: kind, uid and version, the oldest first."""
    events, version = [], draw(st.integers(1, 5))
    for uid in range(draw(st.integers(1, 4))):
        for number in range(1 + draw(st.integers(0, 3))):
            events.append(("MODIFIED" if number else "ADDED", f"u{uid}", version))
            version += draw(st.integers(1, 3))
        events.append(("DELETED", f"u{uid}", version))
        version += 1
    if draw(st.booleans()):
        events.pop()
    return events


def end(history):
    """Return what there is in the end: uid and version, or None."""
    kind, uid, version = history[-1]
    return None if kind == "DELETED" else (uid, str(version))


def tell(known, event):
    kind, uid, version = event
    (known.gone if kind == "DELETED" else known.found)(thing(version, uid))


@given(history=histories(), twice=st.booleans(), data=st.data())
def test_in_whatever_order_events_come_the_newest_state_stays(history, twice, data):
    told = Told()

    for event in data.draw(st.permutations(history * 2 if twice else history)):
        tell(told.store, event)

    assert told.known == end(history)
    assert len(told.store) == len(told.store.of(KEY)) == (end(history) is not None)


@given(history=histories(), delay=st.lists(st.integers(0, 20), min_size=20, max_size=20))
def test_however_late_the_answers_to_writes_come_none_brings_anything_back(history, delay):
    """Each event that is no deletion was a write of our own, too."""
    told = Told()
    late = [
        (number + delay[number], uid, version)
        for number, (kind, uid, version) in enumerate(history)
        if kind != "DELETED"
    ]
    for number, event in enumerate([*history, *[None] * 21]):
        if event is not None:
            tell(told.store, event)
        for at, uid, version in late:
            if at == number:
                told.store.put(Thing.of(thing(version, uid)))

    assert told.known == end(history)


@given(history=histories(), data=st.data())
def test_a_list_in_between_changes_nothing_about_the_end(history, data):
    """It was read at some revision, and comes before or after what was told until then."""
    told = Told()
    read = history[: data.draw(st.integers(1, len(history)))]
    listed, revision = end(read), str(read[-1][2])

    for event in history[: data.draw(st.integers(0, len(history)))]:
        tell(told.store, event)
    if listed:
        told.store.listed(thing(int(listed[1]), listed[0]), revision)
    told.store.sweep([KEY] if listed else [], None, revision)
    for event in history[len(read) :]:
        tell(told.store, event)

    assert told.known == end(history)


# What comes late


def test_a_deletion_that_comes_after_the_successor_was_made_drops_no_successor():
    told = Told()
    told.store.found(thing(5, "first"))

    told.store.found(thing(8, "second"))
    told.store.gone(thing(7, "first"))

    assert told.known == ("second", "8")


def test_an_edit_that_comes_after_the_successor_was_made_replaces_no_successor():
    told = Told()
    told.store.found(thing(8, "second"))

    assert not told.store.found(thing(6, "first"))

    assert told.known == ("second", "8")


def test_a_deletion_of_a_successor_that_was_never_told_drops_its_predecessor():
    told = Told()
    told.store.found(thing(5, "first"))

    told.store.gone(thing(9, "second"))

    assert told.known is None
    assert told.changed == [KEY, KEY]


def test_an_answer_that_comes_after_the_deletion_is_not_taken_and_says_so():
    told = Told()
    told.store.found(thing(5))
    told.store.gone(thing(7))
    told.changed.clear()

    assert not told.store.put(Thing.of(thing(5)))
    assert not told.store.put(Thing.of(thing(6)))
    assert not told.store.found(thing(6))

    assert told.known is None
    assert told.changed == []


def test_the_answer_to_a_creation_that_was_deleted_before_it_came_is_not_taken():
    told = Told()
    told.store.found(thing(5))
    told.store.gone(thing(6))

    assert not told.store.put(Thing.of(thing(5)))
    assert told.known is None


def test_an_answer_that_comes_before_the_watch_is_taken_and_its_echo_is_no_news():
    told = Told()

    assert told.store.put(Thing.of(thing(5)))
    told.store.found(thing(5))

    assert told.known == ("u1", "5")
    assert told.changed == []


def test_an_answer_that_came_after_a_list_without_the_object_is_not_taken():
    told = Told()
    told.store.found(thing(5))

    told.store.sweep([], None, "9")

    assert not told.store.put(Thing.of(thing(7)))
    assert told.known is None


def test_an_answer_that_is_older_than_what_is_known_is_not_taken_however_often_it_comes():
    told = Told()
    told.store.found(thing(8))

    assert not told.store.put(Thing.of(thing(6)))
    assert not told.store.put(Thing.of(thing(6)))
    assert told.known == ("u1", "8")


def test_an_object_that_lost_its_labels_and_got_them_back_is_known_again():
    """To a watch with a selector it was deleted meanwhile, with its uid."""
    told = Told()
    told.store.found(thing(5))
    told.store.gone(thing(6))

    assert told.store.put(Thing.of(thing(6))), "as it was read, without labels"
    assert told.store.put(Thing.of(thing(7))), "with labels again"

    assert told.known == ("u1", "7")


def test_what_is_put_once_more_was_read_after_the_end_and_lives():
    told = Told()
    told.store.found(thing(5))
    told.store.sweep([], None, "9")

    assert not told.store.put(Thing.of(thing(7)))
    assert told.store.put(Thing.of(thing(7)))
    assert told.store._refused == {}


def test_what_was_dropped_is_not_brought_back_by_its_echo_but_by_a_later_event():
    told = Told()
    told.store.put(Thing.of(thing(5)))
    told.store.drop(KEY, "u1")

    assert not told.store.found(thing(5))
    assert told.store.found(thing(6)), "it is going, and waits for somebody's finalizer"


def test_nothing_is_dropped_that_has_another_uid():
    told = Told()
    told.store.found(thing(5))

    told.store.drop(KEY, "another")

    assert told.known == ("u1", "5")


def test_the_ends_that_are_remembered_are_bounded():
    known = store()
    for number in range(10_005):
        known.gone(thing(number + 1, name=f"t{number}"))

    assert len(known._ends) == 10_000
    assert known.found(thing(1, name="t0"))
    assert not known.found(thing(10_004, name="t10004"))


# Lists


def test_a_sweep_leaves_what_was_made_after_the_list_was_read():
    told = Told()
    told.store.found(thing(5))
    told.store.put(Thing.of(thing(12, name="new")))

    told.store.sweep([], None, "10")

    assert told.known is None
    assert [live.key for live in told.store] == [("solar", "new")]


def test_a_sweep_drops_what_a_list_did_not_contain_in_its_namespace_only():
    told = Told()
    told.store.found(thing(5))
    told.store.found(thing(6, namespace="wind"))
    told.changed.clear()

    told.store.sweep([], "solar", "9")

    assert [live.key for live in told.store] == [("wind", "acme")]
    assert told.changed == [KEY]


def test_a_list_does_not_replace_what_was_written_after_it_was_read():
    told = Told()
    told.store.put(Thing.of(thing(12)))

    told.store.listed(thing(8), "10")

    assert told.known == ("u1", "12")


def test_a_list_that_is_newer_than_what_is_known_is_right_about_an_older_version():
    """After a restore of etcd whose revisions went on: the edit at 12 never was."""
    told = Told()
    told.store.found(thing(12, text="edited"))

    told.store.listed(thing(8, text="before"), "1000000")

    assert told.known == ("u1", "8")
    assert told.changed == [KEY, KEY]


def test_a_list_brings_back_what_was_deleted_after_the_backup():
    told = Told()
    told.store.gone(thing(12))

    told.store.listed(thing(8), "1000000")

    assert told.known == ("u1", "8")


# The server goes back in time


@pytest.mark.parametrize("namespace", ["solar", None])
def test_what_is_doubted_is_replaced_by_whatever_comes_next(namespace):
    told = Told()
    told.store.found(thing(90))
    told.store.gone(thing(95, name="deleted"))

    told.store.doubt(namespace)
    told.store.listed(thing(40), "50")
    told.store.listed(thing(41, name="deleted"), "50")
    told.store.sweep([KEY, ("solar", "deleted")], namespace, "50")
    told.store.found(thing(51))

    assert told.known == ("u1", "51")
    assert told.of(("solar", "deleted")) == ("u1", "41")


def test_what_is_doubted_and_not_listed_is_dropped_however_new_it_looks():
    told = Told()
    told.store.found(thing(90))

    told.store.doubt(None)
    told.store.sweep([], None, "50")

    assert told.known is None
    assert told.changed == [KEY, KEY]


def test_a_version_that_both_histories_have_is_looked_at():
    told = Told()
    told.store.found(thing(90, text="before"))

    told.store.doubt(None)
    told.store.listed(thing(90, text="after"), "91")

    assert [live.text for live in told.store] == ["after"]


def test_another_namespace_is_not_doubted():
    told = Told()
    told.store.found(thing(90))

    told.store.doubt("wind")
    told.store.listed(thing(40), "50")

    assert told.known == ("u1", "90")


def test_what_was_taken_after_a_doubt_is_doubted_no_longer():
    told = Told()
    told.store.found(thing(90))
    told.store.doubt(None)

    told.store.found(thing(40))

    assert not told.store.found(thing(39))
    assert told.store._doubted == set()
