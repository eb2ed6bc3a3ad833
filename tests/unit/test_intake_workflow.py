"""The rules of intake: a report becomes a case or is refused, a concluded case is closed once."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest

from lianhu.contracts.base import Internal, Model
from lianhu.contracts.faults import Fault, Poison, Refused
from lianhu.contracts.intake import CaseClosed, CaseOpened, ReportAccepted, ReportSubmitted
from lianhu.contracts.mediation import AddNote, CaseConcluded
from lianhu.contracts.parts import Account, Officer
from lianhu.contracts.publishers import Publisher, Publishers
from lianhu.contracts.vocabulary import AudienceRole, Category, Outcome, Risk
from lianhu.eventing.rules import DeadlineReached, Message, Stream, case_stream
from lianhu.intake import workflow
from lianhu.intake.policy import Policy
from lianhu.intake.settings import Settings
from lianhu.intake.state import CaseState, Status
from lianhu.jurisdiction import Divisions, Kind, Level, Post

POLICY = Policy.load(Settings())
NOW = datetime(2026, 3, 2, 3, 0, tzinfo=UTC)
FUTIAN, LUOHU, SHENZHEN = "440304000000", "440303000000", "440300000000"
COMMUNITY = next(
    unit
    for unit in Divisions.shenzhen().descendants(FUTIAN)
    if unit.level is Level.COMMUNITY and unit.kind is Kind.UNIT
)
CASE = "440304-2026-000001"
BY = Officer(officer="o-1", post=Post.MEDIATOR, unit=FUTIAN)


class Ids:
    """Ids as the engine gives them for one message."""

    def __init__(self, number: str = CASE) -> None:
        self.number = number

    def case_number(self) -> str:
        return self.number

    def opaque(self, label: str) -> str:
        return "ab" * 16

    def person(self, label: str) -> str:
        return "ab" * 16


def hotline() -> Publisher:
    publisher = Publishers.read().get("hotline-futian")
    assert publisher is not None
    return publisher


def message(data: Model, at: datetime = NOW, publisher: Publisher | None = None) -> Message:
    return Message(id="r-1", type=data.type_, data=data, time=at, source="x", publisher=publisher)


def report(**fields: Any) -> Message:
    given = {"channel": "walk-in", "narrative": "夫妻为家务吵架，想离婚"} | fields
    return message(ReportSubmitted.model_validate(given), publisher=hotline())


def at(division: str) -> Message:
    return report(place={"division": division})


def concluded(case: str = CASE, outcome: Outcome = Outcome.SETTLED) -> Message:
    return message(
        CaseConcluded(
            case=case,
            outcome=outcome,
            unit=FUTIAN,
            level=Level.DISTRICT,
            missing_steps=(),
            by=BY,
        )
    )


def decided(
    asked: Message, states: Mapping[Stream, CaseState | None] | None = None
) -> list[Internal]:
    decision = workflow.decide(asked, states or {}, NOW, Ids(), POLICY)
    return [event for events in decision.values() for event in events]


def opened(asked: Message) -> CaseOpened:
    first, receipt = decided(asked)
    assert isinstance(first, CaseOpened)
    assert isinstance(receipt, ReportAccepted)
    return first


def state(status: Status = Status.OPEN) -> CaseState:
    return CaseState(
        case=CASE,
        status=status,
        category=Category.FAMILY_DISPUTE,
        risk=Risk.GREEN,
        unit=FUTIAN,
        owner=FUTIAN,
        publisher="hotline-futian",
        opened_at=NOW,
    )


def faults(asked: Message) -> tuple[Fault, ...]:
    with pytest.raises(Refused) as refused:
        decided(asked)
    return refused.value.faults


def test_a_report_opens_a_case_at_its_community() -> None:
    event = opened(at(COMMUNITY.code))
    assert (event.case, event.unit, event.level) == (CASE, COMMUNITY.code, Level.COMMUNITY)
    assert (event.category, event.risk) == (Category.FAMILY_DISPUTE, Risk.GREEN)
    assert event.policy_version == POLICY.version
    assert [(a.role, a.unit) for a in event.audience] == [
        (AudienceRole.OWNING_UNIT, COMMUNITY.code),
        (AudienceRole.PERSON_CONCERNED, None),
    ]


def test_a_case_starts_at_the_level_that_the_place_names() -> None:
    street = Divisions.shenzhen().parent(COMMUNITY.code)
    assert street is not None
    assert opened(at(street.code)).level is Level.STREET
    assert opened(at(FUTIAN)).level is Level.DISTRICT
    assert opened(at(SHENZHEN)).level is Level.CITY


def test_without_a_place_the_publishers_own_unit_decides() -> None:
    assert opened(report()).unit == hotline().unit


def test_a_zone_owns_no_case() -> None:
    zones = [u for u in Divisions.shenzhen().descendants(FUTIAN) if u.kind is Kind.ZONE]
    assert zones
    for zone in zones:
        unit = Divisions.shenzhen()[opened(at(zone.code)).unit]
        assert unit.kind is Kind.UNIT
        assert Divisions.shenzhen().is_above(unit.code, zone.code)


def test_what_people_told_is_held_to_be_sealed() -> None:
    event = opened(
        report(
            place={"address": "某小区"},
            wish="只想谈谈",
            reporter={"name": "王某", "relation": "neighbour"},
            safe_contact={"never": ["sms"]},
        )
    )

    def no_key(_: str) -> Any:
        raise AssertionError("open values need no key")

    account = event.account.reveal(no_key)
    assert isinstance(account, Account)
    assert (account.address, account.wish) == ("某小区", "只想谈谈")
    assert account.reporter is not None
    assert account.reporter.name == "王某"
    assert account.safe_contact is not None
    assert account.safe_contact.never == ("sms",)
    assert "王某" not in repr(event)
    assert "家务吵架" not in repr(event)


def test_the_receipt_reveals_no_case() -> None:
    _, receipt = decided(report())
    assert isinstance(receipt, ReportAccepted)
    assert receipt.report == "r-1"
    assert CASE not in receipt.model_dump_json()


@pytest.mark.parametrize(
    ("division", "slug"),
    [
        ("福田区", "malformed-division"),
        ("44030400000", "malformed-division"),
        ("", "malformed-division"),
        ("999999999999", "unknown-division"),
        (LUOHU, "outside-area"),
    ],
)
def test_a_place_that_is_not_ours_is_refused(division: str, slug: str) -> None:
    assert faults(at(division)) == (Fault(path="/place/division", slug=slug),)


def test_every_fault_is_named_at_once() -> None:
    found = faults(report(channel="court", place={"division": "nowhere"}))
    assert {(fault.path, fault.slug) for fault in found} == {
        ("/place/division", "malformed-division"),
        ("/channel", "channel-not-of-publisher"),
    }


def test_the_number_is_of_the_district_and_of_the_year_in_shanghai() -> None:
    new_year = datetime(2026, 12, 31, 16, 0, tzinfo=UTC)  # midnight in Shanghai
    asked = ReportSubmitted.model_validate(
        {"channel": "walk-in", "narrative": "x", "place": {"division": COMMUNITY.code}}
    )
    assert workflow.counter(message(asked, publisher=hotline())) == "440304-2026"
    assert workflow.counter(message(asked, new_year, hotline())) == "440304-2027"
    assert workflow.counter(at(SHENZHEN)) == "440300-2026"


def test_no_number_where_no_case_can_be_opened() -> None:
    for asked in (at("nowhere"), at("999999999999"), concluded()):
        assert workflow.counter(asked) is None
    assert workflow.touches(at("nowhere"), Ids()) == ()


def test_a_report_touches_its_new_case() -> None:
    assert workflow.touches(report(), Ids()) == (case_stream(CASE),)


def test_a_number_that_is_taken_opens_nothing() -> None:
    with pytest.raises(Poison, match="case-number-taken"):
        decided(report(), {case_stream(CASE): state()})


def test_a_concluded_case_is_closed_and_the_person_hears_of_it() -> None:
    (closed,) = decided(concluded(), {case_stream(CASE): state()})
    assert isinstance(closed, CaseClosed)
    assert closed.outcome is Outcome.SETTLED
    assert [a.role for a in closed.audience] == [AudienceRole.PERSON_CONCERNED]


def test_a_closed_case_stays_closed() -> None:
    again = concluded(outcome=Outcome.FAILED)
    assert decided(again, {case_stream(CASE): state(Status.CLOSED)}) == []


def test_the_conclusion_of_an_unknown_case_changes_nothing() -> None:
    assert decided(concluded(), {case_stream(CASE): None}) == []


def test_other_messages_change_nothing() -> None:
    other = message(AddNote(case=CASE, note="x", by=BY))
    assert workflow.touches(other, Ids()) == ()
    assert decided(other, {case_stream(CASE): state()}) == []
    assert workflow.touches_more(other, {}) == ()
    assert list(workflow.deadlines(case_stream(CASE), state())) == []


def test_a_deadline_that_does_not_run_changes_nothing() -> None:
    due = message(DeadlineReached(stream=f"case/{CASE}", kind="accept", due=NOW))
    assert workflow.touches(due, Ids()) == (case_stream(CASE),)
    assert decided(due, {case_stream(CASE): state()}) == []
    assert decided(due, {case_stream(CASE): None}) == []
