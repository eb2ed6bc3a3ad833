"""What programmes give beside money of ours: places in a shelter, another's money; how often."""

from __future__ import annotations

from lianhu.contracts.intake import CaseReopened
from lianhu.contracts.money import Money
from lianhu.contracts.parts import Tag
from lianhu.contracts.payments import LedgerPosted
from lianhu.contracts.welfare import (
    ApplicationApproved,
    ApplicationEnded,
    Ending,
    RecordDelivery,
    RecordExternalOutcome,
    WithdrawApplication,
)
from lianhu.jurisdiction import Level
from lianhu.welfare.workflow.state import Status
from tests.welfare_desk import (
    CASE,
    SHELTER,
    Desk,
    applicant,
    apply,
    at,
    closed,
    officer,
    only,
    opened,
    protected,
    refused,
    sign,
)

A1 = f"{CASE}-a1"


def test_a_shelter_has_so_many_places_and_each_is_free_again() -> None:
    desk = Desk()
    numbers = [f"440304-2026-{n:06d}" for n in range(1, 14)]
    for case in numbers:
        desk.hand(opened(case, **protected()), at("2026-03-02 09:00"))
        wanted = apply(case, programme="shelter", cause=None, payee=None, papers=())
        desk.hand(wanted, at("2026-03-02 10:00"))
    for case in numbers[:12]:
        desk.hand(sign(Level.DISTRICT, case=case), at("2026-03-02 11:00"))
    assert desk.pool(SHELTER) == {"source": -12, "committed": 12}
    last = sign(Level.DISTRICT, case=numbers[12])
    assert refused(desk, last, "2026-03-02 12:00") == ["/application pool-exhausted"]

    case = numbers[0]
    home = RecordDelivery(case=case, application=f"{case}-a1", by=officer())
    (_, ended) = desk.hand(home, at("2026-03-20 09:00"))
    assert isinstance(ended, ApplicationEnded)
    assert ended.ending is Ending.DELIVERED
    desk.hand(last, at("2026-03-20 10:00"))
    assert desk.pool(SHELTER) == {"source": -12, "committed": 12}
    desk.check()


def test_a_place_in_a_shelter_is_asked_for_once_at_a_time() -> None:
    desk = Desk()
    desk.hand(opened(**protected()), at("2026-03-02 09:00"))
    wanted = apply(programme="shelter", cause=None, payee=None, papers=())
    desk.hand(wanted, at("2026-03-02 10:00"))
    assert refused(desk, wanted, "2026-03-02 10:30") == ["/programme already-open"]

    desk.hand(
        WithdrawApplication(case=CASE, application=A1, by=officer(), reason="She moved."),
        at("2026-03-02 11:00"),
    )
    desk.hand(wanted, at("2026-03-02 12:00"))
    assert desk.application(2).status is Status.SIGNING


def test_another_s_money_is_followed_until_the_other_has_decided() -> None:
    ill = applicant(tags=(Tag(name="poverty"), Tag(name="breast-cancer")))
    wanted = apply(
        programme="four-cancer-relief",
        applicant=ill,
        cause=None,
        payee=None,
        papers=("identity", "diagnosis", "difficulty-proof"),
    )
    for granted, ending in ((True, Ending.GRANTED_ELSEWHERE), (False, Ending.REFUSED_ELSEWHERE)):
        desk = Desk()
        desk.hand(opened(), at("2026-03-02 09:00"))
        desk.hand(wanted, at("2026-03-02 10:00"))
        desk.hand(sign(), at("2026-03-03 10:00"))
        events = desk.hand(sign(Level.DISTRICT), at("2026-03-04 10:00"))
        approved = only(events, ApplicationApproved)
        assert (approved.pool, approved.envelope) == (None, None)
        assert set(desk.clocks()) == {"outcome:a1"}

        outcome = RecordExternalOutcome(
            case=CASE,
            application=A1,
            by=officer(),
            granted=granted,
            amount=Money(amount="10000") if granted else None,
        )
        ended = only(desk.hand(outcome, at("2026-04-01 10:00")), ApplicationEnded)
        assert (ended.ending, ended.amount) == (ending, 1_000_000 if granted else None)
        if granted:
            assert refused(desk, wanted, "2030-04-01 10:00") == ["/applicant already-claimed"]
        else:
            desk.hand(wanted, at("2026-04-02 10:00"))
        assert not any(isinstance(event, LedgerPosted) for _, event, _ in desk.journal)


def test_the_same_cause_is_claimed_once_over_all_cases() -> None:
    desk = Desk()
    other = "440304-2026-000456"
    desk.hand(opened(), at("2026-03-02 09:00"))
    desk.hand(opened(other), at("2026-03-02 09:00"))
    desk.hand(apply(), at("2026-03-02 10:00"))

    for document in ("440304-19900228-1234", "440304/19900228/1234", "(440304)199002281234"):
        spelt = apply(other, applicant=applicant(document))
        assert refused(desk, spelt, "2026-03-02 11:00") == ["/applicant already-claimed"]
    desk.hand(apply(other, cause="surgery"), at("2026-03-02 11:00"))
    desk.hand(apply(other, applicant=applicant("440304199002285678")), at("2026-03-02 12:00"))


def test_a_closed_case_takes_no_application_and_a_reopened_one_does() -> None:
    desk = Desk()
    desk.hand(opened(), at("2026-03-02 09:00"))
    desk.hand(closed(), at("2026-03-02 10:00"))
    assert refused(desk, apply(), "2026-03-02 11:00") == ["/case case-closed"]

    again = CaseReopened.model_validate(opened(card=None).model_dump())
    desk.hand(again, at("2026-03-03 09:00"))
    desk.hand(apply(), at("2026-03-03 10:00"))
    assert desk.application().status is Status.SIGNING
