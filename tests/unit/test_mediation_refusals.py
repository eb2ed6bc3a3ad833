"""What mediation says no to, by path and slug, every fault at once."""

from __future__ import annotations

import pytest

from lianhu.contracts.faults import Poison, Refused
from lianhu.contracts.mediation import (
    AcceptCase,
    AddNote,
    AssignCase,
    CaseCommand,
    RecordAgreement,
    RecordConsent,
    RecordFailure,
    RecordPerformance,
    RecordVisit,
)
from lianhu.contracts.parts import Officer
from lianhu.contracts.publishers import Publisher
from lianhu.contracts.vocabulary import AgreementForm, Party, VisitStep
from lianhu.eventing.rules import EffectEnded
from lianhu.jurisdiction import Level, Post
from tests.mediation_desk import (
    CASE,
    COMMUNITY,
    DISTRICT,
    OFFICERS,
    STREET,
    Desk,
    at,
    officer,
    opened,
)

NOON = at("2026-03-03 12:00")
NANSHAN = "440305000000"
CONSENT = RecordConsent(case=CASE, by=officer(), party=Party.CONCERNED, consents=True)
VISIT = RecordVisit(case=CASE, by=officer(), step=VisitStep.SETTLE, visited_at=NOON)
AGREE = RecordAgreement(case=CASE, by=officer(), form=AgreementForm.ORAL, terms="He pays.")
PERFORM = RecordPerformance(case=CASE, by=officer())
FAIL = RecordFailure(case=CASE, by=officer(), reason="They do not speak.")
ACCEPT = AcceptCase(case=CASE, by=officer())
NOTE = AddNote(case=CASE, by=officer(), note="She called.")


def assign(mediator: str = "mediator-3", by: Officer | None = None) -> AssignCase:
    return AssignCase(case=CASE, by=by or officer(Post.CHAIR), mediator=mediator)


def desk_at(status: str) -> Desk:
    """A case as far as its status says, on the morning of 3 March."""
    desk = Desk()
    desk.hand(opened(), at("2026-03-02 10:00"))
    other = CONSENT.model_copy(update={"party": Party.OTHER})
    steps: dict[str, list[CaseCommand]] = {
        "offered": [],
        "accepted": [ACCEPT],
        "agreed": [ACCEPT, CONSENT, other, AGREE],
        "concluded": [ACCEPT, FAIL],
    }
    for command in steps[status]:
        desk.hand(command, at("2026-03-03 09:00"))
    return desk


def refused(desk: Desk, command: CaseCommand, publisher: Publisher = OFFICERS) -> list[str]:
    """The faults as `path slug`; the case stays as it was."""
    before, events = desk.state, len(desk.journal)
    with pytest.raises(Refused) as refusal:
        desk.hand(command, NOON, publisher)
    assert desk.state == before
    assert len(desk.journal) == events
    return [f"{fault.path} {fault.slug}" for fault in refusal.value.faults]


