"""Same person, same matter: what joins, what is only linked, what is opened again, and repeats."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from lianhu.contracts.base import Internal
from lianhu.contracts.intake import (
    CaseLinked,
    CaseOpened,
    CaseReopened,
    PersonSeen,
    ReportJoined,
)
from lianhu.contracts.vocabulary import AudienceRole, Ground, Path, Risk
from lianhu.eventing.rules import Stream, case_stream
from lianhu.intake.state import PersonState
from lianhu.intake.workflow.evolution import KEPT_SEEN
from tests.intake_desk import (
    COMMUNITY,
    DISTRICT,
    GRID,
    LI,
    POLICY,
    WANG,
    Desk,
    flat,
    only,
    receipt,
)

Found = dict[Stream, list[Internal]]
NAMED = WANG | {"document": None}
"""Known by name, day of birth and phone only."""
HERSELF = {"relation": "self", "phone": WANG["phone"], "name": WANG["name"]}
HIS_CALL: dict[str, Any] = {"reporter": LI | {"relation": "family"}}


def became(found: Found) -> str:
    """What became of a report, in a word."""
    (word,) = {
        {CaseOpened: "opened", CaseReopened: "reopened", ReportJoined: "joined"}[type(event)]
        for event in flat(found)
        if isinstance(event, CaseOpened | CaseReopened | ReportJoined)
    }
    return word + ("-linked" if only(found, CaseLinked) else "")


def links(found: Found) -> set[tuple[str, str, str]]:
    return {(event.case, event.other, event.reason) for event in only(found, CaseLinked)}


# joining


@pytest.mark.parametrize(
    "again",
    [
        WANG,
        {"document": WANG["document"]},
        NAMED,
        NAMED | {"name": "王 小紅", "phone": "+86-138-0013-8000"},
        {"document": WANG["document"], "name": "王晓红", "phone": "13700000001"},
    ],
)
def test_the_same_person_concerned_joins_the_open_case(again: dict[str, Any]) -> None:
    desk = Desk()
    case = desk.opens(concerned=WANG).case
    found = desk.report(GRID, concerned=again)
    assert became(found) == "joined"
    (event,) = only(found, ReportJoined)
    assert event.case == case
    assert len(desk.cases()) == 1


@pytest.mark.parametrize(
    "number", ["110105491231002", "11010519491231002x", "110105-19491231-002X"]
)
def test_a_number_in_another_form_is_the_same(number: str) -> None:
    desk = Desk()
    desk.opens(concerned={"document": {"number": "11010519491231002X"}})
    assert became(desk.report(GRID, concerned={"document": {"number": number}})) == "joined"


@pytest.mark.parametrize(
    "another",
    [
        {"name": WANG["name"]},
        {"phone": WANG["phone"]},
        {"name": WANG["name"], "phone": WANG["phone"]},
        {"name": WANG["name"], "phone": WANG["phone"], "born": "1990"},
        NAMED | {"born": "1990-05-02"},
        NAMED | {"phone": "13800138001"},
        NAMED | {"name": "王大红"},
        WANG | {"document": {"number": "110105199005011049"}, "phone": "13800138009"},
        WANG | {"document": {"kind": "passport", "number": "110105199005011022"}, "born": None},
    ],
)
def test_somebody_else_does_not_join(another: dict[str, Any]) -> None:
    desk = Desk()
    desk.opens(concerned=WANG)
    assert became(desk.report(GRID, concerned=another)) == "opened"


@pytest.mark.parametrize("filled_in", ["00000000", "XXXXXXXX", "111111111111111111"])
def test_what_a_form_was_filled_in_with_identifies_nobody(filled_in: str) -> None:
    desk = Desk()
    anybody = {"document": {"number": filled_in}}
    for _ in range(2):
        assert became(desk.report(concerned=anybody)) == "opened"


def test_a_household_that_shares_a_phone_does_not_join() -> None:
    desk = Desk()
    sister = NAMED | {"name": "王小兰", "born": "1992-01-01"}
    desk.opens(concerned=NAMED, reporter=HERSELF, other_party=LI | {"phone": WANG["phone"]})
    assert became(desk.report(GRID, concerned=sister)) == "opened"
    # her own phone is no sign of her husband, although he has it too
    assert became(desk.report(GRID, concerned=NAMED, reporter=HERSELF)) == "joined"


def test_who_reports_for_themselves_is_the_person_concerned() -> None:
    desk = Desk()
    desk.opens(reporter=WANG | {"relation": "self"})
    assert became(desk.report(GRID, concerned=WANG)) == "joined"
    assert became(desk.report(reporter=WANG | {"relation": "neighbour"})) == "opened"


def test_a_report_whose_person_nobody_knows_opens_its_own_case() -> None:
    desk = Desk()
    for fields in ({}, {"concerned": {"name": "王小红"}}, {"reporter": {"anonymous": True}}):
        assert became(desk.report(**fields)) == "opened"
        assert became(desk.report(GRID, **fields)) == "opened"


def test_what_is_joined_never_makes_a_case_milder() -> None:
    desk = Desk()
    case = desk.opens(concerned=WANG, indicators={"weapon": True}).case
    (event,) = only(desk.report(GRID, concerned=WANG), ReportJoined)
    assert (event.risk, event.path) == (Risk.RED, Path.PROTECTION)
    assert event.grounds == (Ground.GRAVE_DANGER,)
    assert (event.alone.risk, event.alone.path) == (Risk.GREEN, Path.MEDIATION)
    state = desk.case(case)
    assert (state.risk, state.path, state.grounds) == (event.risk, event.path, event.grounds)


def test_what_is_joined_may_make_it_graver() -> None:
    desk = Desk()
    case = desk.opens(concerned=WANG).case
    (event,) = only(desk.report(GRID, concerned=WANG, indicators={"coercion": True}), ReportJoined)
    assert (event.path, event.grounds) == (Path.PROTECTION, (Ground.COERCION,))
    (event,) = only(desk.report(GRID, concerned=WANG, indicators={"weapon": True}), ReportJoined)
    assert event.grounds == (Ground.GRAVE_DANGER, Ground.COERCION)
    assert event.unit == COMMUNITY
    assert desk.case(case).path is Path.PROTECTION


def test_a_joined_report_is_told_to_the_unit_that_owns_the_case_and_to_nobody_else() -> None:
    desk = Desk()
    desk.opens(concerned=WANG)
    (event,) = only(desk.report(GRID, concerned=WANG), ReportJoined)
    assert [(a.role, a.unit) for a in event.audience] == [(AudienceRole.OWNING_UNIT, COMMUNITY)]


def test_two_cases_of_one_person_are_linked_once_it_is_known_that_they_are() -> None:
    desk = Desk()
    by_document = desk.opens(concerned={"document": WANG["document"]}).case
    by_name = desk.opens(concerned=NAMED).case
    found = desk.report(GRID, concerned=WANG)
    assert became(found) == "joined-linked"
    assert links(found) == {
        (by_document, by_name, "same-person-concerned"),
        (by_name, by_document, "same-person-concerned"),
    }
    assert became(desk.report(GRID, concerned=WANG)) == "joined", "it is shown once"


# the other side


@pytest.mark.parametrize("his", [LI, {"phone": LI["phone"]}, {"document": LI["document"]}])
@pytest.mark.parametrize("relation", ["family", "other", "unknown", "self"])
def test_the_other_party_who_calls_does_not_join(his: dict[str, Any], relation: str) -> None:
    desk = Desk()
    hers = desk.opens(concerned=WANG, other_party=LI).case
    call = desk.report(reporter=his | {"relation": relation}, concerned=WANG)
    assert became(call) == "opened-linked"
    (opened,) = only(call, CaseOpened)
    assert links(call) == {
        (hers, opened.case, "reporter-is-other-party"),
        (opened.case, hers, "reporter-is-other-party"),
    }


def test_nor_when_he_says_so_himself_and_she_did_not_name_him() -> None:
    desk = Desk()
    hers = desk.opens(concerned=WANG).case
    call = desk.report(**HIS_CALL, concerned=WANG, other_party={"phone": LI["phone"]})
    assert became(call) == "opened-linked"
    assert {reason for _, _, reason in links(call)} == {"reporter-is-other-party"}
    assert hers in {case for case, _, _ in links(call)}


def test_she_does_not_join_the_case_that_he_opened_about_her() -> None:
    desk = Desk()
    his = desk.opens(**HIS_CALL, concerned=WANG).case
    hers = desk.report(GRID, concerned=WANG, reporter=HERSELF, other_party=LI)
    assert became(hers) == "opened-linked"
    assert (his, "other-party-is-reporter") in {(case, why) for case, _, why in links(hers)}


def test_nobody_joins_what_the_other_party_told_although_it_is_about_the_same_person() -> None:
    desk = Desk()
    hers = desk.opens(concerned=WANG, other_party=LI).case
    (his,) = only(desk.report(**HIS_CALL, concerned=WANG), CaseOpened)
    assert his.by_other_side
    again = desk.report(GRID, concerned=WANG, reporter=HERSELF)
    assert became(again) == "joined"
    assert only(again, ReportJoined)[0].case == hers
    desk.conclude(hers)
    desk.now += timedelta(days=POLICY.people.reopen.days, minutes=1)
    own = desk.report(GRID, concerned=WANG, reporter=HERSELF)
    assert became(own) == "opened-linked"
    assert {reason for _, _, reason in links(own)} == {"other-party-is-reporter"}


def test_his_complaint_about_her_is_linked_and_she_still_joins_her_own() -> None:
    desk = Desk()
    hers = desk.opens(concerned=WANG, other_party=LI).case
    his = desk.report(concerned=LI, reporter=LI | {"relation": "self"}, other_party=WANG)
    assert became(his) == "opened-linked"
    assert {reason for _, _, reason in links(his)} == {"reporter-is-other-party"}
    again = desk.report(GRID, concerned=WANG, reporter=HERSELF)
    assert became(again) == "joined"
    assert only(again, ReportJoined)[0].case == hers


def test_a_person_concerned_who_is_an_other_party_elsewhere_is_linked() -> None:
    desk = Desk()
    desk.opens(concerned=WANG, other_party=LI)
    found = desk.report(concerned={"document": LI["document"]})
    assert {reason for _, _, reason in links(found)} == {"concerned-is-other-party"}
    desk = Desk()
    desk.opens(concerned={"document": LI["document"]})
    found = desk.report(concerned=WANG, other_party={"document": LI["document"]})
    assert {reason for _, _, reason in links(found)} == {"other-party-is-concerned"}


def test_two_spellings_of_one_sound_are_linked_only() -> None:
    desk = Desk()
    first = desk.opens(concerned=NAMED).case
    found = desk.report(GRID, concerned=NAMED | {"name": "王晓红"})
    assert became(found) == "opened-linked"
    (opened,) = only(found, CaseOpened)
    assert links(found) == {
        (first, opened.case, "same-sound-born-and-phone"),
        (opened.case, first, "same-sound-born-and-phone"),
    }
    assert opened.repeat
    assert opened.risk is Risk.YELLOW


def test_a_link_is_shown_to_the_two_units_and_told_to_nobody_else() -> None:
    desk = Desk()
    desk.opens(concerned=WANG, other_party=LI, place={"division": DISTRICT})
    for event in only(desk.report(**HIS_CALL), CaseLinked):
        (audience,) = event.audience
        assert audience.role is AudienceRole.OWNING_UNIT
        assert audience.unit == desk.case(event.case).owner


def test_closed_cases_are_not_linked() -> None:
    desk = Desk()
    case = desk.opens(concerned=WANG, other_party=LI).case
    desk.conclude(case)
    assert became(desk.report(**HIS_CALL)) == "opened"


def test_a_phone_that_is_everywhere_links_a_few_cases_only() -> None:
    desk = Desk()
    for _ in range(12):
        desk.opens(other_party=LI)
    assert len(links(desk.report(**HIS_CALL))) == 2 * 4


def test_who_reports_as_their_work_makes_no_case_wait_for_another() -> None:
    desk = Desk()
    worker = {"phone": "13700137000", "relation": "professional"}
    for number in range(12):
        found = desk.report(GRID, reporter=worker, concerned={"name": f"甲{number}"})
        assert became(found) == "opened"
    person = next(s for s in desk.states.values() if isinstance(s, PersonState))
    assert len(person.seen) == KEPT_SEEN


# receipts


def test_a_receipt_looks_the_same_whatever_became_of_the_report() -> None:
    desk = Desk()
    fields: dict[str, Any] = {"concerned": WANG, "other_party": LI}
    found = [desk.report(**fields), desk.report(GRID, **fields), desk.report(**HIS_CALL)]
    case = only(found[0], CaseOpened)[0].case
    desk.conclude(case)
    found.append(desk.report(GRID, **fields))
    assert [became(one) for one in found] == ["opened", "joined", "opened-linked", "reopened"]
    for number, one in zip((1, 2, 3, 5), found, strict=True):
        said = receipt(one)
        assert said.model_dump(exclude={"receipt", "report"}) == {}
        assert len(said.receipt) == 32
        # each stands under the number that was reserved for its report, whatever became of it
        (stream,) = (stream for stream, events in one.items() if said in events)
        assert stream == case_stream(f"440304-2026-{number:06d}")


def test_a_report_that_joins_leaves_no_case_under_its_own_number() -> None:
    desk = Desk()
    desk.opens(concerned=WANG)
    found = desk.report(GRID, concerned=WANG)
    (stream,) = (stream for stream, events in found.items() if receipt(found) in events)
    assert found[stream] == [receipt(found)]
    assert desk.states[stream] is None


# reopening


def test_a_closed_case_is_opened_again_within_its_window() -> None:
    desk = Desk()
    first = desk.opens(concerned=WANG, other_party=LI)
    desk.conclude(first.case)
    desk.now += timedelta(days=POLICY.people.reopen.days, minutes=-1)
    found = desk.report(GRID, concerned=WANG, indicators={"weapon": True})
    assert became(found) == "reopened"
    (event,) = only(found, CaseReopened)
    assert (event.case, event.path, event.unit) == (first.case, Path.PROTECTION, DISTRICT)
    assert event.no_card == "no-safe-contact"
    state = desk.case(first.case)
    assert (state.status, state.closed_at, state.risk) == ("open", None, Risk.RED)
    assert state.opened_at < desk.now - timedelta(days=1)
    assert became(desk.report(GRID, concerned=WANG)) == "joined"


def test_after_its_window_it_stays_closed() -> None:
    desk = Desk()
    case = desk.opens(concerned=WANG).case
    desk.conclude(case)
    desk.now += timedelta(days=POLICY.people.reopen.days, minutes=1)
    assert became(desk.report(GRID, concerned=WANG)) == "opened"
    assert desk.case(case).status == "closed"


def test_the_other_party_opens_nothing_again() -> None:
    desk = Desk()
    case = desk.opens(concerned=WANG, other_party=LI).case
    desk.conclude(case)
    assert became(desk.report(**HIS_CALL, concerned=WANG)) == "opened"
    assert desk.case(case).status == "closed"


def test_a_reopened_case_keeps_what_was_said_about_safety() -> None:
    desk = Desk()
    safe = {"allowed": ["sms"], "never": ["email"]}
    case = desk.opens(concerned=WANG, reporter=HERSELF, safe_contact=safe).case
    desk.conclude(case)
    (event,) = only(desk.report(GRID, concerned=WANG), CaseReopened)
    assert (event.card, event.no_card, event.safety) == (None, "no-safe-contact", "self")
    (joined,) = only(desk.report(reporter=HERSELF, concerned=WANG, safe_contact=safe), ReportJoined)
    assert joined.card is not None
    assert joined.card.version == 2


# repeats


def test_a_repeat_victim_raises_the_risk_by_one_step_once() -> None:
    desk = Desk()
    case = desk.opens(concerned=WANG)
    assert (case.risk, case.repeat) == (Risk.GREEN, False)
    (second,) = only(desk.report(GRID, concerned=WANG), ReportJoined)
    assert (second.risk, second.repeat) == (Risk.YELLOW, True)
    assert "同一当事人180天内第2次被报告，来自2个渠道，风险上调一级：黄" in second.reasons
    (third,) = only(desk.report(GRID, concerned=WANG), ReportJoined)
    assert third.risk is Risk.YELLOW
    assert "同一当事人180天内第3次被报告，来自2个渠道，风险上调一级：黄" in third.reasons
    (graver,) = only(desk.report(GRID, concerned=WANG, indicators={"injury": True}), ReportJoined)
    assert graver.risk is Risk.RED
    (last,) = only(desk.report(GRID, concerned=WANG, indicators={"weapon": True}), ReportJoined)
    assert last.risk is Risk.RED


def test_twice_by_one_channel_is_a_repeat_too() -> None:
    desk = Desk()
    desk.opens(concerned=WANG)
    (event,) = only(desk.report(concerned=WANG), ReportJoined)
    assert "同一当事人180天内第2次被报告，风险上调一级：黄" in event.reasons


def test_what_is_long_past_is_no_repeat() -> None:
    desk = Desk()
    case = desk.opens(concerned=WANG).case
    desk.conclude(case)
    desk.now += timedelta(days=POLICY.people.repeat.days, minutes=1)
    again = desk.opens(GRID, concerned=WANG)
    assert (again.risk, again.repeat) == (Risk.GREEN, False)


def test_an_ordinary_reporter_or_other_party_is_no_repeat_victim() -> None:
    desk = Desk()
    desk.opens(reporter=LI, other_party=WANG)
    assert not desk.opens(GRID, reporter=LI | {"relation": "neighbour"}).repeat
    assert not desk.opens(GRID, concerned={"document": LI["document"]}).repeat


# what is kept


def test_a_person_is_seen_once_a_report_in_their_weightiest_role() -> None:
    found = Desk().report(reporter=WANG | {"relation": "self"}, concerned=WANG, other_party=LI)
    seen = only(found, PersonSeen)
    assert len({one.person for one in seen}) == len(seen)
    assert sorted(one.role for one in seen) == ["concerned"] * 4 + ["other-party"] * 2


def test_states_are_what_the_journal_folds_to_and_hold_no_name() -> None:
    desk = Desk()
    case = desk.opens(concerned=WANG, other_party=LI).case
    desk.report(GRID, concerned=WANG, safe_contact={})
    desk.report(**HIS_CALL)
    desk.conclude(case)
    desk.report(GRID, concerned=WANG)
    assert desk.folded() == desk.states
    for state in desk.states.values():
        text = "" if state is None else state.model_dump_json()
        for secret in ("王小红", "李强", "13800138000", "138 0013 8000", "1990-05-01"):
            assert secret not in text


def test_a_person_remembers_the_open_cases_rather_than_the_ended() -> None:
    desk = Desk()
    first = desk.opens(other_party=LI).case
    for _ in range(KEPT_SEEN + 3):
        desk.conclude(desk.opens(other_party=LI).case)
    found = desk.report(**HIS_CALL)
    assert first in {case for case, _, _ in links(found)}
    assert case_stream(first) in found
