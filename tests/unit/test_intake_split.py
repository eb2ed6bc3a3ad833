"""A report that was joined wrongly becomes a case of its own, and the old one is without it."""

from __future__ import annotations

from typing import Any

import pytest

from lianhu.contracts.intake import (
    CaseLinked,
    CaseOpened,
    CaseReopened,
    CaseSplit,
    PersonCaseEnded,
    ReportJoined,
    SplitCase,
)
from lianhu.contracts.vocabulary import AudienceRole, Channel, Path, Risk
from lianhu.intake.workflow.evolution import KEPT_REPORTS
from lianhu.jurisdiction import Post
from tests.intake_desk import (
    CITY,
    COMMUNITY,
    DISTRICT,
    GRID,
    LI,
    OFFICERS,
    STREET,
    WANG,
    Desk,
    officer,
    only,
)

WRONG: dict[str, Any] = {
    "concerned": {"name": "张小芳", "phone": "13600136000", "document": WANG["document"]},
    "indicators": {"weapon": True},
    "safe_contact": {"allowed": ["sms"]},
    "narrative": "她说丈夫拿着刀",
    "place": {"division": STREET},
}
"""Somebody else, whose document was written down wrongly."""


def joined(desk: Desk, **fields: Any) -> ReportJoined:
    (event,) = only(desk.report(GRID, **(WRONG | fields)), ReportJoined)
    return event


def command(case: str, report: str, post: Post = Post.CHAIR, unit: str = DISTRICT) -> SplitCase:
    return SplitCase(case=case, report=report, by=officer(post, unit), reason="身份证号录入有误")


def test_the_new_case_is_what_the_report_is_by_itself() -> None:
    desk = Desk()
    old = desk.opens(concerned=WANG).case
    wrong = joined(desk)
    assert wrong.repeat
    found = desk.take(command(old, wrong.joined), OFFICERS)
    (split,), (opened,) = only(found, CaseSplit), only(found, CaseOpened)
    assert (split.case, split.new, split.joined) == (old, opened.case, wrong.joined)
    assert opened.case.startswith("440304-2026-")
    assert (opened.publisher, opened.channel) == (GRID.name, Channel.GRID)
    assert (opened.risk, opened.path, opened.repeat) == (Risk.RED, Path.PROTECTION, False)
    assert (opened.unit, opened.informed) == (DISTRICT, (STREET,))
    card = desk.card(opened.card)
    assert (card.name, card.phone) == ("张小芳", "13600136000")
    account = opened.account.reveal(desk.keys.__getitem__)
    assert account.narrative == WRONG["narrative"]
    assert opened.account.key_id == f"case/{opened.case}"
    assert split.reason.reveal(desk.keys.__getitem__) == "身份证号录入有误"
    assert desk.folded() == desk.states


def test_the_two_units_hear_of_it() -> None:
    desk = Desk()
    old = desk.opens(concerned=WANG).case
    found = desk.take(command(old, joined(desk).joined), OFFICERS)
    (split,) = only(found, CaseSplit)
    assert [(a.role, a.unit) for a in split.audience] == [
        (AudienceRole.OWNING_UNIT, COMMUNITY),
        (AudienceRole.OWNING_UNIT, DISTRICT),
    ]
    assert not only(found, CaseLinked)


def test_the_card_that_the_report_brought_goes_with_it() -> None:
    desk = Desk()
    first = desk.opens(concerned=WANG)
    wrong = joined(desk)
    assert wrong.card is not None
    assert desk.case(first.case).card == wrong.card
    (split,) = only(desk.take(command(first.case, wrong.joined), OFFICERS), CaseSplit)
    assert split.card is not None
    assert split.card.version == 3
    assert desk.card(desk.case(first.case).card).phone == WANG["phone"]


def test_where_there_was_no_card_before_there_is_none_again() -> None:
    desk = Desk()
    first = desk.opens(concerned={"document": WANG["document"]})
    wrong = joined(desk)
    (split,) = only(desk.take(command(first.case, wrong.joined), OFFICERS), CaseSplit)
    assert (split.card, split.no_card) == (None, "no-contact-card")
    assert desk.case(first.case).card is None


def test_a_card_that_came_later_stays() -> None:
    desk = Desk()
    first = desk.opens(concerned=WANG)
    wrong = joined(desk)
    right = joined(desk, concerned=WANG)
    (split,) = only(desk.take(command(first.case, wrong.joined), OFFICERS), CaseSplit)
    assert (split.card, split.no_card) == (None, None)
    assert desk.case(first.case).card == right.card


def test_a_card_that_was_withdrawn_meanwhile_does_not_come_back() -> None:
    desk = Desk()
    old = desk.opens(concerned=WANG).case
    her: dict[str, Any] = {"concerned": WANG, "reporter": {"relation": "self"}}
    taken = joined(desk, **her, safe_contact={"allowed": []}, indicators={})
    assert taken.no_card == "no-safe-contact"
    later = joined(desk, **her, safe_contact={"allowed": ["sms"]})
    assert desk.case(old).card == later.card
    (split,) = only(desk.take(command(old, later.joined), OFFICERS), CaseSplit)
    assert (split.card, split.no_card) == (None, "no-contact-card")
    assert desk.case(old).card is None
    assert desk.folded() == desk.states


