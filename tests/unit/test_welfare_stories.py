"""An application for relief, told from its submission to its end."""

from __future__ import annotations

from datetime import timedelta

from lianhu.contracts.base import Internal
from lianhu.contracts.intake import CaseReopened
from lianhu.contracts.money import Money
from lianhu.contracts.parts import Audience
from lianhu.contracts.payments import (
    ClaimReleased,
    ClaimTaken,
    EnvelopeSettled,
    LedgerPosted,
    PaymentQueued,
)
from lianhu.contracts.vocabulary import AudienceRole
from lianhu.contracts.welfare import (
    ApplicationApproved,
    ApplicationEnded,
    ApplicationEscalated,
    ApplicationResubmitted,
    ApplicationReturned,
    ApplicationSigned,
    ApplicationSubmitted,
    Ending,
    PaymentBounced,
    PaymentConfirmed,
    PublicNoticeEnded,
    PublicNoticeStarted,
    ResubmitApplication,
    Verdict,
    WithdrawApplication,
)
from lianhu.jurisdiction import Level
from lianhu.welfare.workflow.state import ClockKind, Status
from tests.welfare_desk import (
    CASE,
    CITY,
    COMMUNITY,
    DISTRICT,
    POOL,
    STREET,
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
    protected,
    refused,
    relief_signed,
    sign,
    signer,
)

A1 = f"{CASE}-a1"


def names(events: list[Internal]) -> list[str]:
    return [type(event).__name__ for event in events]


def test_relief_is_returned_once_approved_through_its_levels_paid_and_confirmed() -> None:
    desk = Desk()
    desk.hand(fund(1_000_000), at("2026-03-02 09:00"))
    desk.hand(opened(), at("2026-03-02 09:30"))

    events = desk.hand(apply(papers=("identity",)), at("2026-03-02 10:00"))
    submitted = only(events, ApplicationSubmitted)
    assert (submitted.application, submitted.unit, submitted.asked) == (A1, STREET, 300_000)
    assert submitted.missing_papers == ("difficulty-proof",)
    assert submitted.sign_by.at == at("2026-03-06 00:00"), "three working days"
    assert submitted.audience == (Audience(role=AudienceRole.UNIT_REACHED, unit=STREET),)
    only(events, ClaimTaken)

    (returned,) = desk.hand(sign(verdict=Verdict.RETURN), at("2026-03-03 09:00"))
    assert isinstance(returned, ApplicationReturned)
    assert [one.role for one in returned.audience] == [
        AudienceRole.PERSON_CONCERNED,
        AudienceRole.OWNING_UNIT,
    ]
    assert set(desk.clocks()) == {"complete:a1"}, "its own clock stands still"

    again = ResubmitApplication(
        case=CASE, application=A1, by=officer(), papers=("difficulty-proof",)
    )
    (back,) = desk.hand(again, at("2026-03-04 09:00"))
    assert isinstance(back, ApplicationResubmitted)
    assert desk.clocks() == {"sign:a1": at("2026-03-10 00:00")}

    events = desk.hand(sign(), at("2026-03-05 09:00"))
    assert names(events) == ["LedgerPosted", "ApplicationSigned", "PublicNoticeStarted"]
    shown = only(events, PublicNoticeStarted)
    assert shown.shown == "王**"
    assert shown.until.at == at("2026-03-10 00:00"), "three days end on a Sunday, so on Monday"
    assert desk.pool() == {"source": -1_000_000, "available": 700_000, "reserved": 300_000}

    (ended,) = desk.miss("notice")
    assert isinstance(ended, PublicNoticeEnded)
    assert (ended.unit, desk.application().level) == (DISTRICT, Level.DISTRICT)

    events = desk.hand(sign(Level.DISTRICT, amount=Money(amount="2500")), at("2026-03-10 10:00"))
    assert names(events) == ["LedgerPosted", "ApplicationSigned"], "what is not needed is released"
    assert desk.pool()["reserved"] == 250_000

    events = desk.hand(sign(Level.CITY), at("2026-03-11 10:00"))
    assert set(names(events)) == {
        "LedgerPosted",
        "ApplicationSigned",
        "PaymentQueued",
        "ApplicationApproved",
    }
    approved = only(events, ApplicationApproved)
    assert approved.envelope == f"{POOL}/2026-03-11"
    assert approved.amount == 250_000
    queued = only(events, PaymentQueued)
    assert queued.cut_at.at == at("2026-03-11 17:00")
    assert desk.pool() == {"source": -1_000_000, "available": 750_000, "committed": 250_000}

    order = instructed(desk)
    assert (order.to, order.addressee) == ("treasury-futian", "treasury-futian")
    assert (order.count, order.total) == (1, 250_000)
    assert order.confirm_by.at == at("2026-03-17 00:00")
    assert desk.pool()["instructed"] == 250_000

    events = desk.hand(answer(order), at("2026-03-12 09:00"))
    only(events, PaymentConfirmed)
    settled = only(events, EnvelopeSettled)
    assert (settled.paid, settled.bounced) == (250_000, 0)
    last = only(events, ApplicationEnded)
    assert (last.ending, last.amount) == (Ending.PAID, 250_000)
    assert last.audience[0].card is not None
    assert not last.audience[0].neutral
    assert desk.pool() == {"source": -1_000_000, "available": 750_000, "paid": 250_000}
    assert desk.deadlines() == []
    desk.check()


