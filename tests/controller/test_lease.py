"""Who leads, and until when: the candidate's state, and the election around it."""

import asyncio
import time
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from vendorsync_operator.lease import (
    Candidate,
    Election,
    LeaseDeniedError,
    NotLeadingError,
    Record,
    Times,
    UnreachableError,
)

WALL = datetime(2026, 11, 23, 6, 0, tzinfo=UTC)
TIMES = Times(duration=15, renew=10, retry=2)
OTHERS = Record("other", 15, 3, WALL, WALL, version="7")


class Server:
    """One Lease that is replaced only by who knows its version."""

    def __init__(self, record=None):
        self.record, self.version = record, 100

    def store(self, record):
        current = self.record.version if self.record else ""
        if record.version != current:
            return None
        self.version += 1
        self.record = replace(record, version=str(self.version))
        return self.record


def candidate():
    return Candidate("me", TIMES)


def leading(asked=0.0):
    """Return a candidate that leads since it asked, and the server."""
    me, server = candidate(), Server()
    me.won(server.store(me.bid(asked, WALL)), asked, asked)
    return me, server


def test_a_lease_that_does_not_exist_is_created_at_once():
    assert candidate().bid(0, WALL) == Record("me", 15, 0, WALL, WALL)


@pytest.mark.parametrize("waited", [0.0, 14.9])
def test_a_lease_that_moved_lately_is_left_to_its_holder(waited):
    me = candidate()
    me.observe(OTHERS, 0)
    me.observe(OTHERS, waited)

    assert me.bid(waited, WALL) is None


def test_a_lease_that_stood_still_for_its_duration_is_taken_whatever_times_it_names():
    me = candidate()
    future = replace(OTHERS, renewed=WALL.replace(year=2036))
    me.observe(future, 0)
    me.observe(future, 15)

    assert me.bid(15, WALL) == Record("me", 15, 4, WALL, WALL, "7")


def test_every_renewal_of_the_holder_starts_the_wait_anew():
    me = candidate()
    me.observe(OTHERS, 0)
    me.observe(replace(OTHERS, renewed=WALL.replace(second=9), version="8"), 14)

    assert me.wait(15) == 14
    assert me.bid(28.9, WALL) is None
    assert me.bid(29, WALL) is not None


def test_a_note_on_the_lease_that_renews_nothing_does_not_start_the_wait_anew():
    me = candidate()
    me.observe(OTHERS, 0)
    me.observe(replace(OTHERS, version="8"), 14)

    assert me.bid(15, WALL) is not None


def test_the_holder_says_how_long_its_lease_lasts():
    me = candidate()
    me.observe(replace(OTHERS, duration=60), 0)

    assert me.bid(59, WALL) is None


def test_a_released_lease_is_taken_at_once():
    me = candidate()
    me.observe(replace(OTHERS, holder=""), 0)

    assert me.bid(0, WALL) is not None


def test_a_lease_that_vanishes_is_waited_for_like_one_that_stands_still():
    me = candidate()
    me.observe(OTHERS, 0)
    me.observe(None, 1)

    assert me.bid(14.9, WALL) is None
    assert me.bid(15, WALL) == Record("me", 15, 4, WALL, WALL, version="")


def test_the_fence_counts_from_when_the_renewal_was_asked_for():
    me, server = candidate(), Server()
    me.won(server.store(me.bid(0, WALL)), asked=0, now=9)

    assert me.is_leading(9.9)
    assert me.safe(9) == 6
    assert not me.is_leading(10)
    with pytest.raises(NotLeadingError):
        me.safe(10)


def test_who_never_led_may_not_write():
    with pytest.raises(NotLeadingError):
        candidate().safe(0)


def test_somebody_elses_name_on_the_lease_ends_leading_at_once():
    me, _ = leading()
    me.observe(OTHERS, 1)

    assert not me.is_leading(1)


