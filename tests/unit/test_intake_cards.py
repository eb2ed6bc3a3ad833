"""The contact card: whose, by which ways and when; or why nobody may be told."""

from __future__ import annotations

from typing import Any

import pytest

from lianhu.contracts.intake import CaseOpened, CaseReopened, ReportJoined
from lianhu.contracts.parts import Audience, Hours
from lianhu.contracts.vocabulary import AudienceRole, Holder, Language, NoticeChannel, Path
from tests.intake_desk import GRID, LI, WANG, Desk, only

SMS, EMAIL = NoticeChannel.SMS, NoticeChannel.EMAIL
REACHED: dict[str, Any] = {"phone": "138 0013 8000", "email": "wang@example.org"}
PROTECTED: dict[str, Any] = {"indicators": {"weapon": True}}
SAFE: dict[str, Any] = {"allowed": ["sms"]}


def person(event: CaseOpened) -> Audience:
    (found,) = [one for one in event.audience if one.role is AudienceRole.PERSON_CONCERNED]
    return found


def channels(**fields: Any) -> tuple[NoticeChannel, ...] | str | None:
    """Those of the card, or why there is none."""
    desk = Desk()
    event = desk.opens(**fields)
    assert person(event).withheld == event.no_card
    assert person(event).neutral is (event.path is Path.PROTECTION)
    assert (person(event).card is None) == (event.card is None)
    return event.no_card if event.card is None else desk.card(event.card).channels


@pytest.mark.parametrize(
    ("contact", "safe", "expected"),
    [
        (REACHED, None, (SMS, EMAIL)),
        ({"phone": "138 0013 8000"}, None, (SMS,)),
        ({"email": "wang@example.org"}, None, (EMAIL,)),
        ({"name": "王小红"}, None, "no-contact-card"),
        (REACHED, {}, (SMS, EMAIL)),
        (REACHED, {"allowed": ["email", "sms"]}, (EMAIL, SMS)),
        (REACHED, {"allowed": ["sms", "sms"]}, (SMS,)),
        (REACHED, {"never": ["sms"]}, (EMAIL,)),
        (REACHED, {"allowed": ["sms"], "never": ["sms"]}, "no-safe-contact"),
        (REACHED, {"allowed": []}, "no-safe-contact"),
        (REACHED, {"allowed": ["in-app"]}, "no-safe-contact"),
        ({"phone": "138 0013 8000"}, {"allowed": ["email"]}, "no-safe-contact"),
    ],
)
def test_channels_are_what_is_allowed_without_what_must_never_be_used(
    contact: dict[str, Any], safe: dict[str, Any] | None, expected: object
) -> None:
    assert channels(concerned=contact, safe_contact=safe) == expected


def test_on_the_protection_path_silence_is_no_permission() -> None:
    assert channels(concerned=REACHED, **PROTECTED) == "no-safe-contact"
    assert channels(concerned=REACHED, safe_contact=SAFE, **PROTECTED) == (SMS,)
    assert channels(concerned=REACHED, safe_contact={}, **PROTECTED) == (SMS, EMAIL)
    assert channels(safe_contact=SAFE, **PROTECTED) == "no-contact-card"


def test_what_the_other_party_reads_too_is_no_way_to_a_protected_person() -> None:
    shared = {"phone": "+86 13800138000", "email": "WANG@example.org"}
    both = {"concerned": REACHED, "other_party": shared, "safe_contact": {}}
    assert channels(**both, **PROTECTED) == "no-safe-contact"
    assert channels(**both) == (SMS, EMAIL), "a household may share a phone and a quarrel"


def test_the_card_says_when_and_in_which_language() -> None:
    desk = Desk()
    safe = {"hours": {"start": "20:00", "end": "21:30"}, "language": "en", "never": ["sms"]}
    event = desk.opens(concerned=WANG | REACHED, safe_contact=safe)
    card = desk.card(event.card)
    assert (card.holder, card.name) == (Holder.SELF, "王小红")
    assert (card.hours, card.language) == (Hours(start="20:00", end="21:30"), Language.EN)
    assert event.card is not None
    assert event.card.version == 1
    assert event.card.person in {one.person for one in event.people if one.role == "concerned"}


def test_nobody_who_can_be_found_again_is_named_by_the_card_of_somebody_unknown() -> None:
    event = Desk().opens(concerned={"phone": "138 0013 8000"})
    assert event.card is not None
    assert event.card.person not in {one.person for one in event.people}