def test_a_payment_bounces_and_is_instructed_again_until_finance_must_look() -> None:
    desk = Desk()
    relief_signed(desk)
    order = instructed(desk)

    events = desk.hand(answer(order, bounced=[A1]), at("2026-03-11 09:00"))

    bounced = only(events, PaymentBounced)
    assert bounced.reason == "no-such-account"
    assert bounced.envelope == f"{POOL}/2026-03-11", "the next one"
    assert desk.application().status is Status.APPROVED
    assert desk.pool()["committed"] == 300_000
    settled = only(events, EnvelopeSettled)
    assert (settled.paid, settled.bounced) == (0, 300_000)

    order = instructed(desk)
    events = desk.hand(answer(order, bounced=[A1]), at("2026-03-12 09:00"))
    bounced = only(events, PaymentBounced)
    assert bounced.envelope is None
    assert bounced.complete_by is not None
    assert Audience(role=AudienceRole.FINANCE, unit=DISTRICT) in bounced.audience
    assert desk.application().status is Status.BOUNCED
    assert set(desk.clocks()) == {"complete:a1"}
    assert desk.pool()["committed"] == 300_000

    right = ResubmitApplication(case=CASE, application=A1, by=officer(), payee="card-0002")
    events = desk.hand(right, at("2026-03-13 09:00"))
    again = only(events, ApplicationResubmitted)
    assert again.envelope == f"{POOL}/2026-03-13"
    assert set(desk.clocks()) == {"pay:a1"}
    order = instructed(desk)
    assert order.items[0].payee == "card-0002"
    events = desk.hand(answer(order), at("2026-03-16 09:00"))
    only(events, ApplicationEnded)
    assert desk.pool() == {"source": -10_000_000, "available": 9_700_000, "paid": 300_000}
    desk.check()


def test_an_empty_pool_refuses_nothing_for_ever() -> None:
    desk = Desk()
    desk.hand(fund(200_000), at("2026-03-02 09:00"))
    desk.hand(opened(), at("2026-03-02 09:30"))
    desk.hand(apply(), at("2026-03-02 10:00"))
    before = desk.application()

    assert refused(desk, sign(), "2026-03-03 10:00") == ["/application pool-exhausted"]
    assert desk.application() == before, "it stays where it is, and its clock runs on"

    desk.hand(fund(100_000), at("2026-03-03 11:00"))
    desk.hand(sign(), at("2026-03-03 12:00"))
    assert desk.pool() == {"source": -300_000, "reserved": 300_000}
    desk.check()


