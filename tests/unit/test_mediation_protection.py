"""A case that must not be mediated: how it is protected, and how two persons decide otherwise."""

from __future__ import annotations

import pytest

from lianhu.contracts.faults import Refused
from lianhu.contracts.mediation import (
    AcceptCase,
    AddNote,
    AssignCase,
    CaseAccepted,
    CaseCommand,
    CaseConcluded,
    CaseEscalated,
    CaseOffered,
    CaseOverdue,
    ConcludeProtection,
    GateOverridden,
    OverrideGate,
    OverrideProposed,
    PartnerAsked,
    RecordAgreement,
    RecordConsent,
    RecordFailure,
    RecordPerformance,
    RecordVisit,
)
from lianhu.contracts.parts import Audience
from lianhu.contracts.vocabulary import (
    AgreementForm,
    AudienceRole,
    DeadlineKind,
    Ground,
    Outcome,
    Party,
    Path,
    VisitStep,
)
from lianhu.jurisdiction import Level, Post
from lianhu.mediation.workflow.state import Status
from tests.mediation_desk import (
    CASE,
    CITY,
    COMMUNITY,
    DISTRICT,
    KEY,
    POLICY,
    STREET,
    Desk,
    at,
    card,
    joined,
    officer,
    opened,
    protected,
)

CHAIR = officer(Post.CHAIR, DISTRICT, "officer-1")
MEDIATOR = officer(Post.MEDIATOR, DISTRICT, "officer-2")
ACCEPT = AcceptCase(case=CASE, by=CHAIR)
CONCLUDE = ConcludeProtection(case=CASE, by=CHAIR, note="She lives with her sister now.")
CONSENT = RecordConsent(case=CASE, by=CHAIR, party=Party.CONCERNED, consents=True)
AGREE = RecordAgreement(case=CASE, by=CHAIR, form=AgreementForm.ORAL, terms="-")
PERFORM = RecordPerformance(case=CASE, by=CHAIR)
FAIL = RecordFailure(case=CASE, by=CHAIR, reason="-")
PROPOSE = OverrideGate(case=CASE, by=CHAIR, reason="He left the city.", wish="She wants to talk.")
CONFIRM = PROPOSE.model_copy(update={"by": MEDIATOR})
MONDAY = at("2026-03-02 10:00")


def protected_desk(*commands: CaseCommand) -> Desk:
    """A protected case in the district, after some commands."""
    desk = Desk()
    desk.hand(protected(known=card()), MONDAY, publisher=None)
    for command in commands:
        desk.hand(command, at("2026-03-02 10:30"))
    return desk


def refused(desk: Desk, command: CaseCommand) -> list[str]:
    before, events = desk.state, len(desk.journal)
    with pytest.raises(Refused) as refusal:
        desk.hand(command, at("2026-03-02 12:00"))
    assert desk.state == before
    assert len(desk.journal) == events
    return [f"{fault.path} {fault.slug}" for fault in refusal.value.faults]


def test_a_protected_case_is_offered_to_the_district_and_told_with_care() -> None:
    desk = Desk()
    offered, asked = desk.hand(protected(known=card()), MONDAY, publisher=None)

    assert isinstance(offered, CaseOffered)
    assert (offered.unit, offered.level, offered.path) == (
        DISTRICT,
        Level.DISTRICT,
        Path.PROTECTION,
    )
    assert offered.accept_by.at == at("2026-03-02 11:00")
    assert offered.audience == (
        Audience(role=AudienceRole.OWNING_UNIT, unit=DISTRICT),
        Audience(role=AudienceRole.INFORMED_UNIT, unit=STREET),
        Audience(role=AudienceRole.INFORMED_UNIT, unit=COMMUNITY),
        Audience(role=AudienceRole.PERSON_CONCERNED, card=offered.card, neutral=True),
    )
    assert isinstance(asked, PartnerAsked), "the police at once"


def test_a_person_without_a_card_is_not_told_and_the_reason_travels() -> None:
    desk = Desk()
    offered, _ = desk.hand(protected(no_card="no-safe-contact"), MONDAY, publisher=None)
    (accepted,) = desk.hand(ACCEPT, MONDAY)

    for event in (offered, accepted):
        assert isinstance(event, CaseOffered | CaseAccepted)
        assert event.audience[-1] == Audience(
            role=AudienceRole.PERSON_CONCERNED, neutral=True, withheld="no-safe-contact"
        )


def test_protection_is_accepted_worked_on_and_concluded() -> None:
    desk = protected_desk()

    (accepted,) = desk.hand(ACCEPT, at("2026-03-02 10:30"))
    assert isinstance(accepted, CaseAccepted)
    assert accepted.consent_by is None, "nobody is asked to mediate"
    assert accepted.first_visit_by.at == at("2026-03-03 10:30"), "a day when the risk is red"
    assert accepted.conclude_by.at == at("2026-03-18 00:00")
    assert {"first-visit", "conclude"} == {kind for kind, _ in desk.case.clocks}

    desk.hand(AssignCase(case=CASE, by=CHAIR, mediator="worker-3"), at("2026-03-02 11:00"))
    visit = RecordVisit(case=CASE, by=CHAIR, step=VisitStep.FIND_RISKS)
    desk.hand(visit, at("2026-03-02 15:00"))
    assert {"conclude"} == {kind for kind, _ in desk.case.clocks}
    desk.hand(AddNote(case=CASE, by=CHAIR, note="The lock is new."), at("2026-03-03 09:00"))

    (ended,) = desk.hand(CONCLUDE, at("2026-03-10 09:00"))
    assert isinstance(ended, CaseConcluded)
    assert ended.outcome is Outcome.PROTECTED
    assert ended.reason is not None
    assert ended.reason.reveal(lambda _: KEY) == "She lives with her sister now."
    assert ended.audience[1].neutral
    assert desk.clocks == {}


