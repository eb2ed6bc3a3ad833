"""A case in mediation, told from its opening to its end."""

from __future__ import annotations

from itertools import pairwise

from lianhu.contracts.base import Internal
from lianhu.contracts.mediation import (
    AcceptCase,
    AddNote,
    AgreementReached,
    AssignCase,
    CaseAccepted,
    CaseConcluded,
    CaseEscalated,
    CaseOffered,
    CaseOverdue,
    ConsentRecorded,
    NoteAdded,
    RecordAgreement,
    RecordConsent,
    RecordFailure,
    RecordPerformance,
    RecordVisit,
    VisitRecorded,
)
from lianhu.contracts.parts import Audience
from lianhu.contracts.vocabulary import (
    AgreementForm,
    AudienceRole,
    Category,
    DeadlineKind,
    Outcome,
    Party,
    Risk,
    VisitStep,
)
from lianhu.jurisdiction import Level, Post
from tests.mediation_desk import (
    CASE,
    CITY,
    COMMUNITY,
    DISTRICT,
    KEY,
    LADDER,
    STREET,
    Desk,
    at,
    closed,
    officer,
    opened,
)


def accepted_desk(risk: Risk = Risk.GREEN, category: Category = Category.FAMILY_DISPUTE) -> Desk:
    desk = Desk()
    desk.hand(opened(risk, category), at("2026-03-02 10:00"))
    desk.hand(AcceptCase(case=CASE, by=officer()), at("2026-03-02 10:30"))
    return desk


def consent(desk: Desk, when: str) -> None:
    for party in Party:
        desk.hand(RecordConsent(case=CASE, by=officer(), party=party, consents=True), at(when))


def test_a_case_is_settled_in_its_community() -> None:
    desk = Desk()

    (offered,) = desk.hand(opened(), at("2026-03-02 10:00"))  # a Monday
    assert isinstance(offered, CaseOffered)
    assert (offered.unit, offered.level) == (COMMUNITY, Level.COMMUNITY)
    assert offered.accept_by.at == at("2026-03-06 00:00")  # the end of Thursday, the third day
    assert offered.audience == (Audience(role=AudienceRole.OWNING_UNIT, unit=COMMUNITY),)
    assert offered.policy_version == desk.policy.version

    (accepted,) = desk.hand(AcceptCase(case=CASE, by=officer()), at("2026-03-03 09:00"))
    assert isinstance(accepted, CaseAccepted)
    assert accepted.first_visit_by.at == at("2026-03-11 00:00")  # five working days
    assert accepted.consent_by is not None
    assert accepted.consent_by.at == at("2026-03-11 00:00")
    assert accepted.conclude_by.at == at("2026-04-04 00:00")  # one month: the end of 3 April
    assert set(desk.clocks) == {"first-visit", "consent", "conclude"}

    lead = officer(Post.DUTY_OFFICER)
    desk.hand(AssignCase(case=CASE, by=lead, mediator="mediator-3"), at("2026-03-03 09:10"))
    assert desk.case.mediator == "mediator-3"

    visit = RecordVisit(
        case=CASE,
        by=officer(),
        step=VisitStep.FIND_RISKS,
        visited_at=at("2026-03-04 15:00"),
        note="The kitchen is divided by a string.",
    )
    (visited,) = desk.hand(visit, at("2026-03-04 17:00"))
    assert isinstance(visited, VisitRecorded)
    assert visited.visited_at == at("2026-03-04 15:00")
    assert visited.note is not None
    assert visited.note.reveal(lambda _: KEY) == "The kitchen is divided by a string."
    assert set(desk.clocks) == {"consent", "conclude"}

    yes = RecordConsent(case=CASE, by=officer(), party=Party.CONCERNED, consents=True)
    (said,) = desk.hand(yes, at("2026-03-05 09:00"))
    assert isinstance(said, ConsentRecorded)
    assert set(desk.clocks) == {"consent", "conclude"}, "the other party was not asked yet"
    desk.hand(yes.model_copy(update={"party": Party.OTHER}), at("2026-03-05 10:00"))
    assert set(desk.clocks) == {"conclude"}

    agree = RecordAgreement(
        case=CASE, by=officer(), form=AgreementForm.WRITTEN, terms="The flat is sold."
    )
    (agreed,) = desk.hand(agree, at("2026-03-20 16:00"))
    assert isinstance(agreed, AgreementReached)
    assert agreed.missing_steps == (VisitStep.SETTLE, VisitStep.EXPLAIN_LAW, VisitStep.SUPPORT)
    assert agreed.terms.reveal(lambda _: KEY) == "The flat is sold."
    assert desk.clocks == {}, "the agreement is what the clock asked for"

    support = RecordVisit(case=CASE, by=officer(), step=VisitStep.SUPPORT)
    (supported,) = desk.hand(support, at("2026-04-20 10:00"))
    assert isinstance(supported, VisitRecorded)
    assert supported.visited_at == at("2026-04-20 10:00"), "without a moment it is that of sending"

    (ended,) = desk.hand(RecordPerformance(case=CASE, by=officer()), at("2026-05-06 09:00"))
    assert isinstance(ended, CaseConcluded)
    assert ended.outcome is Outcome.SETTLED
    assert (ended.unit, ended.level) == (COMMUNITY, Level.COMMUNITY)
    assert ended.missing_steps == (VisitStep.SETTLE, VisitStep.EXPLAIN_LAW)
    assert desk.clocks == {}
    assert desk.state == desk.folded()


