"""A further report about a known case: it may become graver and sooner, never milder or later."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from lianhu.contracts.base import Internal
from lianhu.contracts.faults import Refused
from lianhu.contracts.intake import CaseLinked, CaseSplit
from lianhu.contracts.mediation import (
    AcceptCase,
    AgreementReached,
    CardRenewed,
    CaseAccepted,
    CaseCommand,
    CaseConcluded,
    CaseEscalated,
    CaseEvent,
    CaseOffered,
    ConcludeProtection,
    GateOverridden,
    MovedToProtection,
    OverrideGate,
    PartnerAsked,
    RecordAgreement,
    RecordConsent,
    RecordFailure,
    RecordPerformance,
    RiskRaised,
)
from lianhu.contracts.parts import Audience
from lianhu.contracts.vocabulary import (
    AgreementForm,
    AudienceRole,
    DeadlineKind,
    Ground,
    Party,
    Path,
    Risk,
)
from lianhu.jurisdiction import Level, Post
from lianhu.mediation.workflow.state import Clock, Status
from lianhu.privacy import Sealed
from tests.mediation_desk import (
    CASE,
    CITY,
    COMMUNITY,
    DISTRICT,
    STREET,
    Desk,
    at,
    card,
    joined,
    officer,
    opened,
    protected,
    reopened,
)

MONDAY = at("2026-03-02 10:00")
CHAIR = officer(Post.CHAIR, CITY, "officer-1")
OTHER_CHAIR = officer(Post.CHAIR, CITY, "officer-2")
ACCEPT = AcceptCase(case=CASE, by=CHAIR)
BOTH = tuple(RecordConsent(case=CASE, by=CHAIR, party=party, consents=True) for party in Party)
AGREE = RecordAgreement(case=CASE, by=CHAIR, form=AgreementForm.ORAL, terms="He pays.")
PERFORM = RecordPerformance(case=CASE, by=CHAIR)
CONCLUDE = ConcludeProtection(case=CASE, by=CHAIR, note="She lives with her sister now.")
FAIL = RecordFailure(case=CASE, by=CHAIR, reason="-")
OVERRIDE = OverrideGate(case=CASE, by=CHAIR, reason="-", wish="-")
WEAPON = joined(Ground.GRAVE_DANGER, risk=Risk.RED)


def desk_with(first: Internal, *commands: CaseCommand, moment: str = "2026-03-02 10:05") -> Desk:
    desk = Desk()
    desk.hand(first, MONDAY, publisher=None)
    for command in commands:
        desk.hand(command, at(moment))
    return desk


def tell(desk: Desk, report: Internal, moment: str) -> list[Internal]:
    return desk.hand(report, at(moment), publisher=None)


def kinds(events: Sequence[Internal]) -> list[type[Internal]]:
    return [type(event) for event in events]


def test_graver_risk_leaves_less_time_to_accept() -> None:
    desk = desk_with(opened(Risk.GREEN))
    assert desk.clocks == {"accept": at("2026-03-06 00:00")}

    (raised,) = tell(desk, joined(risk=Risk.ORANGE), "2026-03-02 11:00")

    assert isinstance(raised, RiskRaised)
    assert (raised.risk, raised.path) == (Risk.ORANGE, Path.MEDIATION)
    assert raised.reasons == ("a neighbour heard blows",)
    assert raised.audience == (Audience(role=AudienceRole.OWNING_UNIT, unit=COMMUNITY),)
    assert raised.accept_by is not None
    assert raised.accept_by.at == at("2026-03-02 15:00")
    assert desk.clocks == {"accept": at("2026-03-02 15:00")}


def test_graver_risk_never_gives_more_time() -> None:
    desk = desk_with(opened(Risk.ORANGE))
    assert desk.clocks == {"accept": at("2026-03-02 14:00")}

    (raised,) = tell(desk, joined(risk=Risk.RED), "2026-03-02 13:30")

    assert isinstance(raised, RiskRaised)
    assert desk.case.risk is Risk.RED
    assert desk.clocks == {"accept": at("2026-03-02 14:00")}, "not half past two"


@pytest.mark.parametrize("risk", [Risk.GREEN, Risk.YELLOW, Risk.ORANGE])
def test_a_report_that_says_nothing_graver_changes_nothing(risk: Risk) -> None:
    desk = desk_with(opened(Risk.ORANGE))
    before = desk.state

    assert tell(desk, joined(risk=risk), "2026-03-02 11:00") == []
    assert desk.state == before


def test_an_accepted_case_keeps_its_clocks_when_its_risk_is_raised() -> None:
    desk = desk_with(opened(), ACCEPT)
    before = desk.clocks

    (raised,) = tell(desk, joined(risk=Risk.RED), "2026-03-03 09:00")

    assert isinstance(raised, RiskRaised)
    assert raised.accept_by is None
    assert desk.clocks == before
    assert desk.case.risk is Risk.RED


@pytest.mark.parametrize(
    "commands", [(), (ACCEPT,), (ACCEPT, *BOTH), (ACCEPT, *BOTH, AGREE)], ids=len
)
def test_a_case_in_mediation_moves_to_protection(commands: tuple[CaseCommand, ...]) -> None:
    desk = desk_with(opened(), *commands)

    raised, moved, asked = tell(desk, WEAPON, "2026-03-02 11:00")

    assert isinstance(raised, RiskRaised)
    assert raised.audience == (), "the move says it"
    assert isinstance(moved, MovedToProtection)
    assert (moved.from_unit, moved.to_unit) == (COMMUNITY, DISTRICT)
    assert moved.audience == (
        Audience(role=AudienceRole.UNIT_LEFT, unit=COMMUNITY),
        Audience(role=AudienceRole.UNIT_REACHED, unit=DISTRICT),
        Audience(role=AudienceRole.INFORMED_UNIT, unit=STREET),
        Audience(role=AudienceRole.PERSON_CONCERNED, neutral=True),
    )
    assert isinstance(asked, PartnerAsked)
    assert asked.unit == DISTRICT
    assert (desk.case.status, desk.case.path) == (Status.OFFERED, Path.PROTECTION)
    assert (desk.case.unit, desk.case.level) == (DISTRICT, Level.DISTRICT)
    assert desk.case.clocks == (Clock(DeadlineKind.ACCEPT, at("2026-03-02 12:00")),)
    assert desk.case.consents == ()


@pytest.mark.parametrize(
    ("climbs", "owner"), [(2, (DISTRICT, Level.DISTRICT)), (3, (CITY, Level.CITY))]
)
def test_a_case_that_has_climbed_to_the_district_or_further_stays(
    climbs: int, owner: tuple[str, Level]
) -> None:
    desk = desk_with(opened())
    for _ in range(climbs):
        desk.miss_next()
    desk.hand(ACCEPT, at("2026-03-23 09:00"))

    _, moved, _ = tell(desk, WEAPON, "2026-03-23 11:00")

    assert isinstance(moved, MovedToProtection)
    assert moved.from_unit == moved.to_unit == owner[0]
    assert moved.audience == (
        Audience(role=AudienceRole.OWNING_UNIT, unit=owner[0]),
        Audience(role=AudienceRole.PERSON_CONCERNED, neutral=True),
    )
    assert (desk.case.unit, desk.case.level) == owner
    assert desk.case.clocks == (Clock(DeadlineKind.ACCEPT, at("2026-03-23 12:00")),)


def test_a_move_where_the_case_stays_gives_no_more_time() -> None:
    desk = desk_with(opened(Risk.RED, unit=DISTRICT, level=Level.DISTRICT))

    tell(desk, joined(Ground.COERCION, risk=Risk.RED), "2026-03-02 10:40")

    assert desk.case.protected
    assert desk.case.accept_by == at("2026-03-02 11:00")


def test_a_case_that_was_overdue_at_the_city_has_a_clock_again() -> None:
    desk = desk_with(opened(Risk.RED, unit=CITY, level=Level.CITY))
    desk.miss_next()
    assert desk.case.overdue == (DeadlineKind.ACCEPT,)

    (raised,) = tell(desk, joined(risk=Risk.RED, minor=True), "2026-03-02 11:30")[:1]
    assert isinstance(raised, RiskRaised)
    assert desk.case.accept_by is None, "graver alone starts nothing anew"
    tell(desk, WEAPON, "2026-03-02 12:00")
    assert desk.clocks["accept"] == at("2026-03-02 13:00")
    assert not desk.case.overdue


def test_what_two_persons_knew_does_not_undo_their_word_and_news_does() -> None:
    desk = desk_with(protected(), OVERRIDE, OVERRIDE.model_copy(update={"by": OTHER_CHAIR}))
    assert isinstance(desk.journal[-1], GateOverridden)
    again = joined(Ground.VIOLENCE_WITH_INJURY, risk=Risk.RED)

    assert tell(desk, again, "2026-03-02 10:20") == []
    assert desk.case.path is Path.MEDIATION

    events = tell(desk, joined(Ground.COERCION, risk=Risk.RED), "2026-03-02 10:30")
    assert kinds(events) == [RiskRaised, MovedToProtection], "the police's first answer is awaited"
    assert desk.case.overridden is False
    assert desk.case.grounds == (Ground.VIOLENCE_WITH_INJURY, Ground.COERCION)
    desk.hand(OVERRIDE, at("2026-03-02 10:40"))
    assert desk.case.protected, "one person does not undo it"


def test_a_report_that_came_while_the_case_was_concluded_has_it_offered_anew() -> None:
    desk = desk_with(opened(), ACCEPT, FAIL)

    (offered,) = tell(desk, joined(risk=Risk.YELLOW), "2026-03-02 10:06")
    assert isinstance(offered, CaseOffered)
    assert (offered.unit, offered.risk) == (COMMUNITY, Risk.YELLOW)
    assert (desk.case.status, desk.case.reopened) == (Status.OFFERED, 1)

    graver = desk_with(opened(), ACCEPT, FAIL)
    offer, asked = tell(graver, WEAPON, "2026-03-02 10:06")
    assert isinstance(offer, CaseOffered)
    assert (offer.unit, offer.level, offer.path) == (DISTRICT, Level.DISTRICT, Path.PROTECTION)
    assert isinstance(asked, PartnerAsked)


@pytest.mark.parametrize("ended", [(), (ACCEPT,), (ACCEPT, FAIL), (ACCEPT, *BOTH, AGREE, PERFORM)])
def test_a_reopened_case_starts_again_with_its_history(ended: tuple[CaseCommand, ...]) -> None:
    desk = desk_with(opened(), *ended)

    offered, asked = desk.hand(reopened(protected()), at("2026-05-06 09:00"), publisher=None)

    assert isinstance(offered, CaseOffered)
    assert isinstance(asked, PartnerAsked)
    assert (desk.case.status, desk.case.unit) == (Status.OFFERED, DISTRICT)
    assert desk.case.clocks == (Clock(DeadlineKind.ACCEPT, at("2026-05-06 10:00")),)
    assert desk.case.reopened == 1
    assert desk.case.agreement == (AGREE in ended), "that its file is kept is not forgotten"
    assert desk.case.consents == ()


def test_a_protected_case_that_is_reopened_by_a_mild_report_stays_protected() -> None:
    desk = desk_with(protected(Ground.ORDER_IN_FORCE), ACCEPT, CONCLUDE)

    offered = desk.hand(reopened(opened()), at("2026-05-06 09:00"), publisher=None)[0]

    assert isinstance(offered, CaseOffered)
    assert (offered.path, offered.grounds) == (Path.PROTECTION, (Ground.ORDER_IN_FORCE,))
    assert (offered.unit, offered.level) == (DISTRICT, Level.DISTRICT)
    assert told(offered) == Audience(role=AudienceRole.PERSON_CONCERNED, neutral=True)
    with pytest.raises(Refused):
        desk.hand(AGREE, at("2026-05-06 10:00"))


def test_cases_that_are_linked_or_split_go_on_as_they_are() -> None:
    desk = desk_with(opened(), ACCEPT)
    before = desk.state
    other = "440304-2026-000124"
    linked = CaseLinked(case=CASE, other=other, reason="reporter-is-other-party")
    split = CaseSplit(case=CASE, joined="2" * 32, new=other, by=CHAIR, reason=Sealed.hold("-"))

    for told in (linked, split):
        assert tell(desk, told, "2026-03-03 09:00") == []
        assert desk.state == before
        assert tell(Desk(), told, "2026-03-03 09:00") == []


# how the person may be told


def told(event: Internal) -> Audience | None:
    """As what the person hears of it."""
    assert isinstance(event, CaseEvent)
    persons = [one for one in event.audience if one.role is AudienceRole.PERSON_CONCERNED]
    assert len(persons) <= 1
    return persons[0] if persons else None


def test_the_card_travels_into_every_event_that_tells_the_person() -> None:
    desk = desk_with(opened(known=card()), ACCEPT)
    desk.miss_next()
    for command in (ACCEPT, *BOTH, AGREE, PERFORM):
        desk.hand(command, at("2026-03-12 09:00"))

    hear = (CaseAccepted, CaseEscalated, AgreementReached, CaseConcluded)
    for event in desk.journal:
        person = Audience(role=AudienceRole.PERSON_CONCERNED, card=desk.case.card)
        assert told(event) == (person if isinstance(event, hear) else None)
    assert {type(event) for event in desk.journal}.issuperset(hear)


def test_a_card_of_a_higher_version_replaces_the_known_one() -> None:
    desk = desk_with(opened(known=card(2)), ACCEPT)
    newer, older = card(3), card(1)

    assert tell(desk, joined(known=older), "2026-03-02 11:00") == []
    (renewed,) = tell(desk, joined(known=newer), "2026-03-02 11:05")
    assert isinstance(renewed, CardRenewed)
    assert renewed.audience == (), "nobody is told of it"
    assert desk.case.card == newer

    tell(desk, joined(risk=Risk.RED, known=card(4)), "2026-03-02 11:10")
    assert desk.case.card is not None
    assert desk.case.card.version == 4, "it travels with the graver risk too"


@pytest.mark.parametrize("reason", ["guardian-is-suspect", "no-safe-contact"])
def test_a_reason_to_use_no_card_takes_the_known_one_away(reason: str) -> None:
    desk = desk_with(opened(known=card()))

    (renewed,) = tell(desk, joined(no_card=reason), "2026-03-02 11:00")
    assert isinstance(renewed, CardRenewed)
    (accepted,) = desk.hand(ACCEPT, at("2026-03-02 11:10"))
    audience = told(accepted)
    assert audience is not None
    assert (audience.card, audience.withheld) == (None, reason)

    assert tell(desk, joined(), "2026-03-02 11:20") == [], "a report that says nothing of it"
    assert desk.case.no_card == reason


def test_a_report_that_is_split_off_takes_its_card_with_it() -> None:
    desk = desk_with(opened(known=card()), ACCEPT)
    tell(desk, joined(known=card(2)), "2026-03-02 11:00")
    split = CaseSplit(
        case=CASE,
        new="440304-2026-000124",
        joined="2" * 32,
        by=CHAIR,
        reason=Sealed.hold("-"),
        card=card(3),
    )

    (renewed,) = tell(desk, split, "2026-03-02 12:00")
    assert isinstance(renewed, CardRenewed)
    assert desk.case.card == split.card

    none_left = split.model_copy(update={"card": None, "no_card": "no-contact-card"})
    tell(desk, none_left, "2026-03-02 12:10")
    assert (desk.case.card, desk.case.no_card) == (None, "no-contact-card")
