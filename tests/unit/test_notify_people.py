"""How a person is told: by the safest way, at an allowed hour, once."""

from __future__ import annotations

from datetime import timedelta

from lianhu.contracts.notify import (
    ContactNoted,
    NoticeAttempted,
    NoticeDeferred,
    NoticeDelivered,
    NoticeFailed,
    NoticeUncertain,
    NoticeWaiting,
    WaySought,
)
from tests.notify_desk import (
    EMAIL,
    POLICY,
    SHE,
    SMS,
    Desk,
    accepted,
    attempted,
    first,
    her,
    only,
    sought,
)


def test_a_person_is_told_in_two_steps_the_way_and_then_the_attempt() -> None:
    desk = Desk()
    noted, way = desk.hears(accepted(her()))
    assert isinstance(noted, ContactNoted)
    assert isinstance(way, WaySought)
    assert (way.channel, way.person, way.unit, way.look) == (None, SHE, None, 1)
    assert way.template == "person/case-accepted"
    attempt = only(desk.looked(way, channel="sms"), NoticeAttempted)
    assert (attempt.channel, attempt.attempt, attempt.card) == (SMS, 1, way.card)
    assert (attempt.notice, attempt.params) == (way.notice, way.params)
    delivered = only(desk.outcome(attempt, "done"), NoticeDelivered)
    assert delivered.channel is SMS
    assert desk.deadlines() == []


def test_nothing_of_a_card_stands_open_in_any_event_or_state() -> None:
    desk = Desk()
    desk.looked(sought(desk), channel="sms")
    written = [event.model_dump_json() for _, event, _ in desk.journal]
    written += [state.model_dump_json() for state in desk.states.values() if state is not None]
    assert not [text for text in written if "13800000001" in text]


def test_outside_the_hours_the_notice_waits_and_is_then_sought_anew() -> None:
    desk = Desk()
    until = desk.now + timedelta(hours=6)
    events = desk.looked(sought(desk), until=until.isoformat(), reason="outside-hours")
    waiting = only(events, NoticeWaiting)
    assert (waiting.reason, waiting.until) == ("outside-hours", until)
    assert [d.due for d in desk.deadlines()] == [until]
    way = only(desk.passes(timedelta(hours=6)), WaySought)
    assert (way.look, way.vain) == (2, 0)


def test_what_is_told_late_goes_by_the_hour_of_its_telling() -> None:
    """The event is of noon, and nobody handled it until the evening."""
    desk = Desk()
    early = sought(desk)
    desk.now += timedelta(hours=10)
    again = only(desk.looked(early, channel="sms"), WaySought)
    assert (again.look, again.answer_by) == (2, desk.now + POLICY.cards.answer_within)
    until = desk.now + timedelta(hours=9)
    events = desk.looked(again, until=until.isoformat(), reason="quiet-hours")
    assert only(events, NoticeWaiting).until == until


def test_answers_that_are_all_late_end_in_a_failure() -> None:
    desk = Desk()
    way, late = sought(desk), timedelta(seconds=1)
    for _ in range(POLICY.cards.attempts - 1):
        desk.now = way.answer_by + late
        way = only(desk.looked(way, channel="sms"), WaySought)
    desk.now = way.answer_by + late
    assert first(desk.looked(way, channel="sms"), NoticeFailed).reason == "card-not-read"
    assert desk.deadlines() == []


def test_a_sure_failure_is_tried_again_and_then_the_next_channel_of_the_card() -> None:
    desk = Desk()
    attempt = attempted(desk)
    for wait in POLICY.channels[SMS].retry_after:
        put_off = only(desk.outcome(attempt, "failed", "gateway-unreachable"), NoticeDeferred)
        assert put_off.retry_at == desk.now + wait
        way = only(desk.passes(wait), WaySought)
        assert way.tried == ()
        attempt = only(desk.looked(way, channel="sms"), NoticeAttempted)
    assert attempt.attempt == POLICY.channels[SMS].attempts
    way = only(desk.outcome(attempt, "failed", "gateway-unreachable"), WaySought)
    assert way.tried == (SMS,)
    attempt = only(desk.looked(way, channel="email"), NoticeAttempted)
    assert (attempt.channel, attempt.attempt) == (EMAIL, POLICY.channels[SMS].attempts + 1)
    only(desk.outcome(attempt, "failed", "relay-unreachable"), NoticeDeferred)  # counted anew
    assert desk.case.pending[attempt.notice].tries == 1