def test_nobody_accepts_and_the_case_climbs_to_the_city_and_is_named_overdue() -> None:
    desk = Desk()
    desk.hand(opened(), at("2026-03-06 09:00"))  # a Friday
    starts = ["2026-03-12 00:00", "2026-03-18 00:00", "2026-03-24 00:00"]
    ends = ["2026-03-18 00:00", "2026-03-24 00:00", "2026-03-28 00:00"]

    for (left, reached), start, end in zip(pairwise(LADDER), starts, ends, strict=True):
        assert desk.clocks == {"accept": at(start)}
        climbed = desk.miss_next()
        assert isinstance(climbed, CaseEscalated)
        assert (climbed.from_unit, climbed.from_level) == left
        assert (climbed.to_unit, climbed.to_level) == reached
        assert climbed.missed is DeadlineKind.ACCEPT
        assert climbed.due == at(start)
        assert climbed.accept_by.at == at(end), "three working days from the moment of climbing"
        assert climbed.audience == (
            Audience(role=AudienceRole.UNIT_LEFT, unit=left[0]),
            Audience(role=AudienceRole.UNIT_REACHED, unit=reached[0]),
            Audience(role=AudienceRole.PERSON_CONCERNED),
        )
        assert (desk.case.unit, desk.case.level) == reached

    overdue = desk.miss_next()
    assert isinstance(overdue, CaseOverdue)
    assert (overdue.unit, overdue.level) == (CITY, Level.CITY)
    assert overdue.due == at("2026-03-28 00:00")
    assert overdue.audience == (Audience(role=AudienceRole.OWNING_UNIT, unit=CITY),)
    assert desk.clocks == {}
    assert desk.case.overdue == (DeadlineKind.ACCEPT,)

    late = AcceptCase(case=CASE, by=officer(unit=CITY))
    (accepted,) = desk.hand(late, at("2026-04-01 09:00"))
    assert isinstance(accepted, CaseAccepted), "named overdue, and still to be worked on"
    assert set(desk.clocks) == {"first-visit", "consent", "conclude"}
    assert desk.case.overdue == (DeadlineKind.ACCEPT,)


def test_a_red_case_climbs_by_the_hour() -> None:
    desk = Desk()
    desk.hand(opened(Risk.RED), at("2026-03-07 23:30"))  # a Saturday night: hours run on

    for due in ("2026-03-08 00:30", "2026-03-08 01:30", "2026-03-08 02:30"):
        assert desk.clocks == {"accept": at(due)}
        assert isinstance(desk.miss_next(), CaseEscalated)

    assert desk.clocks == {"accept": at("2026-03-08 03:30")}
    assert isinstance(desk.miss_next(), CaseOverdue)


def test_a_case_accepted_and_not_concluded_climbs_and_starts_anew() -> None:
    desk = accepted_desk()
    lead = officer(Post.CHAIR)
    desk.hand(AssignCase(case=CASE, by=lead, mediator="mediator-3"), at("2026-03-03 09:00"))
    visit = RecordVisit(case=CASE, by=officer(), step=VisitStep.FIND_RISKS)
    desk.hand(visit, at("2026-03-04 09:00"))
    consent(desk, "2026-03-05 09:00")
    assert desk.clocks == {"conclude": at("2026-04-03 00:00")}

    climbed = desk.miss_next()

    assert isinstance(climbed, CaseEscalated)
    assert climbed.missed is DeadlineKind.CONCLUDE
    assert (climbed.to_unit, climbed.to_level) == (STREET, Level.STREET)
    # Friday 3 April is the event; Tomb Sweeping is off from 4 to 6 April
    assert climbed.accept_by.at == at("2026-04-10 00:00")
    assert desk.clocks == {"accept": at("2026-04-10 00:00")}
    assert desk.case.mediator is None
    assert desk.case.consents == (), "consent is needed again at the new level"
    assert desk.case.missing_steps == tuple(VisitStep)


def test_without_a_visit_or_the_parties_answers_the_case_climbs_once() -> None:
    desk = accepted_desk()
    first, second = sorted(
        (d for d in desk.deadlines() if d.due == at("2026-03-10 00:00")), key=lambda d: d.kind
    )
    assert (first.kind, second.kind) == ("consent", "first-visit")

    (climbed,) = desk.fire(first)
    assert isinstance(climbed, CaseEscalated)
    assert climbed.missed is DeadlineKind.CONSENT
    assert desk.fire(second) == [], "what ran out at the level that was left is answered"
    assert desk.case.level is Level.STREET