def test_who_reports_for_themselves_gives_their_own_contact() -> None:
    reporter = REACHED | {"relation": "self"}
    assert channels(reporter=reporter) == (SMS, EMAIL)
    assert channels(reporter=reporter, concerned={"name": "王小红"}) == (SMS, EMAIL)
    assert channels(reporter=reporter | {"relation": "neighbour"}) == "no-contact-card"
    # the report contradicts itself: nobody is told
    other = reporter | {"name": "李强"}
    assert channels(reporter=other, concerned={"name": "王小红"}) == "no-contact-card"


def test_for_a_minor_one_of_the_family_who_reports_is_told() -> None:
    child: dict[str, Any] = {"born": "2015-01-01", "phone": "137 0013 7000"}
    family = REACHED | {"relation": "family"}
    safe: dict[str, Any] = {"concerned": child, "safe_contact": {}}
    desk = Desk()
    card = desk.card(desk.opens(reporter=family, **safe).card)
    assert (card.holder, card.phone) == (Holder.GUARDIAN, "138 0013 8000")
    assert channels(**safe) == "no-contact-card"
    assert channels(reporter=family | {"relation": "neighbour"}, **safe) == "no-contact-card"
    assert channels(reporter=family, concerned=child) == "no-safe-contact"


def test_a_suspected_guardian_is_told_nothing() -> None:
    family = REACHED | {"relation": "family"}
    safe: dict[str, Any] = {"concerned": {"born": "2015"}, "safe_contact": {}, "reporter": family}
    suspected = {"guardian_suspected": True}
    assert channels(indicators=suspected, **safe) == "guardian-is-suspect"
    assert channels(other_party={"phone": "13800138000"}, **safe) == "guardian-is-suspect"


def test_what_the_other_party_calls_safe_is_not() -> None:
    his = LI | {"relation": "family"}
    assert (
        channels(reporter=his, other_party=LI, concerned=REACHED, safe_contact={}, **PROTECTED)
        == "no-safe-contact"
    )
    desk = Desk()
    desk.opens(concerned=WANG, other_party=LI)
    call = desk.opens(reporter=his, concerned=REACHED, safe_contact={}, **PROTECTED)
    assert (call.card, call.no_card) == (None, "no-safe-contact")


def test_nor_in_a_dispute() -> None:
    his = LI | {"relation": "family"}
    said: dict[str, Any] = {"reporter": his, "concerned": REACHED, "safe_contact": {}}
    assert channels(other_party=LI, **said) == "no-safe-contact"
    desk = Desk()
    desk.opens(concerned=WANG, other_party=LI)
    call = desk.opens(**said)
    assert (call.path, call.card, call.no_card) == (Path.MEDIATION, None, "no-safe-contact")


# further reports about the same case


def joined(desk: Desk, **fields: Any) -> ReportJoined:
    (event,) = only(
        desk.report(GRID, concerned=WANG | fields.pop("contact", {}), **fields), ReportJoined
    )
    return event


def test_another_card_is_the_next_version() -> None:
    desk = Desk()
    case = desk.opens(concerned=WANG).case
    event = joined(desk, contact={"email": "wang@example.org"})
    assert event.card is not None
    assert event.card.version == 2
    assert desk.card(desk.case(case).card).email == "wang@example.org"


def test_a_report_without_contact_leaves_the_card_as_it_was() -> None:
    desk = Desk()
    case = desk.opens(concerned=WANG)
    event = joined(desk, contact={"phone": None})
    assert (event.card, event.no_card) == (None, None)
    assert desk.case(case.case).card == case.card


def test_a_weaker_word_about_safety_never_replaces_a_stronger() -> None:
    desk = Desk()
    her = {"relation": "self", "phone": WANG["phone"]}
    case = desk.opens(concerned=WANG, reporter=her, safe_contact={"never": ["email"]}).case
    weaker: list[dict[str, Any]] = [
        {},
        {"safe_contact": {"allowed": ["email"]}},
        {"safe_contact": {"allowed": []}},
    ]
    for word in weaker:
        event = joined(desk, contact=REACHED, **word)
        assert (event.card, event.no_card) == (None, None)
    assert desk.card(desk.case(case).card).channels == (SMS,)
    event = joined(desk, contact=REACHED, reporter=her, safe_contact={"allowed": ["email"]})
    assert desk.card(event.card).channels == (EMAIL,)


def test_her_own_word_that_nothing_is_safe_takes_the_card_away() -> None:
    desk = Desk()
    case = desk.opens(concerned=WANG).case
    event = joined(desk, reporter={"relation": "self"}, safe_contact={"allowed": []})
    assert (event.card, event.no_card) == (None, "no-safe-contact")
    assert desk.case(case).card is None