def test_resigning_frees_the_lease_and_closes_the_fence():
    me, server = leading()

    freed = me.resign(WALL)

    assert freed is not None
    assert (freed.holder, freed.version) == ("", server.record.version)
    assert not me.is_leading(0)
    assert candidate().resign(WALL) is None


def after_a_restore(me, now, **fields):
    """Show a candidate, which saw version 107, the Lease as it was earlier."""
    me.observe(replace(OTHERS, version="107"), now)
    return me.observe(replace(OTHERS, version="88", transitions=1, **fields), now)


def test_a_version_that_goes_back_tells_of_a_restore_once():
    me = candidate()

    assert not me.observe(OTHERS, 0)
    assert after_a_restore(me, 1)
    assert not me.observe(replace(OTHERS, version="89"), 2)


def test_a_lease_that_vanishes_and_is_made_anew_at_a_higher_version_tells_of_no_restore():
    me = candidate()
    me.observe(OTHERS, 0)

    assert not me.observe(None, 1)
    assert not me.won(replace(OTHERS, holder="me", version="9"), asked=16, now=16)


def test_one_that_is_made_anew_at_a_lower_version_does():
    me = candidate()
    me.observe(OTHERS, 0)
    me.observe(None, 1)

    assert me.won(replace(OTHERS, holder="me", version="6"), asked=16, now=16)


@pytest.mark.parametrize("holder", ["", "me", "other"])
def test_whoever_does_not_lead_waits_for_those_who_do_not_know_of_the_restore_yet(holder):
    me = candidate()
    after_a_restore(me, 1, holder=holder)

    assert me.bid(15.9, WALL) is None
    assert me.bid(16, WALL) is not None


@pytest.mark.parametrize("holder", ["", "me"])
def test_a_leader_goes_on_after_a_restore_since_all_others_wait(holder):
    me, server = leading()
    server.record = replace(server.record, holder=holder, version="88", renewed=None)

    assert me.observe(server.record, 1)
    renewed = server.store(me.bid(1, WALL))
    me.won(renewed, asked=1, now=1)

    assert me.is_leading(10.9)


def test_a_restored_lease_that_somebody_took_and_released_is_taken_at_once():
    me = candidate()
    after_a_restore(me, 1, holder="")
    me.observe(replace(OTHERS, version="89"), 3)
    me.observe(replace(OTHERS, version="90", holder=""), 4)

    assert me.bid(4, WALL) is not None


class Player:
    """A candidate with a clock of its own; each step is one message between it and the server."""

    def __init__(self, name, server, offset, times):
        self.candidate = Candidate(name, times)
        self.server, self.offset = server, offset
        self.now, self.steps = offset, iter(())

    def step(self, time):
        self.now = time + self.offset
        if next(self.steps, "over") == "over":
            self.steps = self.turn()

    def turn(self):
        if not self.candidate.is_leading(self.now):
            yield from self.read()
        asked, wanted = self.now, self.candidate.bid(self.now, WALL.fromtimestamp(self.now, UTC))
        if wanted is None:
            return
        yield
        stored = self.server.store(wanted)
        yield
        if stored is None:
            yield from self.read()
        else:
            self.candidate.won(stored, asked, self.now)

    def read(self):
        found = self.server.record
        yield
        self.candidate.observe(found, self.now)

    def leads(self, time):
        return self.candidate.is_leading(time + self.offset)


ACTIONS = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(["step"]), st.integers(0, 1)),
        st.tuples(st.sampled_from(["lose"]), st.integers(0, 1)),
        st.tuples(st.sampled_from(["wait"]), st.sampled_from([0.1, 1.0, 2.0, 5.0, 10.0, 15.0])),
    ),
    max_size=60,
)