def test_after_an_outage_the_next_level_has_its_whole_time() -> None:
    desk = Desk()
    desk.hand(opened(Risk.ORANGE), at("2026-03-02 08:00"))
    assert desk.clocks == {"accept": at("2026-03-02 12:00")}

    climbed = desk.miss_next(late_until=at("2026-03-03 15:00"))

    assert isinstance(climbed, CaseEscalated)
    assert climbed.due == at("2026-03-02 12:00")
    assert desk.clocks == {"accept": at("2026-03-03 19:00")}


def test_working_days_know_the_spring_festival() -> None:
    desk = Desk()
    desk.hand(opened(), at("2026-02-12 09:00"))

    # Friday 13, the make-up Saturday 14, then the festival from 15 to 23, Tuesday 24
    assert desk.clocks == {"accept": at("2026-02-25 00:00")}


def test_a_labour_matter_has_fifteen_days_to_conclude() -> None:
    desk = accepted_desk(category=Category.LABOUR)

    assert desk.clocks["conclude"] == at("2026-03-18 00:00")


def test_a_case_of_a_district_starts_there() -> None:
    desk = Desk()
    desk.hand(
        opened(Risk.RED, Category.DOMESTIC_VIOLENCE, DISTRICT, Level.DISTRICT),
        at("2026-03-02 10:00"),
    )

    climbed = desk.miss_next()

    assert isinstance(climbed, CaseEscalated)
    assert (climbed.to_unit, climbed.to_level) == (CITY, Level.CITY)


def test_one_party_refuses_and_mediation_ends() -> None:
    desk = accepted_desk()
    no = RecordConsent(case=CASE, by=officer(), party=Party.OTHER, consents=False)

    said, ended = desk.hand(no, at("2026-03-03 09:00"))

    assert isinstance(said, ConsentRecorded)
    assert not said.consents
    assert isinstance(ended, CaseConcluded)
    assert ended.outcome is Outcome.PARTY_REFUSED
    assert desk.clocks == {}


def test_a_party_may_take_its_consent_back_until_there_is_an_agreement() -> None:
    desk = accepted_desk()
    consent(desk, "2026-03-03 09:00")
    no = RecordConsent(case=CASE, by=officer(), party=Party.CONCERNED, consents=False)

    _, ended = desk.hand(no, at("2026-03-04 09:00"))

    assert isinstance(ended, CaseConcluded)
    assert ended.outcome is Outcome.PARTY_REFUSED


def test_mediation_fails_with_a_reason_that_is_sealed() -> None:
    desk = accepted_desk()
    failure = RecordFailure(case=CASE, by=officer(), reason="They do not speak.")

    (ended,) = desk.hand(failure, at("2026-03-09 09:00"))

    assert isinstance(ended, CaseConcluded)
    assert ended.outcome is Outcome.FAILED
    assert ended.reason is not None
    assert ended.reason.reveal(lambda _: KEY) == "They do not speak."


def test_an_agreement_that_is_not_performed_has_failed() -> None:
    desk = accepted_desk()
    consent(desk, "2026-03-03 09:00")
    agree = RecordAgreement(case=CASE, by=officer(), form=AgreementForm.ORAL, terms="He pays.")
    desk.hand(agree, at("2026-03-04 09:00"))

    failure = RecordFailure(case=CASE, by=officer(), reason="He did not pay.")
    (ended,) = desk.hand(failure, at("2026-04-04 09:00"))

    assert isinstance(ended, CaseConcluded)
    assert ended.outcome is Outcome.FAILED


def test_an_edit_never_restarts_a_clock() -> None:
    desk = accepted_desk()
    before = desk.clocks

    (noted,) = desk.hand(
        AddNote(case=CASE, by=officer(), note="She called again."), at("2026-03-04 09:00")
    )
    for day, mediator in enumerate(("mediator-3", "mediator-4"), start=4):
        assign = AssignCase(case=CASE, by=officer(Post.CHAIR), mediator=mediator)
        desk.hand(assign, at(f"2026-03-0{day} 10:00"))

    assert isinstance(noted, NoteAdded)
    assert noted.note.reveal(lambda _: KEY) == "She called again."
    assert desk.clocks == before
    assert desk.case.mediator == "mediator-4"


def test_a_unit_above_may_act_for_the_unit_that_owns_the_case() -> None:
    desk = Desk()
    desk.hand(opened(), at("2026-03-02 10:00"))

    accept = AcceptCase(case=CASE, by=officer(Post.CHAIR, DISTRICT))
    (accepted,) = desk.hand(accept, at("2026-03-02 11:00"))

    assert isinstance(accepted, CaseAccepted)
    assert accepted.unit == COMMUNITY, "it stays the case of the community"


def test_a_case_opened_twice_or_closed_by_intake_changes_nothing() -> None:
    desk = accepted_desk()
    before, events = desk.state, list[Internal](desk.journal)

    assert desk.hand(opened(Risk.RED), at("2026-03-03 10:00"), publisher=None) == []
    assert desk.hand(closed(), at("2026-03-03 11:00"), publisher=None) == []
    assert desk.state == before
    assert desk.journal == events


def test_the_close_of_a_case_that_is_not_known_yet_changes_nothing() -> None:
    desk = Desk()

    assert desk.hand(closed(), at("2026-03-03 11:00"), publisher=None) == []
    assert desk.state is None