def test_what_was_enough_for_a_dispute_is_not_for_protection() -> None:
    desk = Desk()
    case = desk.opens(concerned=WANG).case
    event = joined(desk, **PROTECTED)
    assert (event.card, event.no_card) == (None, "no-safe-contact")
    later = joined(desk, safe_contact=SAFE)
    assert later.path is Path.PROTECTION
    assert later.card is not None
    assert desk.case(case).card == later.card


def test_a_guardian_who_is_suspected_later_is_told_no_more() -> None:
    desk = Desk()
    child = WANG | {"born": "2015-05-01", "document": None}
    family = REACHED | {"relation": "family"}
    case = desk.opens(concerned=child, reporter=family, safe_contact={}).case
    assert desk.case(case).card is not None
    found = desk.report(GRID, concerned=child, indicators={"guardian_suspected": True})
    (event,) = only(found, ReportJoined)
    assert (event.guardian_suspected, event.no_card) == (True, "guardian-is-suspect")
    (again,) = only(
        desk.report(GRID, concerned=child, reporter=family, safe_contact={}), ReportJoined
    )
    assert again.guardian_suspected
    assert again.card is None
    assert desk.case(case).card is None


SHARED: dict[str, Any] = {"name": "李强", "phone": WANG["phone"]}
"""The other party, who has her phone."""


def shared_in_a_dispute(**fields: Any) -> tuple[Desk, str]:
    desk = Desk()
    event = desk.opens(concerned=WANG, other_party=SHARED, **fields)
    assert (event.path, event.shared) == (Path.MEDIATION, True)
    assert event.card is not None
    return desk, event.case


@pytest.mark.parametrize("word", [{}, {"safe_contact": {}}])
def test_a_phone_that_the_other_party_has_too_is_no_way_once_she_is_protected(
    word: dict[str, Any],
) -> None:
    her = {"relation": "self", "phone": WANG["phone"]}
    desk, case = shared_in_a_dispute(reporter=her, **word)
    first = channels(concerned=WANG, other_party=SHARED, reporter=her, **word, **PROTECTED)
    event = joined(desk, contact={"phone": None}, **PROTECTED)
    assert (event.card, event.no_card) == (None, first) == (None, "no-safe-contact")
    assert desk.case(case).card is None
    assert desk.folded() == desk.states


def test_what_a_later_report_calls_safe_may_be_that_phone_again() -> None:
    desk, case = shared_in_a_dispute()
    event = joined(desk, safe_contact=SAFE, **PROTECTED)
    assert (event.card, event.no_card) == (None, "no-safe-contact")
    again = joined(desk, safe_contact=SAFE)
    assert (again.card, desk.case(case).card) == (None, None)
    same = joined(desk, safe_contact=SAFE, other_party=SHARED)
    assert (same.card, desk.case(case).card) == (None, None)
    other = joined(desk, contact=REACHED, safe_contact={"allowed": ["email"]}, other_party=SHARED)
    assert desk.card(other.card).phone is None
    assert desk.case(case).card == other.card


def test_so_it_is_when_the_case_is_opened_again() -> None:
    desk, case = shared_in_a_dispute()
    desk.conclude(case)
    report = desk.report(GRID, concerned=WANG, safe_contact=SAFE)
    (again,) = only(report, CaseReopened)
    assert (again.path, again.shared) == (Path.MEDIATION, True)
    assert again.card is not None
    event = joined(desk, contact={"phone": None}, **PROTECTED)
    assert (event.card, event.no_card) == (None, "no-safe-contact")
    desk.conclude(case)
    (again,) = only(desk.report(GRID, concerned=WANG, safe_contact=SAFE), CaseReopened)
    assert (again.path, again.card, again.no_card) == (Path.PROTECTION, None, "no-safe-contact")


def test_a_card_that_the_other_party_does_not_read_stays_when_she_is_protected() -> None:
    desk = Desk()
    case = desk.opens(concerned=WANG, other_party=LI, safe_contact=SAFE)
    assert not case.shared
    event = joined(desk, contact={"phone": None}, **PROTECTED)
    assert (event.card, event.no_card) == (None, None)
    assert desk.case(case.case).card == case.card


def test_that_he_has_her_phone_may_be_known_only_later() -> None:
    desk = Desk()
    her = {"relation": "self", "phone": WANG["phone"]}
    case = desk.opens(concerned=WANG, reporter=her, safe_contact={}).case
    event = joined(desk, contact={"phone": None}, other_party=SHARED)
    assert (event.shared, event.card, event.no_card) == (True, None, None)
    assert desk.case(case).card is not None
    event = joined(desk, contact={"phone": None}, **PROTECTED)
    assert (event.card, event.no_card) == (None, "no-safe-contact")
    assert desk.folded() == desk.states
