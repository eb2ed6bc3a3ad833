"""Erasure of a case: what is open ends, who applied is forgotten, vouchers are kept."""

from __future__ import annotations

from lianhu.contracts.base import Model
from lianhu.contracts.intake import ErasureAsked, ErasureOrdered, ErasureRestricted
from lianhu.contracts.parts import Officer
from lianhu.contracts.payments import (
    ApplicantCaseErased,
    ClaimReleased,
    PaymentTakenOut,
    WelfarePersonForgotten,
)
from lianhu.contracts.welfare import (
    ApplicationEnded,
    WelfareErasureAnswered,
    WelfareKeysErased,
    WelfareKeysRestricted,
    WithdrawApplication,
)
from lianhu.jurisdiction import Level, Post
from tests.welfare_desk import (
    CASE,
    CITY,
    Desk,
    answer,
    apply,
    at,
    closed,
    instructed,
    officer,
    only,
    opened,
    refused,
    relief_signed,
    sign,
)

LATER = "2026-06-01 09:00"
OTHER = "440304-2026-000456"
ASKED = ErasureAsked(
    case=CASE,
    by=Officer(officer="chair-1", post=Post.CHAIR, unit=CITY),
    basis="She asked for it.",
)
ORDERED = ErasureOrdered(case=CASE)


def test_nothing_was_paid_and_nothing_forbids_it() -> None:
    desk = Desk()
    relief_signed(desk, Level.STREET)
    desk.hand(closed(), at("2026-03-04 09:00"))

    (said,) = desk.hand(ASKED, at(LATER))
    assert isinstance(said, WelfareErasureAnswered)
    assert (said.until, said.basis) == (None, None)
    assert refused(desk, sign(), LATER) == [
        "/case erasure-asked",
        "/application public-notice-running",
    ]
    assert refused(desk, apply(), LATER)[0] == "/case erasure-asked"

    events = desk.hand(ORDERED, at(LATER))

    ended = only(events, ApplicationEnded)
    assert (ended.slug, ended.audience) == ("case-erased", ())
    only(events, ClaimReleased)
    only(events, WelfarePersonForgotten)
    only(events, WelfareKeysErased)
    assert desk.pool() == {"source": -10_000_000, "available": 10_000_000}
    assert desk.case.erased
    assert desk.case.card is None
    assert desk.deadlines() == []
    desk.check()


def test_what_comes_late_for_an_erased_case_is_ignored() -> None:
    desk = Desk()
    desk.hand(opened(), at("2026-03-02 09:00"))
    desk.hand(ORDERED, at(LATER))
    late: tuple[Model, ...] = (closed(), opened(card=None))
    for event in late:
        assert desk.hand(event, at("2026-06-02 09:00")) == []
    assert refused(desk, apply(), "2026-06-02 09:00") == ["/case case-erased"]


def test_an_intake_that_was_restored_is_answered_again() -> None:
    desk = Desk()
    desk.hand(opened(), at("2026-03-02 09:00"))
    desk.hand(ORDERED, at(LATER))

    (said,) = desk.hand(ASKED, at("2026-06-02 09:00"))
    (erased,) = desk.hand(ORDERED, at("2026-06-02 09:00"))

    assert isinstance(said, WelfareErasureAnswered)
    assert said.until is None
    assert isinstance(erased, WelfareKeysErased)
    desk.check()


def test_vouchers_of_what_was_paid_are_kept_for_thirty_years() -> None:
    desk = Desk()
    relief_signed(desk)
    desk.hand(answer(instructed(desk)), at("2026-03-11 09:00"))
    desk.hand(closed(), at("2026-03-12 09:00"))

    (said,) = desk.hand(ASKED, at(LATER))

    assert isinstance(said, WelfareErasureAnswered)
    assert said.until == at("2057-01-01 00:00"), "thirty years after the end of the year"
    assert said.basis is not None
    assert "会计档案管理办法" in said.basis
    (free,) = desk.hand(ASKED, at("2057-01-01 00:00"))
    assert isinstance(free, WelfareErasureAnswered)
    assert free.until is None


def test_what_is_about_to_be_paid_will_have_a_voucher() -> None:
    desk = Desk()
    relief_signed(desk)
    desk.hand(closed(), at("2026-03-10 11:00"))

    (said,) = desk.hand(ASKED, at("2026-03-10 12:00"))

    assert isinstance(said, WelfareErasureAnswered)
    assert said.until == at("2057-01-01 00:00")


def test_a_restricted_case_keeps_its_key_and_nobody_works_with_it() -> None:
    desk = Desk()
    relief_signed(desk, Level.STREET)
    desk.hand(ASKED, at("2026-03-04 09:00"))
    until = at("2036-01-01 00:00")
    restricted = ErasureRestricted(
        case=CASE, service="mediation", until=until, basis="人民调解法 §27"
    )

    events = desk.hand(restricted, at("2026-03-04 10:00"))

    assert only(events, WelfareKeysRestricted).until == until
    assert only(events, ApplicationEnded).slug == "case-restricted"
    assert desk.pool() == {"source": -10_000_000, "available": 10_000_000}
    assert refused(desk, apply(), "2026-03-05 09:00") == ["/case case-restricted"]
    assert desk.deadlines() == []
    desk.check()


def test_approved_money_of_a_restricted_case_is_paid() -> None:
    desk = Desk()
    relief_signed(desk)
    restricted = ErasureRestricted(
        case=CASE, service="welfare", until=at("2057-01-01 00:00"), basis="vouchers"
    )
    desk.hand(restricted, at("2026-03-10 12:00"))

    only(desk.hand(answer(instructed(desk)), at("2026-03-11 09:00")), ApplicationEnded)

    assert desk.pool()["paid"] == 300_000
    desk.check()


def test_a_person_whom_another_case_knows_is_not_forgotten() -> None:
    desk = Desk()
    relief_signed(desk, Level.COMMUNITY)
    desk.hand(opened(OTHER), at("2026-03-03 09:00"))
    desk.hand(apply(OTHER, cause="surgery"), at("2026-03-03 10:00"))

    only(desk.hand(ORDERED, at(LATER)), ApplicantCaseErased)
    only(desk.hand(ErasureOrdered(case=OTHER), at(LATER)), WelfarePersonForgotten)
    desk.check()


def test_an_order_that_meets_an_open_envelope_takes_the_payment_out() -> None:
    desk = Desk()
    relief_signed(desk)

    events = desk.hand(ORDERED, at("2026-03-10 12:00"))

    only(events, PaymentTakenOut)
    assert desk.pool() == {"source": -10_000_000, "available": 10_000_000}
    desk.check()


def test_an_order_that_meets_an_envelope_with_the_treasury_lets_it_be_answered() -> None:
    desk = Desk()
    relief_signed(desk)
    order = instructed(desk)
    desk.hand(ORDERED, at("2026-03-10 18:00"))

    ended = only(desk.hand(answer(order), at("2026-03-11 09:00")), ApplicationEnded)

    assert ended.audience == ()
    assert desk.pool()["paid"] == 300_000
    desk.check()


def test_what_was_asked_to_be_erased_may_still_be_withdrawn() -> None:
    desk = Desk()
    relief_signed(desk, Level.COMMUNITY)
    desk.hand(ASKED, at("2026-03-03 09:00"))
    gone = WithdrawApplication(case=CASE, application=f"{CASE}-a1", by=officer(), reason="No.")
    only(desk.hand(gone, at("2026-03-03 10:00")), ApplicationEnded)
