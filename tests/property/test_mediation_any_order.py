"""Whatever comes to a case in any order: it is not lost, climbs by steps, keeps its clocks.

Nothing is arranged: commands come from any post of any unit through any officers' system, at any
time, beside deadlines on time, late or long answered, partners' words, further reports, and
intake's events again and again. Protected, it is mediated by nobody but by two persons' word.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from lianhu.contracts import REGISTRY
from lianhu.contracts.base import Internal, Model
from lianhu.contracts.faults import Refused
from lianhu.contracts.intake import (
    CaseLinked,
    ErasureAsked,
    ErasureOrdered,
    ErasureRestricted,
)
from lianhu.contracts.mediation import (
    AcceptCase,
    AddNote,
    AssignCase,
    CaseCommand,
    CaseEvent,
    CaseOffered,
    CommandRefused,
    ConcludeProtection,
    MediationLetterParked,
    OverrideGate,
    PartnerAnswered,
    RecordAgreement,
    RecordConsent,
    RecordFailure,
    RecordPerformance,
    RecordVisit,
)
from lianhu.contracts.parts import CardRef, Officer
from lianhu.contracts.publishers import Publisher
from lianhu.contracts.vocabulary import (
    AgreementForm,
    Category,
    Ground,
    PartnerSays,
    Party,
    Risk,
    VisitStep,
)
from lianhu.eventing.rules import Deadline, DeadlineReached
from lianhu.jurisdiction import Level, Post
from lianhu.mediation.workflow.state import Status
from tests.mediation_desk import (
    CASE,
    CITY,
    CIVIL_AFFAIRS,
    COMMUNITY,
    DISTRICT,
    LADDER,
    OFFICERS,
    POLICE,
    STREET,
    Desk,
    at,
    card,
    closed,
    fold,
    joined,
    opened,
    protected,
    reopened,
)
from tests.mediation_laws import LAWS, Step

START = at("2026-01-15 10:00")
UNITS = (COMMUNITY, STREET, DISTRICT, CITY, "440304001019", "440305000000", "440304999999")

instants = st.integers(0, 300 * 24 * 60).map(lambda minutes: START + timedelta(minutes=minutes))
officers = st.builds(
    Officer,
    officer=st.sampled_from(("officer-7", "officer-8")),
    post=st.sampled_from(Post),
    unit=st.sampled_from(UNITS),
)
text = st.sampled_from(("the flat is sold", "他不签字"))


def _command(
    model: type[CaseCommand], **fields: st.SearchStrategy[object]
) -> st.SearchStrategy[CaseCommand]:
    return st.builds(model, case=st.just(CASE), by=officers, **fields)


commands: st.SearchStrategy[CaseCommand] = st.one_of(
    _command(AcceptCase),
    _command(AssignCase, mediator=st.sampled_from(("mediator-3", "mediator-4"))),
    _command(RecordConsent, party=st.sampled_from(Party), consents=st.just(True)),
    _command(RecordConsent, party=st.sampled_from(Party), consents=st.booleans()),
    _command(
        RecordVisit,
        step=st.sampled_from(VisitStep),
        visited_at=st.none() | instants,
        note=st.none() | text,
    ),
    _command(RecordAgreement, form=st.sampled_from(AgreementForm), terms=text),
    _command(RecordPerformance),
    _command(RecordFailure, reason=text),
    _command(AddNote, note=text),
    _command(OverrideGate, reason=text, wish=text),
    _command(ConcludeProtection, note=text),
)
grounds = st.lists(st.sampled_from(Ground), unique=True, max_size=2).map(tuple)
cards = st.none() | st.integers(1, 9).map(card)
systems = st.one_of(
    st.just(OFFICERS),
    st.sampled_from((STREET, DISTRICT, "440305000000")).map(
        lambda unit: OFFICERS.model_copy(update={"unit": unit})
    ),
)

CHAIR = Officer(officer="officer-1", post=Post.CHAIR, unit=CITY)
"""Who may do everything: without this post hardly any case would get far."""
CHAIRS = (CHAIR, CHAIR.model_copy(update={"officer": "officer-2"}))
OVERRIDE = OverrideGate(case=CASE, by=CHAIR, reason="-", wish="-")
GOING_WELL: tuple[CaseCommand, ...] = (
    AcceptCase(case=CASE, by=CHAIR),
    RecordConsent(case=CASE, by=CHAIR, party=Party.CONCERNED, consents=True),
    RecordConsent(case=CASE, by=CHAIR, party=Party.OTHER, consents=True),
    RecordVisit(case=CASE, by=CHAIR, step=VisitStep.SETTLE),
    RecordAgreement(case=CASE, by=CHAIR, form=AgreementForm.ORAL, terms="-"),
    AssignCase(case=CASE, by=CHAIR, mediator="mediator-3"),
    AddNote(case=CASE, by=CHAIR, note="-"),
    RecordPerformance(case=CASE, by=CHAIR),
)


class AnyOrder(RuleBasedStateMachine):
    """One case and all that may come to it."""

    @initialize(
        risk=st.sampled_from(Risk),
        category=st.sampled_from(Category),
        start=st.sampled_from(LADDER),
        far=st.integers(0, 5),
        found=grounds,
        minor=st.booleans(),
    )
    def open(
        self,
        risk: Risk,
        category: Category,
        start: tuple[str, Level],
        far: int,
        found: tuple[Ground, ...],
        minor: bool,
    ) -> None:
        """A case that went well until now, more or less far; or one that is protected."""
        self.desk = Desk()
        self.now = START
        self.answered: list[Deadline] = []
        self.reports = 0
        if found:
            first = protected(*found, risk=risk, minor=minor, known=card())
            self.desk.hand(first, self.now, publisher=None)
            return
        first = opened(risk, category, *start, known=card(), minor=minor)
        self.desk.hand(first, self.now, publisher=None)
        for command in GOING_WELL[:far]:
            self.desk.hand(command, self.now)

    def hand(self, data: Model, publisher: Publisher | None = None) -> Sequence[Internal]:
        """Hand it in, and hold what happened against what must never happen."""
        before = self.desk.case
        recorded = list(self.desk.journal)
        refused: Refused | None = None
        events: Sequence[Internal] = ()
        try:
            events = self.desk.hand(data, self.now, publisher)
        except Refused as refusal:
            refused = refusal
        if refused is not None:
            assert isinstance(data, CaseCommand | PartnerAnswered), "only commands are refused"
            assert refused.faults
            assert self.desk.state == before
            assert self.desk.journal == recorded
            return ()
        after = self.desk.case

        step = Step(data, self.now, recorded, before, after, events)
        for law in LAWS:
            law(step)
        return events

    @rule(command=commands, system=systems)
    def command(self, command: CaseCommand, system: Publisher) -> None:
        self.hand(command, system)

    @rule(command=commands, by=st.sampled_from(CHAIRS))
    def command_by_the_city(self, command: CaseCommand, by: Officer) -> None:
        self.hand(command.model_copy(update={"by": by}), OFFICERS)

    @rule(by=st.sampled_from(CHAIRS))
    def override(self, by: Officer) -> None:
        self.hand(OVERRIDE.model_copy(update={"by": by}), OFFICERS)

    @rule(risk=st.sampled_from(Risk))
    def open_again(self, risk: Risk) -> None:
        assert self.hand(opened(risk)) == []

    @rule()
    def close(self) -> None:
        assert self.hand(closed()) == []
        other = CaseLinked(case=CASE, other="440304-2026-000124", reason="reporter-is-other-party")
        assert self.hand(other) == []

    @rule(risk=st.sampled_from(Risk), found=grounds, known=cards, minor=st.booleans())
    def another_report(
        self, risk: Risk, found: tuple[Ground, ...], known: CardRef | None, minor: bool
    ) -> None:
        before = self.desk.case
        reason = None if known is not None or not minor else "guardian-is-suspect"
        report = joined(*found, risk=risk, known=known, minor=minor, no_card=reason)
        self.hand(report)
        after = self.desk.case
        if before.status is not Status.ERASED:
            assert after.risk.rank >= max(before.risk.rank, risk.rank)
            assert set(after.grounds) >= {*before.grounds, *found}
            assert after.protected or not before.protected
            assert after.protected or not found or before.overridden

    @precondition(lambda self: self.reports < 2)
    @rule(risk=st.sampled_from(Risk), found=grounds)
    def reopen(self, risk: Risk, found: tuple[Ground, ...]) -> None:
        self.reports += 1
        again = protected(*found, risk=risk) if found else opened(risk)
        count = self.desk.case.reopened
        self.hand(reopened(again))
        assert self.desk.case.status in (Status.OFFERED, Status.ERASED)
        assert self.desk.case.reopened == count + (self.desk.case.status is Status.OFFERED)

    @precondition(lambda self: self.desk.case.asks)
    @rule(
        pick=st.integers(0, 8),
        says=st.sampled_from(PartnerSays),
        publisher=st.sampled_from((POLICE, POLICE, CIVIL_AFFAIRS, OFFICERS)),
        note=st.none() | text,
    )
    def a_partner_speaks(
        self, pick: int, says: PartnerSays, publisher: Publisher, note: str | None
    ) -> None:
        asks = self.desk.case.asks
        ask = asks[pick % len(asks)]
        reply = PartnerAnswered(case=CASE, ask=ask.id, says=says, by="desk-3", note=note)
        events = self.hand(reply, publisher)
        assert not events or publisher.name == ask.to

    @rule(days=st.integers(1, 40))
    def restrict(self, days: int) -> None:
        until = self.now + timedelta(days=days)
        self.hand(ErasureAsked(case=CASE, by=CHAIR, basis="-"))
        if self.desk.case.status is Status.CONCLUDED:
            self.hand(ErasureRestricted(case=CASE, service="welfare", until=until, basis="-"))

    @precondition(lambda self: self.desk.case.status is Status.CONCLUDED)
    @rule(really=st.integers(0, 3))
    def erase(self, really: int) -> None:
        if really == 0:
            self.hand(ErasureOrdered(case=CASE))
            assert self.desk.deadlines() == []

    @rule(minutes=st.integers(1, 5 * 24 * 60))
    def time_passes(self, minutes: int) -> None:
        """Less than most clocks need, and nobody looks at the clocks meanwhile."""
        self.now += timedelta(minutes=minutes)

    @precondition(lambda self: self.desk.deadlines())
    @rule(late=st.integers(0, 48), pick=st.integers(0, 8))
    def a_deadline_runs_out(self, late: int, pick: int) -> None:
        running = self.desk.deadlines()
        missed = running[pick % len(running)]
        self.now = max(self.now, missed.due + timedelta(hours=late))
        (event,) = self.fire(missed)
        assert missed not in self.desk.deadlines(), "it is answered"
        assert isinstance(event, CaseEvent)
        assert event.audience, "somebody is told"
        self.answered.append(missed)

    @precondition(lambda self: self.answered)
    @rule(data=st.data())
    def an_answered_deadline_comes_again(self, data: st.DataObject) -> None:
        again = data.draw(st.sampled_from(self.answered))
        assert again not in self.desk.deadlines()
        assert list(self.fire(again)) == []

    def fire(self, deadline: Deadline) -> Sequence[Internal]:
        stream = str(self.desk.stream)
        return self.hand(DeadlineReached(stream=stream, kind=deadline.kind, due=deadline.due))

    @invariant()
    def it_is_not_lost(self) -> None:
        """Somebody owns it, and it is done, being performed, under a clock, or named overdue."""
        if not hasattr(self, "desk"):
            return
        case = self.desk.case
        assert (case.unit, case.level) in LADDER
        ended = case.status in (Status.CONCLUDED, Status.ERASED)
        assert not ended or not self.desk.deadlines(), "nothing is chased after the end"
        waiting = case.status in (Status.OFFERED, Status.ACCEPTED)
        assert bool(case.clocks) <= waiting, "no clock runs when nothing is awaited"
        assert not case.overdue or case.level is Level.CITY
        if waiting and not case.clocks:
            assert case.overdue

    @invariant()
    def the_state_is_what_the_journal_says(self) -> None:
        if hasattr(self, "desk"):
            assert self.desk.state == self.desk.folded()


AnyOrder.TestCase.settings = settings(max_examples=150, stateful_step_count=40)
TestAnyOrder = AnyOrder.TestCase


def _journey() -> list[Internal]:
    """One event of every type, from a case that saw all of them."""
    desk = Desk()
    desk.hand(opened(Risk.RED, known=card()), START, publisher=None)
    for _ in range(4):
        desk.miss_next()
    for command in GOING_WELL:
        desk.hand(command, START + timedelta(days=1))
    later = START + timedelta(days=2)
    desk.hand(reopened(opened()), later, publisher=None)
    desk.hand(joined(known=card(2), number=1), later, publisher=None)
    desk.hand(joined(Ground.MINOR_VICTIM, risk=Risk.RED), later, publisher=None)
    for deadline in desk.deadlines():
        if deadline.kind.startswith("receipt-"):
            desk.fire(deadline)
    first, second = desk.case.asks
    for says, ask in zip(PartnerSays, (first, first, first, second), strict=True):
        publisher = POLICE if ask.to == POLICE.name else CIVIL_AFFAIRS
        reply = PartnerAnswered(case=CASE, ask=ask.id, says=says, by="desk-3")
        desk.hand(reply, later + timedelta(hours=5), publisher)
    for by in CHAIRS:
        desk.hand(OVERRIDE.model_copy(update={"by": by}), later + timedelta(hours=6))
    until = later + timedelta(days=9)
    restricted = ErasureRestricted(case=CASE, service="welfare", until=until, basis="-")
    for word in (ErasureAsked(case=CASE, by=CHAIR, basis="-"), restricted):
        desk.hand(word, later + timedelta(hours=7), publisher=None)
    desk.hand(ErasureOrdered(case=CASE), until, publisher=None)
    seen = {type(event) for event in desk.journal}
    mine = {contract.model for contract in REGISTRY.published_by("mediation")}
    assert mine - seen == {CommandRefused, MediationLetterParked}, "the engine writes these"
    return desk.journal


JOURNEY = _journey()


@given(st.lists(st.sampled_from(JOURNEY), max_size=30))
@settings(max_examples=200)
def test_evolve_never_fails_and_never_forgets_a_case(events: list[Internal]) -> None:
    stream = Desk().stream
    known = False
    for count, event in enumerate(events, start=1):
        known = known or isinstance(event, CaseOffered)
        state = fold(stream, events[:count])
        assert (state is not None) == known
        if state is not None:
            assert type(state).model_validate_json(state.model_dump_json()) == state
            assert all(due.tzinfo for _, due in state.clocks)
