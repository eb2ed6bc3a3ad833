"""How a case ends: closed when mediation and welfare are done; erased when no duty forbids it."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from itertools import permutations
from typing import Any

import pytest

from lianhu.contracts import REGISTRY
from lianhu.contracts.base import Internal
from lianhu.contracts.intake import (
    ApplicationNoted,
    CaseClosed,
    CaseErased,
    CaseOpened,
    ConclusionNoted,
    EraseCase,
    ErasureAsked,
    ErasureConfirmed,
    ErasureNoted,
    ErasureOrdered,
    ErasureRestricted,
    IntakeKeysErased,
    IntakeKeysRestricted,
    IntakePersonForgotten,
    PersonCaseEnded,
    ReportJoined,
    SplitCase,
)
from lianhu.contracts.mediation import CaseEscalated
from lianhu.contracts.parts import DueAt
from lianhu.contracts.publishers import Publishers
from lianhu.contracts.topics import DAY_MS, topics
from lianhu.contracts.vocabulary import AudienceRole, DeadlineKind, Outcome, Risk
from lianhu.contracts.welfare import ApplicationEnded, ApplicationSubmitted, Ending
from lianhu.eventing.rules import Deadline, case_stream
from lianhu.intake import workflow
from lianhu.intake.state import PersonState, Stage, Status
from lianhu.intake.workflow.erasure import OTHERS
from lianhu.jurisdiction import Level, Post
from tests.intake_desk import (
    ANSWERS,
    COMMUNITY,
    CONFIRMATIONS,
    DISTRICT,
    GRID,
    LI,
    OFFICERS,
    POLICY,
    START,
    STREET,
    WANG,
    Desk,
    flat,
    officer,
    only,
)

NOW = DueAt(at=START)


def submitted(case: str, number: int = 1) -> ApplicationSubmitted:
    """The little of it that intake looks at."""
    build: Any = ApplicationSubmitted.model_construct
    found = build(case=case, application=f"{case}-a{number}", programme="difficulty-relief")
    assert isinstance(found, ApplicationSubmitted)
    return found


def ended(case: str, number: int = 1) -> ApplicationEnded:
    return ApplicationEnded(
        case=case,
        application=f"{case}-a{number}",
        programme="difficulty-relief",
        ending=Ending.PAID,
        amount=100,
    )


def names(events: Iterable[Internal]) -> list[Any]:
    return [type(event) for event in events if not isinstance(event, PersonCaseEnded)]


# closing


def test_a_case_waits_for_welfare() -> None:
    desk = Desk()
    case = desk.opens(concerned=WANG).case
    assert names(flat(desk.take(submitted(case)))) == [ApplicationNoted]
    assert names(flat(desk.take(submitted(case, 2)))) == [ApplicationNoted]
    assert names(desk.conclude(case, Outcome.FAILED)) == [ConclusionNoted]
    assert desk.conclude(case) == []
    assert names(flat(desk.take(ended(case, 2)))) == [ApplicationNoted]
    assert desk.case(case).status is Status.OPEN
    found = flat(desk.take(ended(case)))
    assert names(found) == [ApplicationNoted, CaseClosed]
    closed = next(event for event in found if isinstance(event, CaseClosed))
    assert (closed.outcome, closed.unit) == (Outcome.FAILED, DISTRICT)
    assert desk.case(case).status is Status.CLOSED
    assert desk.folded() == desk.states


def test_a_report_that_joins_a_concluded_case_is_not_closed_in_with_it() -> None:
    desk = Desk()
    case = desk.opens(concerned=WANG).case
    desk.take(submitted(case))
    assert names(desk.conclude(case, Outcome.FAILED)) == [ConclusionNoted]
    joined = only(desk.report(concerned=WANG), ReportJoined)
    assert [one.case for one in joined] == [case]

    assert names(flat(desk.take(ended(case)))) == [ApplicationNoted], "mediation took it up again"
    assert desk.case(case).status is Status.OPEN
    assert names(desk.conclude(case)) == [CaseClosed]
    assert desk.folded() == desk.states


def test_welfare_alone_closes_nothing() -> None:
    desk = Desk()
    case = desk.opens(concerned=WANG).case
    desk.take(submitted(case))
    desk.take(ended(case))
    assert desk.case(case).status is Status.OPEN
    assert names(desk.conclude(case)) == [CaseClosed]


def test_what_is_said_twice_or_of_nothing_changes_nothing() -> None:
    desk = Desk()
    case = desk.opens(concerned=WANG).case
    assert flat(desk.take(ended(case))) == []
    desk.take(submitted(case))
    assert flat(desk.take(submitted(case))) == []
    assert flat(desk.take(submitted("440304-2026-000099"))) == []


def test_a_protected_end_is_told_below_and_to_the_person_in_neutral_words_by_their_card() -> None:
    desk = Desk()
    opened = desk.opens(
        concerned=WANG, indicators={"weapon": True}, safe_contact={"allowed": ["sms"]}
    )
    closed = next(e for e in desk.conclude(opened.case) if isinstance(e, CaseClosed))
    *below, person = closed.audience
    assert opened.informed
    assert [(a.role, a.unit) for a in below] == [
        (AudienceRole.INFORMED_UNIT, unit) for unit in opened.informed
    ]
    assert (person.role, person.neutral) == (AudienceRole.PERSON_CONCERNED, True)
    assert person.card == opened.card
    untold = desk.opens(indicators={"weapon": True})
    closed = next(e for e in desk.conclude(untold.case) if isinstance(e, CaseClosed))
    person = closed.audience[-1]
    assert (person.card, person.withheld) == (None, "no-contact-card")


def test_the_people_of_a_closed_case_are_free_of_it() -> None:
    desk = Desk()
    opened = desk.opens(concerned=WANG, other_party=LI)
    found = [e for e in desk.conclude(opened.case) if isinstance(e, PersonCaseEnded)]
    assert {one.person for one in found} == {one.person for one in opened.people}
    people = [state for state in desk.states.values() if isinstance(state, PersonState)]
    assert not any(seen.open for state in people for seen in state.seen)


def test_the_unit_that_owns_a_case_now_may_act_on_it() -> None:
    desk = Desk()
    case = desk.opens(concerned=WANG).case
    (joined,) = only(desk.report(GRID, concerned=WANG), ReportJoined)
    desk.take(
        CaseEscalated(
            case=case,
            from_unit=COMMUNITY,
            from_level=Level.COMMUNITY,
            to_unit=STREET,
            to_level=Level.STREET,
            missed=DeadlineKind.ACCEPT,
            due=START,
            category=desk.case(case).category,
            risk=Risk.GREEN,
            accept_by=NOW,
            policy_version="x",
        )
    )
    by = officer(Post.CHAIR, COMMUNITY)
    asked = SplitCase(case=case, report=joined.joined, by=by, reason="x")
    assert desk.faults(asked) == {("/by/unit", "wrong-unit")}
    (again,) = only(desk.report(GRID, concerned=WANG), ReportJoined)
    assert [a.unit for a in again.audience] == [STREET]


# erasure


def erase(case: str, post: Post = Post.CHAIR) -> EraseCase:
    return EraseCase(case=case, by=officer(post), basis="个人信息保护法 §47，本人申请")


def closed(desk: Desk, **fields: Any) -> str:
    case = desk.opens(**({"concerned": WANG, "other_party": LI} | fields)).case
    desk.conclude(case)
    return case


def asked(desk: Desk, **fields: Any) -> str:
    case = closed(desk, **fields)
    (event,) = flat(desk.take(erase(case), OFFICERS))
    assert isinstance(event, ErasureAsked)
    return case


def erased(desk: Desk, case: str) -> list[Internal]:
    """What happens with the last confirmation."""
    for kind in ANSWERS:
        desk.take(kind(case=case))
    found: list[Internal] = []
    for confirmation in CONFIRMATIONS:
        found = flat(desk.take(confirmation(case=case)))
    return found


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_it_is_ordered_when_all_have_said_that_nothing_forbids_it(order: tuple[int, ...]) -> None:
    desk = Desk()
    case = asked(desk)
    first, second, third = (ANSWERS[place] for place in order)
    assert names(flat(desk.take(first(case=case)))) == [ErasureNoted]
    assert names(flat(desk.take(first(case=case)))) == [], "nobody answers twice"
    assert names(flat(desk.take(second(case=case)))) == [ErasureNoted]
    assert names(flat(desk.take(third(case=case)))) == [ErasureNoted, ErasureOrdered]
    first_, second_, third_ = (CONFIRMATIONS[place] for place in order)
    assert names(flat(desk.take(first_(case=case)))) == [ErasureConfirmed]
    assert names(flat(desk.take(first_(case=case)))) == []
    assert names(flat(desk.take(second_(case=case)))) == [ErasureConfirmed]
    last: list[Any] = [ErasureConfirmed, CaseErased, IntakeKeysErased]
    assert names(flat(desk.take(third_(case=case))))[:3] == last
    assert desk.folded() == desk.states


def test_it_is_complete_when_the_topics_have_forgotten_it() -> None:
    desk = Desk()
    case = asked(desk)
    (event,) = [e for e in erased(desk, case) if isinstance(e, CaseErased)]
    assert event.complete_at == desk.now + timedelta(days=POLICY.people.kept.days)
    longest = max(int(topic.config["retention.ms"]) for topic in topics(Publishers.read()))
    assert timedelta(days=POLICY.people.kept.days) >= timedelta(days=longest / DAY_MS)


def test_nothing_closed_and_nobody_is_left_in_its_state() -> None:
    desk = Desk()
    case = asked(desk)
    erased(desk, case)
    state = desk.case(case)
    assert state.status is Status.ERASED
    assert "s1:" not in state.model_dump_json()
    assert state.refs == ()


def test_people_of_no_other_case_are_forgotten() -> None:
    desk = Desk()
    case = asked(desk)
    refs = set(desk.case(case).refs)
    found = erased(desk, case)
    assert {e.person for e in found if isinstance(e, IntakePersonForgotten)} == refs


def test_people_of_another_case_are_not() -> None:
    desk = Desk()
    case = asked(desk)
    other = desk.opens(concerned={"name": "张小芳"}, other_party=LI)
    found = erased(desk, case)
    theirs = {one.person for one in other.people}
    forgotten = {e.person for e in found if isinstance(e, IntakePersonForgotten)}
    assert forgotten
    assert not forgotten & theirs
    people = [state for state in desk.states.values() if isinstance(state, PersonState)]
    assert case not in {seen.case for state in people for seen in state.seen}
    desk.conclude(other.case)
    desk.take(erase(other.case), OFFICERS)
    last = {e.person for e in erased(desk, other.case) if isinstance(e, IntakePersonForgotten)}
    assert last == theirs, "with their last case they are"


def test_a_duty_that_runs_restricts_and_is_asked_about_when_it_has_run_out() -> None:
    desk = Desk()
    case = asked(desk)
    until = desk.now + timedelta(days=30)
    mediation, welfare, notify = ANSWERS
    desk.take(mediation(case=case, until=until, basis="人民调解法 §27"))
    desk.take(notify(case=case, until=desk.now + timedelta(days=3), basis="通知日志"))
    found = flat(desk.take(welfare(case=case)))
    assert names(found) == [ErasureNoted, ErasureRestricted, IntakeKeysRestricted]
    restricted = found[1]
    assert isinstance(restricted, ErasureRestricted)
    assert (restricted.service, restricted.until) == ("mediation", until)
    assert restricted.basis == "人民调解法 §27"
    stream = case_stream(case)
    assert workflow.deadlines(stream, desk.case(case)) == (Deadline("erasure", until),)
    assert desk.faults(erase(case)) == {("/case", "erasure-restricted")}
    (again,) = desk.fire(case, Deadline("erasure", until))
    assert isinstance(again, ErasureAsked)
    assert again.by == officer()
    assert workflow.deadlines(stream, desk.case(case)) == ()
    assert IntakeKeysErased in names(erased(desk, case))


def test_a_duty_that_has_run_out_already_forbids_nothing() -> None:
    desk = Desk()
    case = asked(desk)
    past = desk.now - timedelta(days=1)
    for kind in ANSWERS:
        found = flat(desk.take(kind(case=case, until=past, basis="x")))
    assert names(found)[-1] is ErasureOrdered


def test_what_cannot_be_erased_is_refused_by_name() -> None:
    desk = Desk()
    case = desk.opens(concerned=WANG).case
    assert desk.faults(erase(case)) == {("/case", "case-open")}
    assert desk.faults(erase("440304-2026-000099")) == {("/case", "unknown-case")}
    desk.conclude(case)
    desk.take(submitted(case))
    assert desk.faults(erase(case, Post.MEDIATOR)) == {
        ("/case", "application-open"),
        ("/by/post", "post-may-not"),
    }
    desk.take(ended(case))
    desk.take(erase(case), OFFICERS)
    assert desk.faults(erase(case)) == {("/case", "already-asked")}
    erased(desk, case)
    assert desk.faults(erase(case)) == {("/case", "already-erased")}


def test_a_report_about_the_person_of_an_erasure_under_way_opens_a_case_of_its_own() -> None:
    desk = Desk()
    case = asked(desk)
    found = desk.report(GRID, concerned=WANG)
    (opened,) = only(found, CaseOpened)
    assert opened.case != case
    split = SplitCase(case=case, report="x", by=officer(), reason="x")
    assert desk.faults(split) == {("/case", "erasure-asked")}


def test_late_words_about_an_erased_case_are_ignored() -> None:
    desk = Desk()
    case = asked(desk)
    erased(desk, case)
    for late in (
        submitted(case),
        ended(case),
        *(kind(case=case) for kind in ANSWERS),
        *(kind(case=case) for kind in CONFIRMATIONS),
    ):
        assert flat(desk.take(late)) == []
    assert desk.conclude(case) == []


def test_the_others_are_all_the_services_that_answer() -> None:
    assert {kind.type_.split(".")[1] for kind in ANSWERS} == OTHERS
    assert {kind.type_.split(".")[1] for kind in CONFIRMATIONS} == OTHERS
    for contract in (REGISTRY.of(kind) for kind in (*ANSWERS, *CONFIRMATIONS)):
        assert "intake" in contract.consumers


def test_a_deadline_that_does_not_run_asks_nothing() -> None:
    desk = Desk()
    case = asked(desk)
    assert desk.fire(case, Deadline("erasure", desk.now + timedelta(days=30))) == []
    erasure = desk.case(case).erasure
    assert erasure is not None
    assert erasure.stage is Stage.ASKED
