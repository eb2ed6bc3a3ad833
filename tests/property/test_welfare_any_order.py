"""Whatever comes in any order: no pool below zero, books that balance, nothing paid twice or lost.

Nothing is arranged: commands come from any post of any unit, in time or not, beside deadlines, the
treasury's right and wrong answers, and intake's events again and again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from lianhu.contracts.base import Internal, Model
from lianhu.contracts.faults import Refused
from lianhu.contracts.intake import ErasureAsked, ErasureOrdered, ErasureRestricted
from lianhu.contracts.money import LedgerAccount, Money, Posting, yuan
from lianhu.contracts.parts import Officer
from lianhu.contracts.payments import (
    BouncePayment,
    LedgerPosted,
    PaymentInstructed,
)
from lianhu.contracts.welfare import (
    ApplicationSigned,
    ResubmitApplication,
    Verdict,
    WelfareCommand,
    WithdrawApplication,
)
from lianhu.eventing.rules import Deadline, Rank, Stream
from lianhu.jurisdiction import Level, Post
from lianhu.welfare import workflow
from lianhu.welfare.workflow.state import (
    Application,
    CaseState,
    ClaimState,
    EnvelopeState,
    PoolState,
    Status,
)
from lianhu.welfare.workflow.streams import case_of
from tests.welfare_desk import (
    CITY,
    COMMUNITY,
    DISTRICT,
    OFFICERS,
    STREET,
    TREASURY,
    UNITS,
    Desk,
    answer,
    applicant,
    apply,
    at,
    closed,
    fund,
    opened,
    protected,
    sign,
)

START = at("2026-03-02 10:00")
CASES = tuple(f"440304-2026-{n:06d}" for n in range(1, 4))
PEOPLE = tuple(applicant(f"44030419900228{n:04d}") for n in range(3))
PAPERS = ("identity", "difficulty-proof")

cases = st.sampled_from(CASES)
numbers = st.integers(1, 3)
levels = st.sampled_from((Level.STREET, Level.DISTRICT, Level.CITY))
names = st.sampled_from(("reviewer-1", "reviewer-2", "reviewer-3", "reviewer-4", "clerk-1"))
anybody = st.builds(
    Officer,
    officer=names,
    post=st.sampled_from(Post),
    unit=st.sampled_from((COMMUNITY, STREET, DISTRICT, CITY, "440305000000")),
)


def again(name: str, who: str = "clerk-1", **more: Any) -> ResubmitApplication:
    by = Officer(officer=who, post=Post.CHAIR, unit=COMMUNITY)
    return ResubmitApplication(case=case_of(name), application=name, by=by, **more)


class AnyOrder(RuleBasedStateMachine):
    """Three cases, three people, one pool that is soon empty."""

    @initialize()
    def begin(self) -> None:
        self.desk = Desk()
        self.now = START
        self.orders: list[PaymentInstructed] = []
        self.desk.hand(fund(450_000), self.now)
        for case, who in zip(CASES, PEOPLE, strict=True):
            self.desk.hand(opened(case), self.now)
            self.desk.hand(apply(case, applicant=who, emergency=case == CASES[0]), self.now)

    def hand(self, data: Model) -> Sequence[Internal]:
        """Hand it in; a refusal leaves everything as it was."""
        before, count = dict(self.desk.states), len(self.desk.journal)
        publisher = None if isinstance(data, Internal) else TREASURY
        if isinstance(data, WelfareCommand):
            publisher = OFFICERS
        refused: Refused | None = None
        try:
            return self.desk.hand(data, self.now, publisher)
        except Refused as refusal:
            refused = refusal
        assert publisher is not None, "only commands are refused"
        assert refused.faults
        assert self.desk.states == before
        assert len(self.desk.journal) == count
        return ()

    @rule(fen=st.integers(1, 400_000))
    def the_pool_is_funded(self, fen: int) -> None:
        self.hand(fund(fen))

    @rule(
        case=cases,
        who=st.sampled_from(PEOPLE),
        cause=st.sampled_from(("winter", "surgery")),
        emergency=st.booleans(),
        papers=st.sampled_from((PAPERS, PAPERS, PAPERS[:1])),
        amount=st.none() | st.integers(1, 350_000),
    )
    def somebody_applies(
        self,
        case: str,
        who: Model,
        cause: str,
        emergency: bool,
        papers: tuple[str, ...],
        amount: int | None,
    ) -> None:
        asked = None if amount is None else Money(amount=yuan(amount))
        self.hand(
            apply(
                case, applicant=who, cause=cause, emergency=emergency, papers=papers, amount=asked
            )
        )

    @rule(case=cases, number=numbers, name=names, verdict=st.sampled_from(Verdict))
    def the_level_that_is_asked_signs(
        self, case: str, number: int, name: str, verdict: Verdict
    ) -> None:
        one = self.application(f"{case}-a{number}")
        level = Level.STREET if one is None else one.level
        by = Officer(officer=name, post=Post.REVIEWER, unit=UNITS[level])
        self.hand(sign(level, verdict, number, case, by=by))

    @precondition(lambda self: self.open())
    @rule(data=st.data())
    def one_goes_on(self, data: st.DataObject) -> None:
        """Its next step, as it should be; without these hardly any would get far."""
        one = data.draw(st.sampled_from(self.open()))
        case = case_of(one.id)
        match one.status:
            case Status.SIGNING:
                unit = (one.unit, *one.substitutes)[-1]
                name = data.draw(st.sampled_from((f"chair-{one.level}", "chair", "clerk-1")))
                by = Officer(officer=name, post=Post.CHAIR, unit=unit)
                amount = None
                if one.amount and data.draw(st.booleans()):
                    amount = Money(amount=yuan(data.draw(st.integers(1, one.amount))))
                self.hand(sign(one.level, case=case, by=by, amount=amount, application=one.id))
            case Status.RETURNED | Status.BOUNCED:
                who = data.draw(st.sampled_from(("clerk-1", "clerk-1", "chair", "chair-street")))
                self.hand(again(one.id, who, papers=PAPERS, payee="card-0002"))
            case Status.NOTICE:
                self.run_out(lambda kind: kind == f"notice:{one.id.rpartition('-')[2]}")
            case _ if one.missing:
                self.hand(again(one.id, papers=PAPERS))
            case _:
                self.run_out(lambda kind: kind == "cut")
                self.answered(data, data.draw(st.booleans()))

    @rule(case=cases, number=numbers, level=levels, by=anybody, verdict=st.sampled_from(Verdict))
    def somebody_signs(
        self, case: str, number: int, level: Level, by: Officer, verdict: Verdict
    ) -> None:
        self.hand(sign(level, verdict, number, case, by=by))

    @rule(
        case=cases,
        number=numbers,
        name=names,
        papers=st.sampled_from((PAPERS, ())),
        who=st.none() | st.sampled_from(PEOPLE),
        payee=st.none() | st.just("card-0003"),
    )
    def it_is_submitted_again(
        self,
        case: str,
        number: int,
        name: str,
        papers: tuple[str, ...],
        who: Model | None,
        payee: str | None,
    ) -> None:
        self.hand(again(f"{case}-a{number}", name, papers=papers, applicant=who, payee=payee))

    @rule(case=cases, number=numbers)
    def it_is_withdrawn(self, case: str, number: int) -> None:
        by = Officer(officer="clerk-1", post=Post.CHAIR, unit=COMMUNITY)
        name = f"{case}-a{number}"
        self.hand(WithdrawApplication(case=case, application=name, by=by, reason="She works."))

    @rule(hours=st.integers(1, 30))
    def time_passes(self, hours: int) -> None:
        """Nobody looks at the clocks meanwhile."""
        self.now += timedelta(hours=hours)

    @precondition(lambda self: self.desk.deadlines())
    @rule(late=st.integers(0, 30), pick=st.integers(0, 3))
    def a_deadline_runs_out(self, late: int, pick: int) -> None:
        running = self.desk.deadlines()
        self.fire(*running[pick % len(running)], late)

    @precondition(lambda self: self.orders)
    @rule(data=st.data(), wrong=st.sampled_from(("", "count", "total", "paid")))
    def the_treasury_answers(self, data: st.DataObject, wrong: str) -> None:
        self.answered(data, data.draw(st.booleans()), wrong)

    def answered(self, data: st.DataObject, bounces: bool, wrong: str = "") -> None:
        """What the treasury says of one of the last envelopes, answered already or not."""
        if not self.orders:
            return
        order = data.draw(st.sampled_from(self.orders[-2:]))
        items = [item.application for item in order.items]
        back = items[:1] if bounces else []
        before = self.desk.envelope(order.envelope).bounced
        paid = tuple(item for item in items if item not in back and item not in before)
        said = answer(order, bounced=back, paid=paid)
        if wrong == "count":
            said = said.model_copy(update={"count": order.count + 1})
        elif wrong == "total":
            said = said.model_copy(update={"total": Money(amount=yuan(order.total + 1))})
        elif wrong == "paid":
            said = said.model_copy(update={"paid": (*paid, f"{CASES[0]}-a9")})
        self.hand(said)

    @precondition(lambda self: self.orders)
    @rule(data=st.data())
    def one_payment_bounces(self, data: st.DataObject) -> None:
        order = data.draw(st.sampled_from(self.orders[-3:]))
        one = data.draw(st.sampled_from([item.application for item in order.items]))
        self.hand(
            BouncePayment(envelope=order.envelope, application=one, reason="closed", by="clerk-9")
        )

    @rule(case=cases, graver=st.booleans())
    def intake_speaks_again(self, case: str, graver: bool) -> None:
        more = {**protected(), "unit": COMMUNITY, "level": Level.COMMUNITY} if graver else {}
        self.hand(opened(case, **more))

    @rule(case=cases)
    def the_case_is_closed(self, case: str) -> None:
        self.hand(closed(case))

    @precondition(lambda self: len(self.desk.journal) > 40)
    @rule(what=st.sampled_from(("asked", "ordered", "restricted")))
    def one_case_is_to_be_erased(self, what: str) -> None:
        by = Officer(officer="chair-1", post=Post.CHAIR, unit=CITY)
        self.hand(ErasureAsked(case=CASES[2], by=by, basis="She asked for it."))
        if what == "ordered":
            self.hand(ErasureOrdered(case=CASES[2]))
        elif what == "restricted":
            until = self.now + timedelta(days=20)
            self.hand(
                ErasureRestricted(case=CASES[2], service="welfare", until=until, basis="vouchers")
            )

    def run_out(self, which: Callable[[str], bool]) -> None:
        """Let the first clock of such a kind run out, if one does."""
        for stream, deadline in self.desk.deadlines():
            if which(deadline.kind):
                self.fire(stream, deadline)
                return

    def fire(self, stream: Stream, missed: Deadline, late: int = 0) -> None:
        self.now = max(self.now, missed.due + timedelta(hours=late))
        events = self.desk.fire(stream, missed, self.now)
        assert events, "it is answered by something that happens"
        self.orders += [event for event in events if isinstance(event, PaymentInstructed)]

    # what must hold

    def application(self, name: str) -> Application | None:
        return next((one for one in self.applications() if one.id == name), None)

    def open(self) -> list[Application]:
        return [one for one in self.applications() if not one.ended]

    def applications(self) -> list[Application]:
        found = [s for s in self.desk.states.values() if isinstance(s, CaseState)]
        return [one for case in found for one in case.applications.values()]

    @invariant()
    def no_account_is_below_zero_and_the_books_balance(self) -> None:
        if not hasattr(self, "desk"):
            return
        for state in self.desk.states.values():
            if isinstance(state, PoolState):
                assert sum(state.balances.values()) == 0
                assert all(
                    fen >= 0
                    for account, fen in state.balances.items()
                    if account is not LedgerAccount.SOURCE
                )
                mine = [one for one in self.applications() if one.pool == state.pool]
                held = sum(one.held for one in mine)
                waits = (
                    LedgerAccount.RESERVED,
                    LedgerAccount.COMMITTED,
                    LedgerAccount.INSTRUCTED,
                )
                assert held == sum(state.of(account) for account in waits)
                paid = sum(one.amount or 0 for one in mine if one.paid)
                assert paid == state.of(LedgerAccount.PAID)

    @invariant()
    def one_claim_pays_once(self) -> None:
        if not hasattr(self, "desk"):
            return
        alive = [one for one in self.applications() if not one.ended or one.paid]
        claims = Counter(one.claim for one in alive)
        assert all(count == 1 for count in claims.values())
        for one in alive:
            if one.claim is not None:
                state = self.desk.states[Stream(Rank.CLAIM, one.claim)]
                assert state == ClaimState(application=one.id)

    @invariant()
    def nobody_signs_twice_or_what_is_his_own(self) -> None:
        if not hasattr(self, "desk"):
            return
        for one in self.applications():
            signers = [signature.officer for signature in one.signatures]
            assert len(signers) == len(set(signers))
            assert not set(signers) & set(one.submitters)

    @invariant()
    def nothing_is_lost(self) -> None:
        """Each application has ended, waits for somebody, or was named overdue."""
        if not hasattr(self, "desk"):
            return
        for one in self.applications():
            assert one.ended or one.clocks or one.overdue
            assert not (one.ended and one.clocks)
            if one.status is Status.ENDED:
                assert one.held == 0
        for state in self.desk.states.values():
            if isinstance(state, EnvelopeState) and state.instructed:
                assert state.items

    def teardown(self) -> None:
        if not hasattr(self, "desk"):
            return
        self.desk.check()
        entries = [event for _, event, _ in self.desk.journal if isinstance(event, LedgerPosted)]
        assert all(sum(line.change for line in entry.lines) == 0 for entry in entries)
        paid = Counter(e.application for e in entries if e.posting is Posting.PAY)
        assert all(count == 1 for count in paid.values()), "nothing is paid twice"


AnyOrder.TestCase.settings = settings(max_examples=120, stateful_step_count=60)
TestAnyOrder = AnyOrder.TestCase


def _journey() -> list[tuple[Stream, Internal]]:
    """Events of most types: returned, approved, bounced, paid."""
    desk = Desk()
    now = START
    desk.hand(fund(), now)
    for case, who in zip(CASES, PEOPLE, strict=True):
        desk.hand(opened(case), now)
        desk.hand(apply(case, applicant=who, emergency=case == CASES[0], papers=PAPERS[:1]), now)
    desk.hand(sign(case=CASES[0]), now)
    desk.hand(sign(verdict=Verdict.RETURN, case=CASES[1]), now)
    desk.hand(again(f"{CASES[1]}-a1", papers=PAPERS), now)
    desk.hand(sign(case=CASES[1]), now)
    for case in CASES[1:]:
        desk.hand(closed(case), now)
    for _ in range(12):
        stream, deadline = desk.deadlines()[0]
        for event in desk.fire(stream, deadline):
            if isinstance(event, PaymentInstructed):
                desk.hand(answer(event, bounced=[event.items[0].application]), deadline.due)
        if not desk.deadlines():
            break
    return [(stream, event) for stream, event, _ in desk.journal]


JOURNEY = _journey()


@given(st.lists(st.sampled_from(JOURNEY), max_size=40))
@settings(max_examples=200)
def test_evolve_never_fails_on_events_in_any_order(
    events: list[tuple[Stream, Internal]],
) -> None:
    states = dict.fromkeys((stream for stream, _ in JOURNEY))
    for stream, event in events:
        state = workflow.evolve(stream, states[stream], event, START)
        if state is not None:
            assert type(state).model_validate_json(state.model_dump_json()) == state
            assert all(d.due.tzinfo for d in workflow.deadlines(stream, state))
        if isinstance(event, ApplicationSigned):
            assert stream.kind is Rank.CASE
