"""Envelopes: how they are begun, cut, confirmed; what the treasury says that does not fit them."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from lianhu.contracts.money import Money
from lianhu.contracts.parts import Audience
from lianhu.contracts.payments import (
    BouncePayment,
    EnvelopeHeld,
    EnvelopeSettled,
    LedgerPosted,
    PaymentInstructed,
    PaymentQueued,
)
from lianhu.contracts.vocabulary import AudienceRole
from lianhu.contracts.welfare import (
    ApplicationEnded,
    ApplicationEscalated,
    PaymentBounced,
    PaymentConfirmed,
    WithdrawApplication,
)
from lianhu.jurisdiction import Level
from lianhu.welfare.workflow.state import EnvelopeStatus, Status
from tests.welfare_desk import (
    CASE,
    CITY,
    DISTRICT,
    POLICY,
    POOL,
    TREASURY,
    Desk,
    answer,
    applicant,
    apply,
    at,
    fund,
    instructed,
    officer,
    only,
    opened,
    refused,
    sign,
)

CASES = tuple(f"440304-2026-{n:06d}" for n in range(1, 4))
ITEMS = tuple(f"{case}-a1" for case in CASES)
TUESDAY = "2026-03-03 09:00"


def queued(desk: Desk, moment: str = "2026-03-02 11:00") -> list[PaymentQueued]:
    """Three applications in three cases, approved at this moment."""
    desk.hand(fund(), at("2026-03-02 08:00"))
    found = []
    for n, case in enumerate(CASES):
        desk.hand(opened(case), at("2026-03-02 08:00"))
        who = applicant(f"44030419900228{n:04d}")
        desk.hand(apply(case, applicant=who, emergency=True), at("2026-03-02 08:30"))
    for case in CASES:
        found.append(only(desk.hand(sign(case=case), at(moment)), PaymentQueued))
    return found


def sent() -> tuple[Desk, PaymentInstructed]:
    """A desk whose envelope of three payments lies with the treasury."""
    desk = Desk()
    queued(desk)
    return desk, instructed(desk)


@pytest.mark.parametrize(
    ("approved", "day", "cut"),
    [
        ("2026-03-02 11:00", "2026-03-02", "2026-03-02 17:00"),
        ("2026-03-02 16:59", "2026-03-02", "2026-03-02 17:00"),
        ("2026-03-02 17:00", "2026-03-03", "2026-03-03 17:00"),
        ("2026-03-02 23:30", "2026-03-03", "2026-03-03 17:00"),
        ("2026-03-06 18:00", "2026-03-07", "2026-03-09 17:00"),
        ("2026-03-07 10:00", "2026-03-07", "2026-03-09 17:00"),
        ("2026-03-08 20:00", "2026-03-08", "2026-03-09 17:00"),
    ],
)
def test_a_payment_goes_with_the_envelope_that_is_cut_next(
    approved: str, day: str, cut: str
) -> None:
    for event in queued(Desk(), approved):
        assert event.envelope == f"{POOL}/{day}"
        assert event.cut_at.at == at(cut)


def test_an_envelope_has_control_totals_and_is_settled_by_them() -> None:
    desk, order = sent()
    assert [item.application for item in order.items] == list(ITEMS)
    assert (order.count, order.total) == (3, 600_000)
    assert order.confirm_by.at == at("2026-03-06 00:00")

    events = desk.hand(answer(order), at(TUESDAY))

    assert len([e for e in events if isinstance(e, PaymentConfirmed)]) == 3
    assert len([e for e in events if isinstance(e, ApplicationEnded)]) == 3
    paid = [e.application for e in events if isinstance(e, LedgerPosted)]
    assert paid == list(ITEMS), "an entry for each payment"
    assert desk.pool() == {"source": -10_000_000, "available": 9_400_000, "paid": 600_000}
    assert desk.deadlines() == []
    desk.check()


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"count": 2}, "wrong-count"),
        ({"total": Money(amount="6000.01")}, "wrong-total"),
        ({"paid": ITEMS[:2]}, "wrong-items"),
        ({"paid": (*ITEMS, ITEMS[0])}, "wrong-items"),
        ({"paid": (*ITEMS[:2], "440304-2026-000009-a1")}, "wrong-items"),
        ({"paid": ()}, "wrong-items"),
    ],
)
def test_what_does_not_fit_holds_the_envelope_and_finance_is_told(
    change: dict[str, Any], why: str
) -> None:
    desk, order = sent()
    before = desk.pool()

    (held,) = desk.hand(answer(order, **change), at(TUESDAY))

    assert isinstance(held, EnvelopeHeld)
    assert held.why == why
    assert (held.count, held.total) == (3, 600_000)
    assert held.audience == (Audience(role=AudienceRole.FINANCE, unit=DISTRICT),)
    assert desk.pool() == before, "no money has moved"
    assert desk.envelope(order.envelope).status is EnvelopeStatus.HELD

    only(desk.hand(answer(order), at("2026-03-03 10:00")), EnvelopeSettled)
    assert desk.pool()["paid"] == 600_000
    desk.check()


def test_a_silent_treasury_holds_the_envelope_and_may_still_answer() -> None:
    desk, order = sent()

    (held,) = desk.miss("confirm")

    assert isinstance(held, EnvelopeHeld)
    assert (held.why, held.told_count) == ("not-confirmed-in-time", None)
    assert "confirm" not in {deadline.kind for _, deadline in desk.deadlines()}
    only(desk.hand(answer(order), at("2026-03-09 09:00")), EnvelopeSettled)
    desk.check()


def test_a_held_envelope_is_still_waited_for() -> None:
    desk, order = sent()
    desk.hand(answer(order, count=1), at(TUESDAY))

    (held,) = desk.miss("confirm")

    assert isinstance(held, EnvelopeHeld)
    assert held.why == "not-confirmed-in-time"


def test_one_payment_bounces_before_the_confirmation() -> None:
    desk, order = sent()
    back = BouncePayment(
        envelope=order.envelope, application=ITEMS[1], reason="account-closed", by="clerk-9"
    )

    bounced = only(desk.hand(back, at(TUESDAY)), PaymentBounced)

    assert bounced.envelope == f"{POOL}/2026-03-03"
    assert desk.pool()["committed"] == 200_000
    assert refused(desk, back, TUESDAY) == ["/application already-bounced"]
    wrong = answer(order)
    (held,) = desk.hand(wrong, at(TUESDAY))
    assert isinstance(held, EnvelopeHeld), "it says that it paid what it sent back"

    right = answer(order, paid=(ITEMS[0], ITEMS[2]))
    settled = only(desk.hand(right, at("2026-03-03 10:00")), EnvelopeSettled)
    assert (settled.paid, settled.bounced) == (400_000, 200_000)
    assert refused(desk, back, "2026-03-03 11:00") == ["/envelope already-confirmed"]
    assert refused(desk, right, "2026-03-03 11:00") == ["/envelope already-confirmed"]

    order = instructed(desk)
    assert [item.application for item in order.items] == [ITEMS[1]]
    desk.hand(answer(order), at("2026-03-04 09:00"))
    assert desk.pool()["paid"] == 600_000
    desk.check()


def test_what_the_treasury_says_of_what_it_was_not_sent() -> None:
    desk = Desk()
    queued(desk)
    name = f"{POOL}/2026-03-02"
    back = BouncePayment(envelope=name, application=ITEMS[0], reason="closed", by="clerk-9")
    assert refused(desk, back, "2026-03-02 12:00") == ["/envelope not-instructed"]
    order = instructed(desk)
    other = TREASURY.model_copy(update={"name": "treasury-nanshan"})
    assert refused(desk, answer(order), TUESDAY, other) == ["/envelope not-of-this-publisher"]
    stranger = back.model_copy(update={"application": "440304-2026-000009-a1"})
    assert refused(desk, stranger, TUESDAY) == ["/application unknown-payment"]
    nowhere = back.model_copy(update={"envelope": f"{POOL}/2026-03-05"})
    assert refused(desk, nowhere, TUESDAY) == ["/envelope unknown-envelope"]


def test_a_full_envelope_is_followed_by_the_next_day_s() -> None:
    payment = POLICY.payment.model_copy(update={"items": 2})
    names = [event.envelope for event in queued(Desk(replace(POLICY, payment=payment)))]
    assert names == [f"{POOL}/2026-03-02", f"{POOL}/2026-03-02", f"{POOL}/2026-03-03"]


def test_an_envelope_that_is_cut_late_takes_nothing_more() -> None:
    desk = Desk()
    queued(desk)
    (stream, deadline) = next(p for p in desk.deadlines() if p[1].kind == "cut")
    case = "440304-2026-000009"
    desk.hand(opened(case), at("2026-03-02 16:00"))
    desk.hand(apply(case, emergency=True), at("2026-03-02 16:00"))

    # an outage: the hour has passed and nobody has cut it yet
    late = only(desk.hand(sign(case=case), at("2026-03-02 17:30")), PaymentQueued)

    assert late.envelope == f"{POOL}/2026-03-03"
    order = only(desk.fire(stream, deadline, at("2026-03-02 18:00")), PaymentInstructed)
    assert order.count == 3
    assert order.confirm_by.at == at("2026-03-06 00:00")


def test_money_that_does_not_arrive_in_time_is_named() -> None:
    desk, order = sent()
    (late,) = desk.miss("pay", late=timedelta(hours=1))

    assert isinstance(late, ApplicationEscalated)
    assert (late.missed, late.unit, late.to_unit) == ("pay", DISTRICT, CITY)
    assert Audience(role=AudienceRole.FINANCE, unit=DISTRICT) in late.audience
    desk.hand(answer(order), at("2026-03-05 09:00"))
    assert desk.application(case=CASES[0]).status is Status.ENDED


def test_what_came_back_too_often_may_be_withdrawn_and_gives_its_money_back() -> None:
    desk, order = sent()
    desk.hand(answer(order, bounced=ITEMS[:1]), at(TUESDAY))
    desk.hand(answer(instructed(desk), bounced=ITEMS[:1]), at("2026-03-04 09:00"))
    assert desk.application(case=CASES[0]).status is Status.BOUNCED
    gone = WithdrawApplication(case=CASES[0], application=ITEMS[0], by=officer(), reason="Moved.")

    only(desk.hand(gone, at("2026-03-04 10:00")), ApplicationEnded)

    assert desk.pool() == {"source": -10_000_000, "available": 9_600_000, "paid": 400_000}
    desk.check()


def test_a_unit_that_pays_for_a_case_of_its_own_hears_once_that_a_payment_came_back() -> None:
    desk = Desk()
    desk.hand(fund(), at("2026-03-02 09:00"))
    desk.hand(opened(unit=DISTRICT, level=Level.DISTRICT), at("2026-03-02 09:30"))
    desk.hand(apply(by=officer(unit=DISTRICT)), at("2026-03-02 10:00"))
    desk.hand(sign(Level.DISTRICT), at("2026-03-03 10:00"))
    desk.miss("notice")
    desk.hand(sign(Level.CITY), at("2026-03-09 10:00"))
    for moment in ("2026-03-10 10:00", "2026-03-12 10:00"):
        events = desk.hand(answer(instructed(desk), bounced=[f"{CASE}-a1"]), at(moment))
    bounced = only(events, PaymentBounced)
    assert bounced.envelope is None
    assert [(one.role, one.unit) for one in bounced.audience] == [(AudienceRole.FINANCE, DISTRICT)]
    desk.check()
