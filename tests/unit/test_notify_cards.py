"""Which contact card counts: the newest that is known, of which nobody doubts, and no other."""

from __future__ import annotations

from datetime import timedelta

import pytest

from lianhu.contracts.notify import (
    NoticeAttempted,
    NoticeSuppressed,
    WaySought,
)
from lianhu.contracts.parts import Audience
from lianhu.contracts.vocabulary import (
    AudienceRole,
)
from tests.notify_desk import (
    SHE,
    Desk,
    accepted,
    card_ref,
    first,
    her,
    only,
    sought,
)
from tests.notify_events import concluded, joined, split


def test_the_same_event_in_two_roles_is_told_to_one_person_once_and_with_the_greater_care() -> None:
    desk = Desk()
    also = Audience(role=AudienceRole.OTHER_PARTY, card=card_ref(SHE), neutral=False)
    events = desk.hears(accepted(her(), also))
    assert len([event for event in events if isinstance(event, WaySought)]) == 1
    desk = Desk()
    events = desk.hears(accepted(also, her(neutral=True)))
    assert first(events, WaySought).template == "neutral/news"


def test_an_older_card_is_told_by_the_newer_one_that_is_known() -> None:
    desk = Desk()
    newer = card_ref(version=3)
    desk.hears(accepted(her(newer)), "e-1")
    way = first(desk.hears(concluded(her(card_ref(version=2))), "e-2"), WaySought)
    assert way.card == newer


def test_a_card_that_an_event_brings_is_noted_even_where_nobody_is_told() -> None:
    desk = Desk()
    newer = card_ref(version=2)
    desk.hears(accepted(her(newer)).model_copy(update={"audience": (her(newer),)}), "e-1")
    desk.hears(joined(None).model_copy(update={"card": card_ref(version=5)}), "e-2")
    assert desk.case.cards[AudienceRole.PERSON_CONCERNED].version == 5


def test_a_notice_that_waits_goes_by_the_card_that_came_meanwhile() -> None:
    desk = Desk()
    until = (desk.now + timedelta(hours=1)).isoformat()
    desk.looked(sought(desk), until=until, reason="outside-hours")
    newer = card_ref(version=2)
    desk.hears(joined(None).model_copy(update={"card": newer}), "e-2")
    assert only(desk.passes(timedelta(hours=1)), WaySought).card == newer


def test_a_newer_card_replaces_an_older_one_also_under_another_reference() -> None:
    desk = Desk()
    newer = card_ref("c" * 32, version=2)
    desk.hears(accepted(her(newer)), "e-1")
    way = first(desk.hears(concluded(her(card_ref(SHE, version=1))), "e-2"), WaySought)
    assert (way.card, way.person) == (newer, "c" * 32)
    assert len(desk.case.cards) == 1


def test_a_card_that_is_replaced_while_it_is_looked_at_counts_no_more() -> None:
    desk = Desk()
    way = sought(desk)
    newer = card_ref(version=2)
    desk.hears(joined(None).model_copy(update={"card": newer}), "e-2")
    again = only(desk.looked(way, reason="no-safe-contact"), WaySought)
    assert (again.card, again.look, again.vain) == (newer, 2, 0)
    assert only(desk.looked(again, channel="sms"), NoticeAttempted).card == newer


def test_two_cards_of_one_version_are_a_doubt_and_nobody_is_told() -> None:
    desk = Desk()
    desk.hears(accepted(her()), "e-1")
    stranger = her(card_ref("c" * 32))
    assert only(desk.hears(concluded(stranger), "e-2"), NoticeSuppressed).reason == "card-in-doubt"


def test_the_card_of_a_report_that_is_split_off_again_is_used_no_more() -> None:
    desk = Desk()
    desk.hears(accepted(her()), "e-1")
    desk.hears(joined(None).model_copy(update={"card": card_ref("c" * 32, version=2)}), "e-2")
    before = card_ref(SHE, version=3)
    desk.hears(split().model_copy(update={"card": before}), "e-3")
    assert first(desk.hears(concluded(her()), "e-4"), WaySought).card == before
    desk.hears(split().model_copy(update={"no_card": "no-contact-card"}), "e-5")
    late = only(desk.hears(concluded(her()), "e-6"), NoticeSuppressed)
    assert late.reason == "no-contact-card"


@pytest.mark.parametrize("reason", ["no-safe-contact", "no-contact-card"])
def test_a_card_taken_back_by_intake_stops_what_waits_until_a_newer_one_comes(reason: str) -> None:
    desk = Desk()
    until = (desk.now + timedelta(hours=1)).isoformat()
    desk.looked(sought(desk), until=until, reason="outside-hours")
    desk.hears(joined(reason), "e-2")
    assert only(desk.passes(timedelta(hours=1)), NoticeSuppressed).reason == reason
    assert first(desk.hears(concluded(her()), "e-3"), NoticeSuppressed).reason == reason
    assert first(desk.hears(concluded(her(card_ref(version=2))), "e-4"), WaySought)


def test_a_report_that_says_nothing_of_contact_takes_no_card_back() -> None:
    desk = Desk()
    desk.hears(accepted(her()), "e-1")
    desk.hears(joined(None), "e-2")
    assert first(desk.hears(concluded(her()), "e-3"), WaySought)