def test_a_level_that_is_silent_is_replaced_by_the_one_above_and_named_at_the_city() -> None:
    desk = Desk()
    desk.hand(fund(), at("2026-03-02 09:00"))
    desk.hand(opened(), at("2026-03-02 09:30"))
    desk.hand(apply(), at("2026-03-02 10:00"))
    assert refused(desk, sign(by=signer(Level.DISTRICT)), "2026-03-03 10:00") == [
        "/by/unit wrong-unit"
    ]

    for told, until in ((DISTRICT, "2026-03-12 00:00"), (CITY, "2026-03-18 00:00")):
        (late,) = desk.miss("sign")
        assert isinstance(late, ApplicationEscalated)
        assert (late.unit, late.to_unit) == (STREET, told)
        assert late.sign_by is not None
        assert late.sign_by.at == at(until)
        assert late.audience == (
            Audience(role=AudienceRole.UNIT_LEFT, unit=STREET),
            Audience(role=AudienceRole.UNIT_REACHED, unit=told),
        )
    (late,) = desk.miss("sign")
    assert isinstance(late, ApplicationEscalated)
    assert late.to_unit is None
    assert desk.application().overdue == (ClockKind.SIGN,)
    assert desk.clocks() == {}

    desk.hand(sign(by=signer(Level.DISTRICT, "deputy")), at("2026-03-18 10:00"))
    assert desk.application().signatures[0].level is Level.STREET, "in the street's place"
    desk.miss("notice")
    assert refused(
        desk, sign(Level.DISTRICT, by=signer(Level.DISTRICT, "deputy")), "2026-03-24 09:00"
    ) == ["/by/officer signed-before"]
    desk.hand(sign(Level.DISTRICT), at("2026-03-24 10:00"))
    desk.check()


def test_what_is_withdrawn_gives_back_money_and_claim() -> None:
    for upto in (Level.COMMUNITY, Level.STREET, Level.DISTRICT, Level.CITY):
        desk = Desk()
        relief_signed(desk, upto)
        gone = WithdrawApplication(
            case=CASE, application=A1, by=officer(), reason="She found work."
        )

        events = desk.hand(gone, at("2026-03-10 11:00"))

        ended = only(events, ApplicationEnded)
        assert (ended.ending, ended.slug) == (Ending.WITHDRAWN, "withdrawn")
        only(events, ClaimReleased)
        assert desk.pool() == {"source": -10_000_000, "available": 10_000_000}
        desk.hand(apply(), at("2026-03-10 12:00"))
        if upto is Level.CITY:
            (settled,) = desk.miss("cut")
            assert isinstance(settled, EnvelopeSettled), "nothing is left in it to send"
        desk.check()


def test_what_lies_with_the_treasury_is_not_withdrawn() -> None:
    desk = Desk()
    relief_signed(desk)
    instructed(desk)
    gone = WithdrawApplication(case=CASE, application=A1, by=officer(), reason="Too late.")

    assert refused(desk, gone, "2026-03-11 09:00") == ["/application already-instructed"]


def test_a_level_refuses_with_a_reason_and_the_money_is_free() -> None:
    desk = Desk()
    relief_signed(desk, Level.STREET)
    desk.miss("notice")

    events = desk.hand(sign(Level.DISTRICT, Verdict.REFUSE), at("2026-03-09 11:00"))

    ended = only(events, ApplicationEnded)
    assert ended.ending is Ending.REFUSED
    assert ended.reason is not None
    only(events, LedgerPosted)
    assert desk.pool() == {"source": -10_000_000, "available": 10_000_000}
    desk.check()


def test_nothing_is_shown_of_a_victim_and_her_words_are_neutral() -> None:
    desk = Desk()
    desk.hand(fund(), at("2026-03-02 09:00"))
    desk.hand(opened(**protected()), at("2026-03-02 09:30"))
    events = desk.hand(apply(), at("2026-03-02 10:00"))
    submitted = only(events, ApplicationSubmitted)
    assert (submitted.unit, submitted.withheld, submitted.shown) == (STREET, "victim", None)

    events = desk.hand(sign(), at("2026-03-02 11:00"))
    signed = only(events, ApplicationSigned)
    assert (signed.next_level, desk.application().level) == (Level.DISTRICT, Level.DISTRICT)
    desk.hand(sign(Level.DISTRICT), at("2026-03-03 11:00"))
    events = desk.hand(sign(Level.CITY), at("2026-03-04 11:00"))
    approved = only(events, ApplicationApproved)
    assert approved.audience[0].neutral
    assert not any(isinstance(event, PublicNoticeStarted) for _, event, _ in desk.journal)
    told = [a.role for _, event, _ in desk.journal for a in getattr(event, "audience", ())]
    assert AudienceRole.OTHER_PARTY not in told


