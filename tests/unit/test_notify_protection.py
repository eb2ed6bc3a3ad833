"""Who is not told, by whom nothing safe is known, and what goes out on the protection path."""

from __future__ import annotations

from datetime import timedelta

import pytest

from lianhu.contracts.notify import (
    ContactNoted,
    NoticeAttempted,
    NoticeSuppressed,
    NoticeUncertain,
    VisitAsked,
    WaySought,
)
from lianhu.contracts.parts import Audience
from lianhu.contracts.vocabulary import (
    AudienceRole,
    NoticeChannel,
    Path,
)
from tests.notify_desk import (
    DISTRICT,
    Desk,
    accepted,
    first,
    her,
    him,
    only,
    shown,
    sought,
)
from tests.notify_events import concluded, moved, opened, overridden, withheld


def test_what_another_service_withholds_binds_its_own_event_only() -> None:
    desk = Desk()
    desk.hears(accepted(her()), "e-1")
    assert first(desk.hears(concluded(withheld("no-contact-card")), "e-2"), NoticeSuppressed)
    assert first(desk.hears(concluded(her()), "e-3"), WaySought)


@pytest.mark.parametrize("reason", ["no-safe-contact", "no-contact-card"])
def test_where_nothing_is_safe_an_officer_of_the_owning_unit_is_asked_to_go(reason: str) -> None:
    desk = Desk()
    events = desk.hears(opened(withheld(reason), path=Path.PROTECTION, no_card=reason))
    suppressed = first(events, NoticeSuppressed)
    assert suppressed.reason == reason
    visit = first(events, VisitAsked)
    assert (visit.unit, visit.reason, visit.notice) == (DISTRICT, reason, suppressed.notice)
    told = first(events, NoticeAttempted)
    assert (told.unit, told.template, told.channel) == (
        DISTRICT,
        "visit-asked",
        NoticeChannel.IN_APP,
    )
    assert (told.about, told.about_type) == (suppressed.notice, VisitAsked.type_)
    assert reason not in str(told.params)


def test_an_ordinary_dispute_sends_nobody_to_a_person_without_a_card() -> None:
    desk = Desk()
    events = desk.hears(opened(Audience(role=AudienceRole.PERSON_CONCERNED)))
    assert [type(event) for event in events] == [NoticeSuppressed]


def test_nobody_goes_to_a_child_whose_guardian_is_the_suspect() -> None:
    reason = "guardian-is-suspect"
    events = Desk().hears(opened(withheld(reason), path=Path.PROTECTION, no_card=reason))
    assert not [event for event in events if isinstance(event, VisitAsked | NoticeAttempted)]


def test_a_card_that_shows_no_safe_way_sends_an_officer_too() -> None:
    desk = Desk()
    way = first(desk.hears(opened(her(neutral=True), path=Path.PROTECTION)), WaySought)
    events = desk.looked(way, reason="no-safe-contact")
    suppressed, visit, *asked = events
    assert (type(suppressed), type(visit)) == (NoticeSuppressed, VisitAsked)
    assert shown(asked).about == way.notice


def test_an_uncertain_end_sends_an_officer_too() -> None:
    desk = Desk()
    way = first(desk.hears(opened(her(neutral=True), path=Path.PROTECTION)), WaySought)
    attempt = only(desk.looked(way, channel="email"), NoticeAttempted)
    events = desk.outcome(attempt, "unknown")
    uncertain, visit, *asked = events
    assert (type(uncertain), type(visit)) == (NoticeUncertain, VisitAsked)
    assert shown(asked).about == attempt.notice


@pytest.mark.parametrize("slug", ["key-erased", "key-restricted"])
def test_of_an_erased_or_restricted_case_nobody_is_told_and_nobody_goes(slug: str) -> None:
    desk = Desk()
    way = first(desk.hears(opened(her(neutral=True), path=Path.PROTECTION)), WaySought)
    assert only(desk.looked(way, reason=slug), NoticeSuppressed).reason == slug
    desk = Desk()
    way = first(desk.hears(opened(her(neutral=True), path=Path.PROTECTION)), WaySought)
    attempt = only(desk.looked(way, channel="sms"), NoticeAttempted)
    ended = desk.outcome(attempt, "failed", slug, closed="yes")
    assert only(ended, NoticeSuppressed).reason == slug


def test_on_the_protection_path_the_other_party_is_told_nothing_even_if_an_audience_names_him() -> (
    None
):
    desk = Desk()
    desk.hears(opened(her(neutral=True), path=Path.PROTECTION), "e-1")
    him_told = [e for e in desk.hears(accepted(him()), "e-2") if not isinstance(e, ContactNoted)]
    assert only(him_told, NoticeSuppressed).reason == "protection-path"


def test_a_late_event_that_does_not_know_of_the_protection_path_is_told_in_neutral_words() -> None:
    desk = Desk()
    desk.hears(moved(), "e-1")
    assert first(desk.hears(concluded(her(neutral=False)), "e-2"), WaySought).template == (
        "neutral/news"
    )


def test_a_notice_that_waits_while_the_case_turns_to_protection_goes_in_neutral_words() -> None:
    desk = Desk()
    until = (desk.now + timedelta(hours=1)).isoformat()
    desk.looked(sought(desk), until=until, reason="outside-hours")
    desk.hears(moved(), "e-2")
    way = only(desk.passes(timedelta(hours=1)), WaySought)
    assert (way.template, way.params) == ("neutral/news", {})


def test_the_other_party_s_invitation_that_waits_is_dropped_when_the_case_turns_to_protection() -> (
    None
):
    desk = Desk()
    way = sought(desk, him())
    desk.hears(moved(), "e-2")
    stopped = only(desk.looked(way, channel="sms"), NoticeSuppressed)
    assert stopped.reason == "protection-path"


def test_two_persons_take_a_case_off_the_protection_path() -> None:
    desk = Desk()
    desk.hears(opened(her(neutral=True), path=Path.PROTECTION), "e-1")
    desk.hears(overridden(), "e-2")
    way = first(desk.hears(accepted(her()), "e-3"), WaySought)
    assert way.template == "person/case-accepted"
