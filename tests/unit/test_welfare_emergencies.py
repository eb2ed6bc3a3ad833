"""Help first, papers later 先行救助: from the help to the papers, or to an end without them."""

from __future__ import annotations

from lianhu.contracts.welfare import (
    ApplicationApproved,
    ApplicationEnded,
    ApplicationEscalated,
    ApplicationResubmitted,
    ApplicationSubmitted,
    Ending,
    ResubmitApplication,
    Verdict,
)
from lianhu.jurisdiction import Level
from lianhu.welfare.workflow.state import ClockKind
from tests.welfare_desk import (
    CASE,
    COMMUNITY,
    STREET,
    Desk,
    answer,
    apply,
    at,
    fund,
    instructed,
    officer,
    only,
    opened,
    refused,
    sign,
    signer,
)

A1 = f"{CASE}-a1"


def test_help_comes_first_in_an_emergency_and_the_papers_later() -> None:
    desk = Desk()
    desk.hand(fund(), at("2026-03-02 09:00"))
    desk.hand(opened(), at("2026-03-02 09:30"))

    events = desk.hand(apply(emergency=True, papers=("identity",)), at("2026-03-02 10:00"))
    submitted = only(events, ApplicationSubmitted)
    assert submitted.asked == 200_000, "no more than the cap"
    assert submitted.sign_by.at == at("2026-03-03 10:00"), "a day, by the hour"
    assert submitted.withheld == "emergency"

    events = desk.hand(sign(), at("2026-03-02 11:00"))
    approved = only(events, ApplicationApproved)
    assert approved.due.at == at("2026-03-03 10:00"), "help within a day of asking"
    assert approved.papers_by is not None
    assert approved.papers_by.at == at("2026-03-10 00:00")
    assert desk.pool()["committed"] == 200_000
    assert set(desk.clocks()) == {"pay:a1", "papers:a1"}

    order = instructed(desk)
    events = desk.hand(answer(order), at("2026-03-03 09:00"))
    assert not any(isinstance(event, ApplicationEnded) for event in events), "papers are missing"
    assert set(desk.clocks()) == {"papers:a1"}

    (late,) = desk.miss("papers")
    assert isinstance(late, ApplicationEscalated)
    assert (late.unit, late.missed, late.to_unit) == (COMMUNITY, "papers", STREET)
    assert desk.application().overdue == (ClockKind.PAPERS,)

    papers = ResubmitApplication(
        case=CASE, application=A1, by=officer(), papers=("difficulty-proof",)
    )
    events = desk.hand(papers, at("2026-03-12 09:00"))
    ended = only(events, ApplicationEnded)
    assert ended.ending is Ending.PAID
    assert desk.deadlines() == []
    desk.check()


def test_an_emergency_that_is_returned_is_still_one() -> None:
    desk = Desk()
    desk.hand(fund(), at("2026-03-02 09:00"))
    desk.hand(opened(), at("2026-03-02 09:30"))
    desk.hand(apply(emergency=True, papers=()), at("2026-03-02 10:00"))
    desk.hand(sign(verdict=Verdict.RETURN), at("2026-03-02 11:00"))
    again = ResubmitApplication(case=CASE, application=A1, by=officer(), papers=("identity",))

    back = only(desk.hand(again, at("2026-03-02 12:00")), ApplicationResubmitted)

    assert back.missing_papers == ("difficulty-proof",), "they may follow"
    assert desk.clocks() == {"sign:a1": at("2026-03-03 12:00")}
    only(desk.hand(sign(), at("2026-03-02 13:00")), ApplicationApproved)
    desk.check()


def paid_without_papers(desk: Desk) -> None:
    """Help in an emergency that was paid, and its papers did not come yet."""
    desk.hand(fund(), at("2026-03-02 09:00"))
    desk.hand(opened(), at("2026-03-02 09:30"))
    desk.hand(apply(emergency=True, papers=("identity",)), at("2026-03-02 10:00"))
    desk.hand(sign(), at("2026-03-02 11:00"))
    desk.hand(answer(instructed(desk)), at("2026-03-03 09:00"))


def test_papers_that_never_come_are_given_up_with_a_reason() -> None:
    desk = Desk()
    paid_without_papers(desk)
    desk.miss("papers")
    books = desk.pool()
    never = sign(verdict=Verdict.REFUSE, reason="She moved away and cannot be found.")

    events = desk.hand(never, at("2026-04-01 09:00"))

    (ended,) = events
    assert isinstance(ended, ApplicationEnded), "nothing is released, neither money nor claim"
    assert (ended.ending, ended.amount, ended.slug) == (Ending.PAID, 200_000, "papers-missing")
    assert ended.reason is not None
    assert desk.application().ended
    assert desk.pool() == books
    assert desk.deadlines() == []
    assert refused(desk, never, "2026-04-01 10:00") == ["/application already-ended"]
    assert refused(desk, apply(), "2026-04-01 10:00") == ["/applicant already-claimed"]
    desk.check()


def test_nothing_is_given_up_before_the_papers_are_overdue_or_without_a_reason() -> None:
    desk = Desk()
    paid_without_papers(desk)
    never = sign(verdict=Verdict.REFUSE)
    assert refused(desk, never, "2026-03-04 09:00") == ["/application already-approved"]
    desk.miss("papers")

    wordless = sign(verdict=Verdict.REFUSE, reason=None)
    assert refused(desk, wordless, "2026-03-12 09:00") == ["/reason reason-missing"]
    for verdict in (Verdict.APPROVE, Verdict.RETURN):
        other = sign(verdict=verdict)
        assert refused(desk, other, "2026-03-12 09:00") == ["/application already-approved"]
    elsewhere = sign(Level.DISTRICT, Verdict.REFUSE)
    assert refused(desk, elsewhere, "2026-03-12 09:00") == ["/by/unit wrong-unit"]
    own = sign(verdict=Verdict.REFUSE, by=signer(Level.STREET, "clerk-1"))
    assert refused(desk, own, "2026-03-12 09:00") == ["/by/officer own-submission"]


def test_what_is_not_paid_yet_is_not_given_up() -> None:
    desk = Desk()
    desk.hand(fund(), at("2026-03-02 09:00"))
    desk.hand(opened(), at("2026-03-02 09:30"))
    desk.hand(apply(emergency=True, papers=("identity",)), at("2026-03-02 10:00"))
    desk.hand(sign(), at("2026-03-02 11:00"))
    order = instructed(desk)
    desk.miss("papers")
    never = sign(verdict=Verdict.REFUSE)
    assert refused(desk, never, "2026-03-12 09:00") == ["/application already-approved"]

    desk.hand(answer(order), at("2026-03-12 10:00"))
    only(desk.hand(never, at("2026-03-12 11:00")), ApplicationEnded)
    desk.check()