def test_a_notice_comes_down_when_it_comes_to_light_that_she_is_a_victim() -> None:
    desk = Desk()
    relief_signed(desk, Level.STREET)
    assert desk.application().status is Status.NOTICE

    more = {**protected(), "unit": COMMUNITY, "level": Level.COMMUNITY}
    again = CaseReopened.model_validate({**opened(**more).model_dump(), "card": None})
    events = desk.hand(again, at("2026-03-04 09:00"))

    assert names(events) == ["CaseFollowed", "PublicNoticeEnded"]
    assert desk.application().level is Level.DISTRICT
    assert set(desk.clocks()) == {"sign:a1"}


def test_a_minor_is_not_shown_either() -> None:
    desk = Desk()
    desk.hand(opened(), at("2026-03-02 09:30"))
    events = desk.hand(apply(applicant=applicant(born="2010-03-03")), at("2026-03-02 10:00"))
    submitted = only(events, ApplicationSubmitted)
    assert submitted.withheld == "minor"
    assert submitted.asked == 500_000, "the band of minors"


def test_who_turns_out_to_be_a_minor_is_not_shown_either() -> None:
    for born, shown in (("1990-03-03", "王**"), ("2010-03-03", None)):
        desk = Desk()
        desk.hand(fund(), at("2026-03-02 09:00"))
        desk.hand(opened(), at("2026-03-02 09:30"))
        desk.hand(apply(), at("2026-03-02 10:00"))
        desk.hand(sign(verdict=Verdict.RETURN, reason="born wrong"), at("2026-03-03 09:00"))
        again = ResubmitApplication(
            case=CASE, application=A1, by=officer(), applicant=applicant(born=born)
        )
        back = only(desk.hand(again, at("2026-03-04 09:00")), ApplicationResubmitted)
        assert back.shown == shown

        events = desk.hand(sign(), at("2026-03-05 09:00"))
        notices = [event for event in events if isinstance(event, PublicNoticeStarted)]
        assert [notice.shown for notice in notices] == ([] if shown is None else [shown])
        signed = only(events, ApplicationSigned)
        assert (signed.next_level, signed.sign_by is None) == (Level.DISTRICT, shown is not None)
        desk.check()


def test_what_was_hidden_is_not_shown_when_she_is_described_anew() -> None:
    desk = Desk()
    desk.hand(fund(), at("2026-03-02 09:00"))
    desk.hand(opened(), at("2026-03-02 09:30"))
    desk.hand(apply(applicant=applicant(born="2010-03-03")), at("2026-03-02 10:00"))
    desk.hand(sign(verdict=Verdict.RETURN), at("2026-03-03 09:00"))
    again = ResubmitApplication(case=CASE, application=A1, by=officer(), applicant=applicant())
    back = only(desk.hand(again, at("2026-03-04 09:00")), ApplicationResubmitted)
    assert back.shown is None
    events = desk.hand(sign(), at("2026-03-05 09:00"))
    assert not any(isinstance(event, PublicNoticeStarted) for event in events)


def test_a_case_of_the_district_alone_begins_with_the_district() -> None:
    desk = Desk()
    desk.hand(fund(), at("2026-03-02 09:00"))
    desk.hand(opened(unit=DISTRICT, level=Level.DISTRICT), at("2026-03-02 09:30"))
    desk.hand(apply(by=officer(unit=DISTRICT)), at("2026-03-02 10:00"))
    assert desk.application().level is Level.DISTRICT

    events = desk.hand(sign(Level.DISTRICT), at("2026-03-02 11:00"))
    shown = only(events, PublicNoticeStarted)
    assert shown.unit == DISTRICT, "the first level at or above the street's puts it up"


def test_an_answered_deadline_or_one_of_an_ended_application_changes_nothing() -> None:
    desk = Desk()
    relief_signed(desk, Level.COMMUNITY)
    stream, deadline = next(p for p in desk.deadlines() if p[1].kind == "sign:a1")
    desk.hand(sign(), at("2026-03-03 10:00"))
    assert desk.fire(stream, deadline, deadline.due + timedelta(days=1)) == []