@pytest.mark.parametrize(
    ("status", "command", "slug"),
    [
        ("offered", assign(), "not-accepted"),
        ("offered", CONSENT, "not-accepted"),
        ("offered", VISIT, "not-accepted"),
        ("offered", PERFORM, "not-accepted"),
        ("offered", FAIL, "not-accepted"),
        ("accepted", ACCEPT, "already-accepted"),
        ("accepted", PERFORM, "not-agreed"),
        ("accepted", AGREE, "consent-missing"),
        ("agreed", ACCEPT, "already-accepted"),
        ("agreed", AGREE, "already-agreed"),
        ("agreed", CONSENT.model_copy(update={"consents": False}), "already-agreed"),
        ("concluded", ACCEPT, "already-concluded"),
        ("concluded", assign(), "already-concluded"),
        ("concluded", CONSENT, "already-concluded"),
        ("concluded", VISIT, "already-concluded"),
        ("concluded", PERFORM, "already-concluded"),
        ("concluded", FAIL, "already-concluded"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, CaseCommand) else str(value),
)
def test_a_command_at_the_wrong_time(status: str, command: CaseCommand, slug: str) -> None:
    assert refused(desk_at(status), command) == [f"/case {slug}"]


@pytest.mark.parametrize("status", ["offered", "accepted", "agreed", "concluded"])
def test_a_note_is_never_too_early_or_too_late(status: str) -> None:
    assert len(desk_at(status).hand(NOTE, NOON)) == 1


def test_an_agreement_needs_the_consent_of_both() -> None:
    desk = desk_at("accepted")
    desk.hand(CONSENT, NOON)

    assert refused(desk, AGREE) == ["/case consent-missing"]


def test_the_consent_given_to_one_level_is_not_given_to_the_next() -> None:
    desk = desk_at("accepted")
    for party in Party:
        desk.hand(CONSENT.model_copy(update={"party": party}), NOON)
    desk.miss_next()
    by_street = officer(unit=STREET)
    desk.hand(ACCEPT.model_copy(update={"by": by_street}), NOON)

    assert refused(desk, AGREE.model_copy(update={"by": by_street})) == ["/case consent-missing"]


@pytest.mark.parametrize(
    "command", [CONSENT, VISIT, assign()], ids=["consent", "visit", "mediator"]
)
def test_what_is_recorded_already(command: CaseCommand) -> None:
    desk = desk_at("accepted")
    desk.hand(command, NOON)

    assert refused(desk, command) == ["/case already-recorded"]


def test_a_step_may_be_visited_again() -> None:
    desk = desk_at("accepted")
    desk.hand(VISIT, NOON)

    again = VISIT.model_copy(update={"visited_at": at("2026-03-03 11:00")})
    assert len(desk.hand(again, NOON)) == 1


def test_a_visit_lies_not_in_the_future() -> None:
    desk = desk_at("accepted")
    later = VISIT.model_copy(update={"visited_at": at("2026-03-03 12:01")})

    assert refused(desk, later) == ["/visited_at in-the-future"]


def test_a_post_that_may_not() -> None:
    desk = desk_at("offered")
    accept = ACCEPT.model_copy(update={"by": officer(Post.FINANCE)})

    assert refused(desk, accept) == ["/by/post post-may-not"]


@pytest.mark.parametrize("unit", [NANSHAN, "440304001019"], ids=["district", "community"])
def test_a_unit_of_another_branch(unit: str) -> None:
    desk = desk_at("offered")

    accept = ACCEPT.model_copy(update={"by": officer(unit=unit)})
    assert refused(desk, accept) == ["/by/unit wrong-unit"]


def test_the_unit_that_the_case_has_left_may_not_act_any_more() -> None:
    desk = desk_at("offered")
    desk.miss_next()

    assert refused(desk, ACCEPT) == ["/by/unit wrong-unit"]


def test_a_unit_that_nobody_knows() -> None:
    desk = desk_at("offered")

    accept = ACCEPT.model_copy(update={"by": officer(unit="440304999999")})
    assert refused(desk, accept) == ["/by/unit unknown-unit"]


def test_a_system_speaks_only_for_units_within_its_own() -> None:
    desk = desk_at("offered")
    of_street = OFFICERS.model_copy(update={"unit": STREET})
    of_nanshan = OFFICERS.model_copy(update={"unit": NANSHAN})
    by_district = ACCEPT.model_copy(update={"by": officer(unit=DISTRICT)})

    assert refused(desk, by_district, of_street) == ["/by/unit unit-not-of-publisher"]
    assert refused(desk, ACCEPT, of_nanshan) == ["/by/unit unit-not-of-publisher"]
    by_street = ACCEPT.model_copy(update={"by": officer(unit=STREET)})
    assert len(desk.hand(by_street, NOON, of_street)) == 1, "its own unit is within"


def test_every_fault_is_named_at_once() -> None:
    desk = desk_at("offered")
    of_futian = OFFICERS.model_copy(update={"unit": DISTRICT})
    later = at("2026-03-09 09:00")
    visit = VISIT.model_copy(update={"by": officer(Post.FINANCE, NANSHAN), "visited_at": later})

    assert refused(desk, visit, of_futian) == [
        "/by/post post-may-not",
        "/by/unit wrong-unit",
        "/by/unit unit-not-of-publisher",
        "/case not-accepted",
        "/visited_at in-the-future",
    ]
    assert refused(desk, AGREE) == ["/case not-accepted", "/case consent-missing"]


def test_a_command_for_a_case_that_nobody_opened() -> None:
    assert refused(Desk(), ACCEPT) == ["/case unknown-case"]


@pytest.mark.parametrize(
    ("unit", "level", "slug"),
    [
        (NANSHAN, Level.DISTRICT, "outside-area"),
        ("440304999999", Level.COMMUNITY, "unknown-division"),
        (COMMUNITY, Level.STREET, "wrong-level"),
    ],
)
def test_a_case_that_no_unit_here_could_own_is_parked(unit: str, level: Level, slug: str) -> None:
    with pytest.raises(Poison) as poison:
        Desk().hand(opened(unit=unit, level=level), NOON, publisher=None)
    assert poison.value.slug == slug


def test_a_message_of_another_kind_is_parked() -> None:
    effect = EffectEnded(stream=f"case/{CASE}", ref="r", attempt=1, outcome="done")
    with pytest.raises(Poison, match="not-for-mediation"):
        Desk().hand(effect, NOON, publisher=None)