def test_nor_one_from_before_the_case_was_opened_again_without_any() -> None:
    desk = Desk()
    old = desk.opens(concerned=WANG).case
    desk.conclude(old)
    (again,) = only(desk.report(GRID, concerned={"document": WANG["document"]}), CaseReopened)
    assert again.card is None
    wrong = joined(desk)
    assert wrong.card is not None
    (split,) = only(desk.take(command(old, wrong.joined), OFFICERS), CaseSplit)
    assert (split.card, split.no_card) == (None, "no-contact-card")
    assert desk.case(old).card is None


def test_nor_one_that_the_other_party_reads_too_where_she_is_protected() -> None:
    desk = Desk()
    his = {"phone": WANG["phone"], "email": "li@example.org"}
    old = desk.opens(concerned=WANG, other_party=his).case
    wrong = joined(desk, other_party=his)
    assert wrong.card is not None
    (split,) = only(desk.take(command(old, wrong.joined), OFFICERS), CaseSplit)
    assert (split.card, split.no_card) == (None, "no-safe-contact")
    assert desk.case(old).card is None
    assert desk.folded() == desk.states


def test_people_of_that_report_alone_are_no_more_of_the_old_case() -> None:
    desk = Desk()
    old = desk.opens(concerned=WANG).case
    wrong = joined(desk, other_party=LI)
    found = desk.take(command(old, wrong.joined), OFFICERS)
    (opened,) = only(found, CaseOpened)
    theirs = {one.person for one in wrong.alone.people}
    hers = {one.person for one in desk.case(old).people}
    gone = only(found, PersonCaseEnded)
    assert {(one.person, one.case, one.forget) for one in gone} == {
        (person, old, True) for person in theirs - hers
    }
    assert set(desk.case(opened.case).refs) == theirs
    # what he says now is linked with the case that is about him, and with no other
    call = desk.report(reporter=LI | {"relation": "family"})
    assert {link.case for link in only(call, CaseLinked)} & {old, opened.case} == {opened.case}


def test_the_old_case_stays_as_grave_as_it_was() -> None:
    desk = Desk()
    old = desk.opens(concerned=WANG).case
    wrong = joined(desk)
    desk.take(command(old, wrong.joined), OFFICERS)
    assert (desk.case(old).risk, desk.case(old).path) == (Risk.RED, Path.PROTECTION)


@pytest.mark.parametrize(
    ("post", "unit", "expected"),
    [
        (Post.CHAIR, COMMUNITY, set()),
        (Post.DUTY_OFFICER, STREET, set()),
        (Post.CHAIR, CITY, set()),
        (Post.MEDIATOR, DISTRICT, {("/by/post", "post-may-not")}),
        (Post.CHAIR, "440304002000", {("/by/unit", "wrong-unit")}),
        (
            Post.FINANCE,
            "440304002000",
            {("/by/post", "post-may-not"), ("/by/unit", "wrong-unit")},
        ),
        (Post.CHAIR, "999999999999", {("/by/unit", "unknown-unit")}),
    ],
)
def test_who_may_split(post: Post, unit: str, expected: set[tuple[str, str]]) -> None:
    desk = Desk()
    old = desk.opens(concerned=WANG).case
    wrong = joined(desk)
    asked = command(old, wrong.joined, post, unit)
    if expected:
        assert desk.faults(asked) == expected
    else:
        assert only(desk.take(asked, OFFICERS), CaseSplit)


def test_a_system_speaks_for_its_own_branch_only() -> None:
    desk = Desk()
    old = desk.opens(concerned=WANG).case
    wrong = joined(desk)
    elsewhere = OFFICERS.model_copy(update={"unit": "440304002000"})
    asked = command(old, wrong.joined)
    assert desk.faults(asked, elsewhere) == {("/by/unit", "unit-not-of-publisher")}


def test_what_cannot_be_split_is_refused_by_name() -> None:
    desk = Desk()
    old = desk.opens(concerned=WANG).case
    wrong = joined(desk)
    assert desk.faults(command(old, "nobody-knows-it")) == {("/report", "unknown-report")}
    assert desk.faults(command("440304-2026-000099", wrong.joined)) == {("/case", "unknown-case")}
    desk.take(command(old, wrong.joined), OFFICERS)
    assert desk.faults(command(old, wrong.joined)) == {("/report", "already-split")}
    assert desk.faults(command(old, wrong.joined, Post.MEDIATOR)) == {
        ("/by/post", "post-may-not"),
        ("/report", "already-split"),
    }
    assert desk.faults(command("999999-2026-000001", wrong.joined)) == {("/case", "unknown-case")}


def test_only_the_latest_reports_can_be_split_off() -> None:
    desk = Desk()
    old = desk.opens(concerned=WANG).case
    first, second = joined(desk), joined(desk)
    for _ in range(KEPT_REPORTS - 1):
        joined(desk)
    state = desk.case(old)
    assert len(state.joined) == KEPT_REPORTS
    assert desk.faults(command(old, first.joined)) == {("/report", "report-too-old")}
    assert {one.person for one in first.alone.people} <= set(state.refs)
    assert only(desk.take(command(old, second.joined), OFFICERS), CaseSplit)


def test_a_report_can_be_split_off_a_closed_case() -> None:
    desk = Desk()
    old = desk.opens(concerned=WANG).case
    wrong = joined(desk)
    desk.conclude(old)
    found = desk.take(command(old, wrong.joined), OFFICERS)
    (opened,) = only(found, CaseOpened)
    assert desk.case(opened.case).status == "open"
    assert desk.case(old).status == "closed"