@pytest.mark.parametrize("command", [CONSENT, AGREE, PERFORM, FAIL])
@pytest.mark.parametrize("before", [(), (ACCEPT,), (ACCEPT, CONCLUDE)], ids=len)
def test_a_protected_case_is_not_mediated(
    command: CaseCommand, before: tuple[CaseCommand, ...]
) -> None:
    assert refused(protected_desk(*before), command) == ["/case not-mediated"]


@pytest.mark.parametrize("command", [CONCLUDE, PROPOSE])
def test_a_case_in_mediation_has_no_gate_to_override(command: CaseCommand) -> None:
    desk = Desk()
    desk.hand(opened(), MONDAY, publisher=None)

    assert refused(desk, command) == ["/case not-protected"]


def test_protection_is_concluded_by_whoever_accepted_it() -> None:
    assert refused(protected_desk(), CONCLUDE) == ["/case not-accepted"]
    assert refused(protected_desk(ACCEPT, CONCLUDE), CONCLUDE) == ["/case already-concluded"]


def test_a_protected_case_that_nobody_accepts_climbs_and_is_named() -> None:
    desk = protected_desk()
    (accept,) = [one for one in desk.deadlines() if one.kind == "accept"]

    (climbed,) = desk.fire(accept)

    assert isinstance(climbed, CaseEscalated)
    assert (climbed.to_unit, climbed.accept_by.at) == (CITY, at("2026-03-02 12:00"))
    assert [one.role for one in climbed.audience] == [
        AudienceRole.UNIT_LEFT,
        AudienceRole.UNIT_REACHED,
        AudienceRole.PERSON_CONCERNED,
    ]
    assert climbed.audience[-1].neutral
    (again,) = [one for one in desk.deadlines() if one.kind == "accept"]
    (named,) = desk.fire(again)
    assert isinstance(named, CaseOverdue)
    assert desk.case.overdue == (DeadlineKind.ACCEPT,)


def test_two_persons_may_decide_that_it_is_mediated() -> None:
    desk = protected_desk(ACCEPT)

    (proposed,) = desk.hand(PROPOSE, at("2026-03-03 09:00"))
    assert isinstance(proposed, OverrideProposed)
    assert proposed.wish.reveal(lambda _: KEY) == "She wants to talk."
    assert desk.case.path is Path.PROTECTION, "one person decides nothing"

    (decided,) = desk.hand(CONFIRM, at("2026-03-03 10:00"))
    assert isinstance(decided, GateOverridden)
    assert (decided.proposed_by, decided.by) == (CHAIR, MEDIATOR)
    assert (desk.case.status, desk.case.path) == (Status.OFFERED, Path.MEDIATION)
    assert (desk.case.unit, desk.case.level) == (DISTRICT, Level.DISTRICT)
    assert desk.case.clocks == ((DeadlineKind.ACCEPT, at("2026-03-03 11:00")),)
    assert desk.case.grounds == (Ground.VIOLENCE_WITH_INJURY,), "what was found stays known"

    desk.hand(ACCEPT, at("2026-03-03 10:30"))
    assert len(desk.hand(CONSENT, at("2026-03-03 10:40"))) == 1


def test_one_person_does_not_confirm_their_own_proposal() -> None:
    desk = protected_desk(PROPOSE)
    promoted = PROPOSE.model_copy(update={"by": officer(Post.LAWYER, CITY, "officer-1")})

    assert refused(desk, PROPOSE) == ["/by/officer second-person-needed"]
    assert refused(desk, promoted) == ["/by/officer second-person-needed"]


@pytest.mark.parametrize(
    ("by", "fault"),
    [
        (officer(Post.SOCIAL_WORKER, DISTRICT, "officer-3"), "/by/post post-may-not"),
        (officer(Post.CHAIR, STREET, "officer-3"), "/by/unit wrong-unit"),
        (officer(Post.CHAIR, "440305000000", "officer-3"), "/by/unit wrong-unit"),
    ],
)
def test_the_second_person_is_of_the_branch_and_of_a_post_that_may(by: object, fault: str) -> None:
    desk = protected_desk(PROPOSE)

    assert refused(desk, PROPOSE.model_copy(update={"by": by})) == [fault]


def test_an_override_has_a_reason_and_the_person_s_own_wish() -> None:
    blank = PROPOSE.model_copy(update={"reason": " ", "wish": "\n"})

    assert refused(protected_desk(), blank) == ["/reason blank", "/wish blank"]


def test_a_concluded_case_is_not_overridden() -> None:
    assert refused(protected_desk(ACCEPT, CONCLUDE), PROPOSE) == ["/case already-concluded"]


def test_a_proposal_ends_when_the_case_climbs_or_becomes_graver() -> None:
    climbed = protected_desk(PROPOSE)
    (accept,) = [one for one in climbed.deadlines() if one.kind == "accept"]
    climbed.fire(accept)
    graver = protected_desk(PROPOSE)
    graver.hand(joined(Ground.COERCION), at("2026-03-02 10:40"), publisher=None)

    for desk in (climbed, graver):
        confirm = CONFIRM.model_copy(update={"by": officer(Post.CHAIR, CITY, "officer-2")})
        (proposed,) = desk.hand(confirm, at("2026-03-02 11:30"))
        assert isinstance(proposed, OverrideProposed)


def test_no_clock_of_protection_gives_more_time_than_that_of_mediation() -> None:
    for start in (MONDAY, at("2026-03-06 16:00"), at("2026-02-13 09:00")):
        for key, ordinary in POLICY.periods.items():
            own = POLICY.after(start, POLICY.protection[key]).at
            assert own <= POLICY.after(start, ordinary).at, key