def test_a_failure_for_good_goes_to_the_next_channel_at_once() -> None:
    desk = Desk()
    attempt = attempted(desk, EMAIL)
    way = only(desk.outcome(attempt, "failed", "address-refused", final="yes"), WaySought)
    assert way.tried == (EMAIL,)


def test_when_every_way_has_failed_the_notice_has() -> None:
    desk = Desk()
    attempt = attempted(desk, EMAIL)
    way = only(desk.outcome(attempt, "failed", "address-refused", final="yes"), WaySought)
    failed = only(desk.looked(way, reason="every-way-failed"), NoticeFailed)
    assert (failed.reason, failed.attempt) == ("every-way-failed", 1)


def test_an_e_mail_that_may_have_been_sent_is_never_sent_again_nor_by_another_way() -> None:
    desk = Desk()
    attempt = attempted(desk, EMAIL)
    only(desk.outcome(attempt, "unknown"), NoticeUncertain)
    assert desk.deadlines() == []
    desk = Desk()
    attempted(desk, EMAIL)
    only(desk.passes(POLICY.channels[EMAIL].answer_within), NoticeUncertain)


def test_a_text_message_that_may_have_been_sent_is_sent_again_under_the_same_key() -> None:
    desk = Desk()
    attempt = attempted(desk)
    way = only(desk.outcome(attempt, "unknown"), WaySought)
    assert way.tried == ()
    again = only(desk.looked(way, channel="sms"), NoticeAttempted)
    assert (again.notice, again.attempt) == (attempt.notice, 2)


def test_after_an_unknown_outcome_no_other_channel_is_tried_and_none_is_said_to_have_failed() -> (
    None
):
    desk = Desk()
    way = only(desk.outcome(attempted(desk), "unknown"), WaySought)
    attempt = only(desk.looked(way, channel="sms"), NoticeAttempted)
    only(desk.outcome(attempt, "failed", "gateway-unreachable", final="yes"), NoticeUncertain)
    desk = Desk()
    way = only(desk.outcome(attempted(desk), "unknown"), WaySought)
    only(desk.looked(way, reason="key-erased"), NoticeUncertain)


def test_after_an_unknown_outcome_a_newer_card_s_other_channel_is_not_tried_either() -> None:
    desk = Desk()
    way = only(desk.outcome(attempted(desk), "unknown"), WaySought)
    only(desk.looked(way, channel="email"), NoticeUncertain)


def test_a_card_that_cannot_be_read_now_is_tried_again_a_bounded_number_of_times() -> None:
    desk = Desk()
    way = sought(desk)
    for wait in POLICY.cards.retry_after:
        waiting = only(desk.looked(way, "failed", "store-unavailable"), NoticeWaiting)
        assert (waiting.reason, waiting.until) == ("card-not-read", desk.now + wait)
        way = only(desk.passes(wait), WaySought)
    assert way.look == POLICY.cards.attempts
    failed = only(desk.looked(way, "failed", "store-unavailable"), NoticeFailed)
    assert failed.reason == "card-not-read"


def test_an_answer_that_never_comes_is_sought_again_a_bounded_number_of_times() -> None:
    desk = Desk()
    sought(desk)
    seen = []
    while desk.deadlines():
        (event,) = desk.passes(POLICY.cards.answer_within)
        seen.append(type(event))
    assert seen == [*[WaySought] * (POLICY.cards.attempts - 1), NoticeFailed]


def test_a_late_answer_about_the_way_is_not_taken_for_that_of_a_later_look() -> None:
    desk = Desk()
    early = sought(desk)
    attempt = only(desk.looked(early, channel="email"), NoticeAttempted)
    way = only(desk.outcome(attempt, "failed", "address-refused", final="yes"), WaySought)
    assert not desk.looked(early, channel="email")
    assert only(desk.looked(way, channel="sms"), NoticeAttempted).channel is SMS


def test_a_second_answer_about_the_way_changes_nothing() -> None:
    desk = Desk()
    way = sought(desk)
    desk.looked(way, channel="sms")
    assert not desk.looked(way, channel="email")
