"""Which unit hears of an event, and what follows when an attempt ends, fails or is unanswered."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from lianhu.contracts.base import Internal
from lianhu.contracts.intake import CaseClosed
from lianhu.contracts.mediation import CaseEscalated, NoteAdded
from lianhu.contracts.notify import (
    NoticeAttempted,
    NoticeDeferred,
    NoticeDelivered,
    NoticeEvent,
    NoticeFailed,
    NoticeSuppressed,
    NoticeUncertain,
)
from lianhu.contracts.parts import Audience, DueAt
from lianhu.contracts.vocabulary import (
    AudienceRole,
    Category,
    DeadlineKind,
    NoticeChannel,
    Outcome,
    Risk,
)
from lianhu.eventing.rules import Deadline
from lianhu.jurisdiction import Level
from lianhu.notify import workflow
from lianhu.notify.state import MEMORY
from lianhu.notify.workflow.notices import notice_id
from lianhu.privacy import Sealed
from tests.notify_desk import (
    BY,
    CASE,
    DISTRICT,
    NOON,
    POLICY,
    STREAM,
    STREET,
    TEXTED,
    Desk,
    NoIds,
    accepted,
    offered,
    only,
    reached,
    shown,
)

SMS = POLICY.channels[NoticeChannel.SMS]
DOUBLING = replace(
    TEXTED,
    channels={
        **POLICY.channels,
        NoticeChannel.SMS: SMS.model_copy(update={"idempotent": False}),
    },
)
"""The same house with a gateway that cannot tell doubles apart."""


def escalated(*audience: Audience) -> CaseEscalated:
    return CaseEscalated(
        case=CASE,
        audience=audience,
        from_unit=STREET,
        from_level=Level.STREET,
        to_unit=DISTRICT,
        to_level=Level.DISTRICT,
        missed=DeadlineKind.ACCEPT,
        due=datetime(2026, 3, 5, 9, 0, tzinfo=UTC),
        category=Category.FAMILY_DISPUTE,
        risk=Risk.YELLOW,
        accept_by=DueAt(at=datetime(2026, 12, 31, 9, 0, tzinfo=UTC), provisional=True),
        policy_version="mediation-2026-01",
    )


def attempted(events: Sequence[Internal]) -> NoticeAttempted:
    return only(events, NoticeAttempted)


def test_the_unit_that_is_offered_a_case_is_told_on_its_screen() -> None:
    case = Desk()
    notice = shown(case.hears(offered()))
    assert (notice.role, notice.unit) == (AudienceRole.OWNING_UNIT, STREET)
    assert (notice.about, notice.about_type) == ("e-1", "lianhu.mediation.case-offered.v1")
    assert (notice.channel, notice.attempt) == (NoticeChannel.IN_APP, 1)
    assert case.deadlines() == []


def test_an_attempt_by_a_line_waits_for_its_outcome() -> None:
    case = Desk(TEXTED)
    notice = attempted(case.hears(offered()))
    assert (notice.channel, notice.attempt) == (NoticeChannel.SMS, 1)
    assert notice.answer_by == NOON + SMS.answer_within
    assert case.deadlines() == [Deadline(f"attempt-{notice.notice}", notice.answer_by)]


def test_a_notice_carries_what_its_text_names_and_nothing_else() -> None:
    assert shown(Desk().hears(offered())).params == {
        "accept_by": "2026-03-05T17:00+08:00",
        "accept_by_provisional": "no",
        "case": CASE,
        "category": "category.family-dispute",
        "level": "level.street",
        "risk": "risk.yellow",
        "unit_name": POLICY.divisions[STREET].name,
    }


def test_a_climbing_case_tells_the_unit_it_leaves_and_the_unit_it_reaches() -> None:
    events = Desk().hears(
        escalated(
            Audience(role=AudienceRole.UNIT_LEFT, unit=STREET),
            Audience(role=AudienceRole.UNIT_REACHED, unit=DISTRICT),
            Audience(role=AudienceRole.PERSON_CONCERNED),
        )
    )
    *units, person = events
    left, reached_ = shown(units[:2]), shown(units[2:])
    assert (left.unit, left.template) == (STREET, "case-left")
    assert (reached_.unit, reached_.template) == (DISTRICT, "case-reached")
    assert reached_.params["accept_by_provisional"] == "yes"
    assert isinstance(person, NoticeSuppressed)


def test_a_person_without_a_contact_card_is_told_nothing_and_the_reason_is_kept() -> None:
    case = Desk()
    heard = case.hears(accepted(Audience(role=AudienceRole.PERSON_CONCERNED)))
    event = only(heard, NoticeSuppressed)
    assert event.reason == "no-contact-card"
    assert case.deadlines() == []


def test_nothing_is_even_noted_for_the_other_party_where_it_could_reveal_the_report() -> None:
    assert not Desk().hears(offered(Audience(role=AudienceRole.OTHER_PARTY)))


def test_a_unit_role_without_a_unit_is_not_passed_over_in_silence() -> None:
    heard = Desk().hears(offered(Audience(role=AudienceRole.OWNING_UNIT)))
    event = only(heard, NoticeSuppressed)
    assert event.reason == "no-unit"


def test_a_unit_that_the_table_does_not_know_is_named_by_its_code() -> None:
    event = offered().model_copy(update={"unit": "999999999999"})
    assert shown(Desk().hears(event)).params["unit_name"] == "999999999999"


def test_what_the_policy_keeps_silent_about_makes_no_event() -> None:
    case = Desk()
    note = NoteAdded(
        case=CASE,
        audience=(Audience(role=AudienceRole.OWNING_UNIT, unit=STREET),),
        note=Sealed.hold("the parties spoke again"),
        by=BY,
    )
    assert not case.hears(note)
    assert not case.states


def test_a_case_closed_by_intake_is_told_on_the_same_stream() -> None:
    closed = CaseClosed(
        case=CASE,
        outcome=Outcome.SETTLED,
        unit=STREET,
        level=Level.STREET,
        audience=(Audience(role=AudienceRole.OWNING_UNIT, unit=STREET),),
    )
    assert shown(Desk().hears(closed)).params["outcome"] == "outcome.settled"


def test_the_same_one_twice_in_an_audience_is_told_once() -> None:
    twice = Audience(role=AudienceRole.OWNING_UNIT, unit=STREET)
    assert shown(Desk().hears(offered(twice, twice)))


@pytest.mark.parametrize("ended_before", [False, True])
def test_the_same_event_again_tells_nobody(ended_before: bool) -> None:
    case = Desk(TEXTED)
    notice = attempted(case.hears(offered()))
    if ended_before:
        case.outcome(notice, "done")
    assert not case.hears(offered())


def test_a_suppressed_notice_is_suppressed_once() -> None:
    case = Desk()
    person = Audience(role=AudienceRole.PERSON_CONCERNED)
    assert len(case.hears(accepted(person))) == 1
    assert not case.hears(accepted(person))


def test_another_event_of_the_same_type_is_told_again() -> None:
    case = Desk()
    first = shown(case.hears(offered(), "e-1"))
    second = shown(case.hears(offered(), "e-2"))
    assert first.notice != second.notice


def test_no_two_audiences_share_a_notice() -> None:
    ids = {
        notice_id(event, role, unit, NoticeChannel.IN_APP)
        for event in ("e-1", "e-2")
        for role in AudienceRole
        for unit in (None, STREET, DISTRICT)
    }
    assert len(ids) == 2 * len(AudienceRole) * 3


def test_a_case_remembers_few_notices_that_ended() -> None:
    case = Desk()
    notices = []
    for number in range(MEMORY + 5):
        notices.append(shown(case.hears(offered(), f"e-{number}")))
    assert case.case.ended == tuple(notice.notice for notice in notices[-MEMORY:])


def test_a_notice_that_the_channel_took_is_delivered_and_no_clock_is_left() -> None:
    case = Desk(TEXTED)
    notice = attempted(case.hears(offered()))
    event = only(case.outcome(notice, "done"), NoticeDelivered)
    assert event.notice == notice.notice
    assert case.deadlines() == []


def test_an_attempt_that_surely_failed_is_repeated_after_the_wait_of_the_policy() -> None:
    case = Desk(TEXTED)
    notice = attempted(case.hears(offered()))
    put_off = only(case.outcome(notice, "failed", "gateway-unreachable"), NoticeDeferred)
    assert put_off.reason == "gateway-unreachable"
    assert put_off.retry_at == NOON + SMS.retry_after[0]
    assert case.deadlines() == [Deadline(f"retry-{notice.notice}", put_off.retry_at)]
    again = attempted(case.passes(SMS.retry_after[0]))
    assert again.attempt == 2
    assert (again.template, again.params) == (notice.template, notice.params)
    assert again.answer_by == case.now + SMS.answer_within


def test_after_the_last_attempt_that_surely_failed_the_notice_has_failed() -> None:
    case = Desk(TEXTED)
    notice = attempted(case.hears(offered()))
    for wait in SMS.retry_after:
        only(case.outcome(notice, "failed", "gateway-refused"), NoticeDeferred)
        notice = attempted(case.passes(wait))
    assert notice.attempt == SMS.attempts
    event = only(case.outcome(notice, "failed", "gateway-refused"), NoticeFailed)
    assert (event.attempt, event.reason) == (SMS.attempts, "gateway-refused")
    assert case.deadlines() == []


@pytest.mark.parametrize("told", [True, False], ids=["told unknown", "no answer in time"])
def test_an_unknown_outcome_is_tried_again_where_the_channel_tells_doubles_apart(
    told: bool,
) -> None:
    case = Desk(TEXTED)
    notice = attempted(case.hears(offered()))
    events = case.outcome(notice, "unknown") if told else case.passes(SMS.answer_within)
    assert attempted(events).attempt == 2


@pytest.mark.parametrize("told", [True, False], ids=["told unknown", "no answer in time"])
def test_an_unknown_outcome_is_left_to_a_person_where_it_could_double(told: bool) -> None:
    case = Desk(DOUBLING)
    notice = attempted(case.hears(offered()))
    events = case.outcome(notice, "unknown") if told else case.passes(SMS.answer_within)
    only(events, NoticeUncertain)
    assert case.deadlines() == []


def test_when_nothing_is_ever_answered_the_attempts_end_as_uncertain() -> None:
    case = Desk(TEXTED)
    attempted(case.hears(offered()))
    seen: list[Internal] = []
    while case.deadlines():
        seen += case.passes(SMS.answer_within)
    assert [type(event) for event in seen] == [
        *[NoticeAttempted] * (SMS.attempts - 1),
        NoticeUncertain,
    ]


def test_a_notice_that_may_have_been_taken_once_is_never_said_to_have_failed() -> None:
    case = Desk(TEXTED)
    notice = attempted(case.hears(offered()))
    notice = attempted(case.outcome(notice, "unknown"))
    for wait in SMS.retry_after[1:]:
        case.outcome(notice, "failed", "gateway-refused")
        notice = attempted(case.passes(wait))
    only(case.outcome(notice, "failed", "gateway-refused"), NoticeUncertain)


def test_an_outcome_that_no_release_knows_counts_as_unknown() -> None:
    case = Desk(DOUBLING)
    notice = attempted(case.hears(offered()))
    only(case.outcome(notice, "perhaps"), NoticeUncertain)


def test_a_failure_without_a_reason_says_so() -> None:
    case = Desk(TEXTED)
    notice = attempted(case.hears(offered()))
    event = only(case.outcome(notice, "failed"), NoticeDeferred)
    assert event.reason == "no-reason-given"


def test_the_late_result_of_an_attempt_that_was_given_up_changes_nothing() -> None:
    case = Desk(TEXTED)
    first = attempted(case.hears(offered()))
    attempted(case.passes(SMS.answer_within))
    assert not case.outcome(first, "failed", "gateway-refused")


def test_a_second_result_while_the_retry_is_awaited_changes_nothing() -> None:
    case = Desk(TEXTED)
    notice = attempted(case.hears(offered()))
    case.outcome(notice, "failed", "gateway-refused")
    assert not case.outcome(notice, "done")


def test_a_result_of_a_notice_that_ended_or_never_was_changes_nothing() -> None:
    case = Desk(TEXTED)
    notice = attempted(case.hears(offered()))
    case.outcome(notice, "done")
    assert not case.outcome(notice, "failed", "gateway-refused")
    assert not case.outcome(notice.model_copy(update={"notice": "0" * 32}), "done")


def test_a_deadline_that_no_longer_stands_changes_nothing() -> None:
    case = Desk(TEXTED)
    notice = attempted(case.hears(offered()))
    (old,) = case.deadlines()
    case.outcome(notice, "done")
    message = reached(old, old.due)
    states = case.states
    assert not workflow.decide(message, states, old.due, NoIds(), POLICY)[STREAM]


def test_every_event_is_about_the_case_and_the_notice() -> None:
    case = Desk(TEXTED)
    notice = attempted(case.hears(offered()))
    for event in (*case.outcome(notice, "failed"), *case.passes(SMS.retry_after[0])):
        assert isinstance(event, NoticeEvent)
        assert (event.case, event.notice, event.about) == (CASE, notice.notice, "e-1")


def left_open(desk: Desk, **changed: object) -> NoticeAttempted:
    """An attempt on a screen as an older release left it: nobody has said how it ended."""
    attempt = shown(desk.hears(offered())).model_copy(update=changed)
    desk.states[STREAM] = workflow.evolve(STREAM, None, attempt, desk.now)
    return attempt


@pytest.mark.parametrize("tries", [1, 99])
def test_an_attempt_on_a_screen_that_an_older_release_left_open_is_taken_up_again(
    tries: int,
) -> None:
    case = Desk()
    old = left_open(case, attempt=tries)
    again = shown(case.passes(POLICY.channels[NoticeChannel.IN_APP].answer_within))
    assert (again.notice, again.attempt) == (old.notice, tries + 1)
    assert case.deadlines() == []


def test_a_text_that_only_the_older_release_had_ends_as_uncertain_or_failed() -> None:
    within = POLICY.channels[NoticeChannel.IN_APP].answer_within
    case = Desk()
    left_open(case, template="case-lost")
    only(case.passes(within), NoticeUncertain)
    case = Desk()
    old = left_open(case, template="case-lost")
    put_off = only(case.outcome(old, "failed", "store-unavailable"), NoticeDeferred)
    failed = only(case.passes(put_off.retry_at - case.now), NoticeFailed)
    assert failed.reason == "template-fault"
    assert case.deadlines() == []
