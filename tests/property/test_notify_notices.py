"""Whatever the order of events, answers, outcomes and deadlines: told once, ended once, safely."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from lianhu.contracts.base import Internal
from lianhu.contracts.mediation import CaseAccepted
from lianhu.contracts.notify import (
    ContactNoted,
    NoticeAttempted,
    NoticeBundled,
    NoticeDelivered,
    NoticeEvent,
    NoticeFailed,
    NoticeSuppressed,
    NoticeUncertain,
    NoticeWaiting,
    VisitAsked,
    WaySought,
)
from lianhu.contracts.parts import Audience, CardRef
from lianhu.contracts.vocabulary import AudienceRole, NoticeChannel
from lianhu.eventing.rules import Deadline, EffectEnded, Message
from lianhu.notify import workflow
from lianhu.notify.digests import PERSONS
from lianhu.notify.policy import Policy
from lianhu.notify.state import Stage
from lianhu.notify.workflow.notices import notice_id, person_notice_id
from lianhu.notify.workflow.outcomes import WAY
from tests.notify_desk import HE, POLICY, SHE, STREAM, Desk, accepted, card_ref, reached, unit

ENDS = (NoticeDelivered, NoticeFailed, NoticeSuppressed, NoticeUncertain, NoticeBundled)
CARDS: Mapping[tuple[str, int], CardRef] = {
    (person, version): card_ref(person, version) for person in (SHE, HE) for version in (1, 2, 3)
}
units = st.builds(
    Audience,
    role=st.sampled_from([role for role in AudienceRole if role not in PERSONS]),
    unit=st.sampled_from([None, "440304000000", "440304010000"]),
)
people = st.builds(
    Audience,
    role=st.sampled_from(sorted(PERSONS)),
    card=st.none() | st.sampled_from([*CARDS.values()]),
    neutral=st.booleans(),
    withheld=st.sampled_from([None, None, None, "no-safe-contact"]),
)
audiences = st.lists(units | people, max_size=4).map(tuple)
waits = st.lists(
    st.timedeltas(min_value=timedelta(seconds=1), max_value=timedelta(days=2)), max_size=3
).map(tuple)


def with_waits(given: Mapping[NoticeChannel, tuple[tuple[timedelta, ...], bool]]) -> Policy:
    channels = {
        name: POLICY.channels[name].model_copy(
            update={"retry_after": retry_after, "idempotent": idempotent}
        )
        for name, (retry_after, idempotent) in given.items()
    }
    return replace(POLICY, channels=channels)


class Notices(RuleBasedStateMachine):
    """One case whose events repeat, whose channels answer late, twice, or never."""

    @initialize(
        given=st.fixed_dictionaries(
            {name: st.tuples(waits, st.booleans()) for name in NoticeChannel}
        )
    )
    def begin(self, given: Mapping[NoticeChannel, tuple[tuple[timedelta, ...], bool]]) -> None:
        self.desk = Desk(with_waits(given))
        self.heard: list[Message] = []
        self.asked_after: dict[str, int] = {}
        """How often a notice had been attempted when it may have got through, and could double."""
        self.doubtful: dict[str, NoticeChannel] = {}
        """By which channel a notice may have got through."""
        self._accepted((unit(),))

    @precondition(lambda self: len(self.heard) < 6)
    @rule(audience=audiences)
    def something_happens(self, audience: tuple[Audience, ...]) -> None:
        self._accepted(audience)

    @rule(which=st.integers(min_value=0))
    def an_event_comes_again(self, which: int) -> None:
        events = self.desk.take(self.heard[which % len(self.heard)])
        assert not [event for event in events if not isinstance(event, ContactNoted)]

    @rule(
        which=st.integers(min_value=0),
        outcome=st.sampled_from(["done", "failed", "unknown"]),
        more=st.sampled_from([{}, {}, {"final": "yes"}, {"closed": "yes"}]),
        again=st.booleans(),
    )
    def an_attempt_ends(self, which: int, outcome: str, more: dict[str, str], again: bool) -> None:
        """Any attempt that ever began, also one that was given up or answered before."""
        attempts = self._attempts()
        if not attempts:
            return
        attempt = attempts[which % len(attempts)]
        found = more if outcome == "failed" else {}
        self._ends(attempt.notice, attempt.attempt, outcome, found, again, Stage.SENDING)

    @rule(
        which=st.integers(min_value=0),
        said=st.sampled_from(
            [
                ("done", None, {"channel": "sms"}),
                ("done", None, {"channel": "email"}),
                ("done", "no-safe-contact", {}),
                ("done", "every-way-failed", {}),
                ("done", "key-erased", {}),
                ("done", "quiet-hours", {"until": ""}),
                ("failed", "store-unavailable", {}),
            ]
        ),
        again=st.booleans(),
    )
    def a_card_is_opened(
        self, which: int, said: tuple[str, str | None, dict[str, str]], again: bool
    ) -> None:
        looks = [event for event in self._notices() if isinstance(event, WaySought)]
        if not looks:
            return
        look = looks[which % len(looks)]
        outcome, reason, found = said
        if "until" in found:
            found = {"until": (self.desk.now + timedelta(hours=3)).isoformat()}
        if NoticeChannel(found.get("channel", "in-app")) in look.tried:
            return  # an opened card never names a channel that was tried
        self._ends(
            look.notice, look.look, outcome, found, again, Stage.SEEKING, reason=reason, way=True
        )

    @precondition(lambda self: self._deadlines())
    @rule(which=st.integers(min_value=0), late=st.timedeltas(timedelta(0), timedelta(days=1)))
    def a_deadline_fires(self, which: int, late: timedelta) -> None:
        deadlines = self._deadlines()
        deadline = deadlines[which % len(deadlines)]
        self.desk.now = max(self.desk.now, deadline.due + late)
        pending = self.desk.case.pending[deadline.kind.partition("-")[2]]
        if pending.stage is Stage.SENDING:
            self._doubted(pending.step.notice)
        message = reached(deadline, self.desk.now)
        assert self.desk.take(message)
        assert deadline not in self._deadlines()
        assert not self.desk.take(message)

    @invariant()
    def a_notice_ends_at_most_once(self) -> None:
        ends = Counter(event.notice for event in self._notices() if isinstance(event, ENDS))
        assert all(count == 1 for count in ends.values())

    @invariant()
    def attempts_are_numbered_and_bounded_by_channel(self) -> None:
        seen: dict[str, list[NoticeAttempted]] = {}
        for attempt in self._attempts():
            seen.setdefault(attempt.notice, []).append(attempt)
        for attempts in seen.values():
            numbers = [attempt.attempt for attempt in attempts]
            assert numbers == list(range(1, len(numbers) + 1))
            runs: list[list[NoticeChannel | None]] = []
            for attempt in attempts:
                if not runs or runs[-1][-1] != attempt.channel:
                    runs.append([])
                runs[-1].append(attempt.channel)
            for run in runs:
                assert run[0] is not None
                assert len(run) <= self.desk.policy.channels[run[0]].attempts

    @invariant()
    def what_began_has_either_ended_or_one_deadline(self) -> None:
        began = {event.notice for event in self._notices()}
        ended = {event.notice for event in self._notices() if isinstance(event, ENDS)}
        waiting = [deadline.kind.partition("-")[2] for deadline in self._deadlines()]
        assert sorted(began - ended) == sorted(waiting)

    @invariant()
    def after_an_outcome_that_nobody_knows_only_the_same_idempotent_channel_goes_on(self) -> None:
        after: dict[str, int] = getattr(self, "asked_after", {})
        for notice, count in after.items():
            assert len([a for a in self._attempts() if a.notice == notice]) == count

    @invariant()
    def what_may_have_got_through_goes_no_other_way_and_is_not_said_to_have_failed(self) -> None:
        doubtful: dict[str, NoticeChannel] = getattr(self, "doubtful", {})
        for notice, channel in doubtful.items():
            events = [event for event in self._notices() if event.notice == notice]
            assert not [e for e in events if isinstance(e, NoticeFailed | NoticeSuppressed)]
            last = [event for event in events if isinstance(event, NoticeAttempted)][-1]
            assert last.channel is channel

    @invariant()
    def on_the_protection_path_people_get_neutral_words_and_the_other_party_none(self) -> None:
        neutral = False
        for event in self._journal():
            if isinstance(event, ContactNoted):
                neutral = event.neutral
            if not isinstance(event, WaySought | NoticeAttempted | NoticeWaiting):
                continue
            if event.role in PERSONS and neutral and not isinstance(event, NoticeWaiting):
                assert event.template.startswith("neutral/")
                assert not event.params
                assert event.role is not AudienceRole.OTHER_PARTY
            if isinstance(event, NoticeAttempted) and event.role in PERSONS:
                assert event.card is not None
                assert event.card.person == event.person
                assert event.channel is not NoticeChannel.IN_APP

    @invariant()
    def each_visit_stands_in_for_a_notice_that_ended_without_being_delivered(self) -> None:
        ends = {event.notice: event for event in self._notices() if isinstance(event, ENDS)}
        for event in self._journal():
            if isinstance(event, VisitAsked):
                assert not isinstance(ends[event.notice], NoticeDelivered | NoticeBundled)

    @invariant()
    def the_state_is_the_fold_of_the_journal_also_through_json(self) -> None:
        folded = Desk().case
        for stream, event, at in getattr(self, "desk", Desk()).journal:
            if stream != STREAM:
                continue
            again = type(event).model_validate_json(event.model_dump_json())
            assert again == event
            evolved = workflow.evolve(STREAM, folded, again, at)
            assert isinstance(evolved, type(folded))
            folded = type(folded).model_validate_json(evolved.model_dump_json())
        assert folded == getattr(self, "desk", Desk()).case

    def _accepted(self, audience: tuple[Audience, ...]) -> None:
        data: CaseAccepted = accepted(*audience)
        id_ = f"e-{len(self.heard)}"
        self.heard.append(Message(id_, data.type_, data, self.desk.now, "mediation", STREAM))
        self.desk.take(self.heard[-1])

    def _ends(
        self,
        notice: str,
        number: int,
        outcome: str,
        found: dict[str, str],
        again: bool,
        stage: Stage,
        *,
        reason: str | None = None,
        way: bool = False,
    ) -> None:
        pending = self.desk.case.pending.get(notice)
        at_hand = None if pending is None else pending.look if way else pending.attempt
        current = pending is not None and pending.stage is stage and at_hand == number
        if current and stage is Stage.SENDING and outcome == "unknown":
            self._doubted(notice)
        data = EffectEnded(
            stream=str(STREAM),
            ref=f"{WAY}{notice}" if way else notice,
            attempt=number,
            outcome=outcome,
            reason=reason,
            found=found,
        )
        message = Message("effect", "effect", data, self.desk.now, "notify")
        assert bool(self.desk.take(message)) == current
        if again:
            assert not self.desk.take(message)

    def _doubted(self, notice: str) -> None:
        """The last attempt of a notice may have had its effect."""
        channel = self.desk.case.pending[notice].step.channel
        assert channel is not None
        if not self.desk.policy.channels[channel].idempotent:
            attempts = [a for a in self._attempts() if a.notice == notice]
            self.asked_after[notice] = len(attempts)
        self.doubtful[notice] = channel

    def _journal(self) -> Sequence[Internal]:
        desk = getattr(self, "desk", None)
        return [] if desk is None else [event for _, event, _ in desk.journal]

    def _notices(self) -> list[NoticeEvent]:
        return [event for event in self._journal() if isinstance(event, NoticeEvent)]

    def _attempts(self) -> list[NoticeAttempted]:
        return [event for event in self._notices() if isinstance(event, NoticeAttempted)]

    def _deadlines(self) -> list[Deadline]:
        desk = getattr(self, "desk", None)
        return [] if desk is None else desk.deadlines()


TestNotices = Notices.TestCase


@given(
    first=st.tuples(st.text(), st.sampled_from(AudienceRole), st.sampled_from([None, "440304"])),
    second=st.tuples(st.text(), st.sampled_from(AudienceRole), st.sampled_from([None, "440304"])),
)
def test_a_notice_is_the_same_exactly_where_event_and_audience_are(
    first: tuple[str, AudienceRole, str | None], second: tuple[str, AudienceRole, str | None]
) -> None:
    one = notice_id(*first, NoticeChannel.IN_APP)
    other = notice_id(*second, NoticeChannel.IN_APP)
    assert (one == other) == (first == second)
    assert one == notice_id(*first, NoticeChannel.IN_APP)


@given(
    first=st.tuples(st.sampled_from(["e-1", "e-2"]), st.sampled_from([SHE, HE])),
    second=st.tuples(st.sampled_from(["e-1", "e-2"]), st.sampled_from([SHE, HE])),
    roles=st.tuples(st.sampled_from(AudienceRole), st.sampled_from(AudienceRole)),
)
def test_a_person_s_notice_is_the_same_in_whichever_role_and_for_nobody_else(
    first: tuple[str, str], second: tuple[str, str], roles: tuple[AudienceRole, AudienceRole]
) -> None:
    one = person_notice_id(first[0], roles[0], first[1])
    other = person_notice_id(second[0], roles[1], second[1])
    assert (one == other) == (first == second)