def most_leaders(actions, times):
    """Play actions; return how many candidates would have passed the fence at once."""
    server, time, most = Server(), 0.0, 0
    players = [Player("a", server, 1000.0, times), Player("b", server, 5.0, times)]
    for what, which in actions:
        if what == "step":
            players[which].step(time)
        elif what == "lose":
            players[which].steps = iter(())
        else:
            time += which
        most = max(most, sum(player.leads(time) for player in players))
    return most


A_TAKES, B_WAITS = [("step", 0)] * 5, [("step", 1)] * 3
OVERTAKEN = [*A_TAKES, *B_WAITS, ("wait", 15.0), *[("step", 1)] * 6]


@example(actions=OVERTAKEN)
@given(actions=ACTIONS)
def test_however_messages_pauses_and_losses_fall_no_two_pass_the_fence(actions):
    assert most_leaders(actions, TIMES) <= 1


def test_a_fence_that_stayed_open_longer_than_the_lease_would_be_found():
    assert most_leaders(OVERTAKEN, Times(duration=15, renew=16)) == 2


# The election


class Leases:
    """The server as the election's port; `outage` answers nothing, `silence` never answers."""

    def __init__(self, server):
        self.server = server
        self.asked = []
        self.outage = False
        self.silence = False

    async def _serve(self, verb):
        self.asked.append(verb)
        if self.silence:
            await asyncio.Event().wait()
        if self.outage:
            raise UnreachableError("connection refused")

    async def read(self):
        await self._serve("read")
        return self.server.record

    async def create(self, record):
        await self._serve("create")
        return self.server.store(record)

    async def update(self, record):
        await self._serve("update")
        return self.server.store(record)


class Pulse:
    """Keeps what it is told."""

    def __init__(self):
        self.told = []

    def heard(self):
        self.told.append("heard")

    def failed(self, why):
        self.told.append(why)

    def denied(self, why):
        self.told.append(f"denied {why}")


class Round:
    """An election whose every pause runs the next of the given acts; the clock jumps the pause."""

    def __init__(self, server, name="me", times=TIMES, clock=None):
        self.leases, self.pulse, self.pauses, self.now = Leases(server), Pulse(), [], 0.0
        self.restores: list[float] = []
        self.election = Election(
            Candidate(name, times),
            self.leases,
            times=times,
            pulse=self.pulse,
            clock=clock or (lambda: self.now),
            now=lambda: WALL,
            sleep=self.sleep,
            random=lambda: 1.0,
            restored=lambda: self.restores.append(self.now),
        )

    async def sleep(self, seconds):
        self.pauses.append(seconds)
        self.now += seconds
        act = next(self.acts, None)
        if act is None:
            raise asyncio.CancelledError
        act()

    def play(self, *acts):
        self.acts = iter(acts)

        async def scenario():
            with pytest.raises(asyncio.CancelledError):
                await self.election.run()

        asyncio.run(scenario())
        return self


def nothing():
    """Let time pass."""


def test_one_operator_elects_itself_with_its_first_request_and_renews_with_one_each():
    alone = Round(Server()).play(nothing, nothing)

    assert alone.leases.asked == ["read", "create", "update", "update"]
    assert alone.election.role == "leading"
    assert alone.pauses == [2, 2, 2]
    assert alone.pulse.told == ["heard"] * 3


def test_leader_and_standby_tell_of_a_restore_within_one_turn():
    for each in (Round(Server()), Round(Server(replace(OTHERS, version="107")))):

        def restore(each=each):
            each.leases.server.record = replace(OTHERS, version="50")

        each.play(restore, nothing)

        assert each.restores == [2]
        assert each.election.role == "standing by for other"


def test_an_operator_whose_lease_was_not_in_the_backup_tells_of_the_restore():
    leader = Round(Server())

    def restore():
        leader.leases.server.record = None
        leader.leases.server.version = 50

    leader.play(restore, nothing)

    assert leader.restores == [2]
    assert leader.election.role == "leading"


def test_a_standby_reads_and_writes_nothing_and_takes_over_the_moment_the_lease_runs_out():
    standby = Round(Server(OTHERS))
    standby.play(*[nothing] * 8)

    assert standby.leases.asked == [*["read"] * 9, "update"]
    assert standby.pauses[:8] == [2, 2, 2, 2, 2, 2, 2, 1]
    assert standby.election.role == "leading"


def test_a_leader_that_reaches_nobody_stops_at_its_deadline_and_stands_by():
    leader = Round(Server())

    def cut():
        leader.leases.outage = True

    leader.play(cut, nothing, nothing, nothing, nothing)

    assert leader.now == 12
    assert leader.election.role == "standing by for me"
    assert leader.pulse.told[1:] == ["connection refused"] * 5
    with pytest.raises(NotLeadingError):
        leader.election.fence()


def test_a_lease_that_is_denied_is_told_apart():
    class Denying(Leases):
        async def read(self):
            raise LeaseDeniedError("HTTP 403")

    refused = Round(Server())
    refused.election._leases = Denying(Server())

    refused.play()

    assert refused.pulse.told == ["denied HTTP 403"]


def test_after_the_outage_it_leads_again():
    leader = Round(Server())

    def cut():
        leader.leases.outage = True

    def mend():
        leader.leases.outage = False

    leader.play(cut, *[nothing] * 6, mend)

    assert leader.election.role == "leading"


def test_a_leader_that_slept_stands_by_before_it_asks_anybody():
    sleeper, roles = Round(Server()), []

    class Asked(Leases):
        async def _serve(self, verb):
            roles.append((verb, sleeper.election.role))

    def sleep_long():
        sleeper.now += 60
        sleeper.election._leases = Asked(sleeper.leases.server)

    sleeper.play(sleep_long)

    assert roles[0] == ("read", "standing by for me")


def test_a_request_that_hangs_leaves_time_for_another():
    hasty = Times(duration=0.6, renew=0.4, retry=0.01)
    leader = Round(Server(), times=hasty, clock=time.monotonic)

    def silence():
        leader.leases.silence = True

    def speak():
        leader.leases.silence = False

    leader.play(silence, speak)

    assert leader.leases.asked == ["read", "create", "update", "update"]
    assert leader.pulse.told == ["heard", "no answer within 0 s", "heard"]


def test_who_waits_for_leading_hears_of_it_and_of_its_loss():
    async def scenario():
        one = Round(Server())
        heard = []

        async def listen():
            await one.election.gained()
            heard.append("gained")
            await one.election.lost()
            heard.append("lost")

        listener = asyncio.create_task(listen())
        await one.election._turn()
        await asyncio.sleep(0)
        one.now += 11
        one.leases.outage = True
        await one.election._turn()
        await asyncio.wait_for(listener, 5)
        return heard

    assert asyncio.run(scenario()) == ["gained", "lost"]


def test_a_released_lease_is_free_for_the_next():
    async def scenario():
        server = Server()
        first, second = Round(server, "first"), Round(server, "second")
        await first.election._turn()
        await second.election._turn()
        before = second.election.role
        await first.election.release()
        await second.election._turn()
        return before, first.election.role, second.election.role

    before, first, second = asyncio.run(scenario())

    assert before == "standing by for first"
    assert second == "leading"
    assert first != "leading"


def test_a_renewal_that_was_cut_off_but_stored_does_not_keep_the_lease():
    async def scenario():
        server = Server()
        one = Round(server)
        await one.election._turn()
        server.store(server.record)
        await one.election.release()
        return server.record.holder

    assert asyncio.run(scenario()) == ""


def test_a_lease_that_cannot_be_released_is_left_to_time(caplog):
    async def scenario():
        one = Round(Server())
        await one.election._turn()
        one.leases.outage = True
        await one.election.release()
        return one

    one = asyncio.run(scenario())

    assert "lease not released" in caplog.text
    with pytest.raises(NotLeadingError):
        one.election.fence()
