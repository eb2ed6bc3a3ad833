"""What becomes of a report: it opens a case, joins or reopens one, or is refused with every fault.

Whatever it is, the receipt 回执 stands under the number that was reserved for the report, so that
nothing about it, not even its time, tells whether a case was there.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from lianhu.contracts.base import CaseId, DivisionCode, Internal
from lianhu.contracts.faults import Fault, Poison, Refused, Slug
from lianhu.contracts.intake import (
    CaseLinked,
    CaseOpened,
    CaseReopened,
    Found,
    PersonSeen,
    PersonSpoken,
    ReportAccepted,
    ReportJoined,
    ReportSubmitted,
)
from lianhu.contracts.parts import Account, Audience, CardRef
from lianhu.contracts.publishers import Publisher
from lianhu.contracts.vocabulary import AudienceRole, Channel, Path, Risk
from lianhu.eventing.rules import Ids, Message, Rank, State, Stream, case_stream
from lianhu.intake.policy import Policy
from lianhu.intake.state import CaseState
from lianhu.intake.suitability import Suitability, carried, suitability
from lianhu.intake.triage import RISK_WORDS, Triage, triage
from lianhu.intake.workflow.cards import (
    NO_CONTACT,
    NOT_SAFE,
    Suspicion,
    Told,
    first_card,
    renewed,
    told,
    weaker,
)
from lianhu.intake.workflow.matching import Match, matched
from lianhu.intake.workflow.people import Who, concerned_of, reporter_is_other_party, who
from lianhu.jurisdiction import Area, Inside, Kind, Level, Unit
from lianhu.privacy import Sealed

Events = dict[Stream, list[Internal]]


@dataclass(frozen=True, slots=True)
class Given:
    """A report without faults, with all that the rules found in it."""

    report: ReportSubmitted
    publisher: Publisher
    place: Unit
    triage: Triage
    gate: Suitability
    people: Who
    match: Match
    ids: Ids
    policy: Policy


def place_of(report: ReportSubmitted, publisher: Publisher) -> str:
    """Where the matter belongs: the place's code; without one the publisher's own unit decides."""
    code = report.place.division
    return publisher.unit if code is None else code


def reported(
    report: ReportSubmitted,
    message: Message,
    states: Mapping[Stream, State | None],
    now: datetime,
    ids: Ids,
    policy: Policy,
) -> Events:
    """What happens. Raises `Refused` with every fault of a report that cannot be taken."""
    publisher = message.publisher
    if publisher is None:
        raise Poison("report-without-publisher")
    located = policy.area.locate(place_of(report, publisher))
    faults = []
    if not isinstance(located, Inside):
        faults.append(Fault(path="/place/division", slug=located.slug))
    if report.channel not in publisher.channels:
        faults.append(Fault(path="/channel", slug="channel-not-of-publisher"))
    if not isinstance(located, Inside) or faults:
        raise Refused(*faults)
    own = case_stream(ids.case_number())
    if states.get(own) is not None:
        # only a counter that was set back does this; two reports never share a case by chance
        raise Poison("case-number-taken")
    people = who(report, ids)
    triaged = triage(report, policy)
    given = Given(
        report=report,
        publisher=publisher,
        place=located.unit,
        triage=triaged,
        gate=suitability(report, concerned_of(report), triaged, message.time, policy),
        people=people,
        match=matched(
            people, report.channel, states, now, policy.people, reporter_is_other_party(report)
        ),
        ids=ids,
        policy=policy,
    )
    events = _decided(given)
    receipt = ReportAccepted(receipt=ids.opaque("receipt"), report=message.id)
    events.setdefault(own, []).append(receipt)
    return events


def seen(people: Iterable[PersonSpoken], case: CaseId, channel: Channel) -> Events:
    """Each of these people was spoken of in this case."""
    return {
        Stream(Rank.PERSON, one.person): [
            PersonSeen(person=one.person, role=one.role, case=case, channel=channel)
        ]
        for one in people
    }


def audience_of(found: Found) -> tuple[Audience, ...]:
    """Who hears that a case begins. Never the other party."""
    return (
        Audience(role=AudienceRole.OWNING_UNIT, unit=found.unit),
        *(Audience(role=AudienceRole.INFORMED_UNIT, unit=unit) for unit in found.informed),
        person_of(found.path, found.card, found.no_card),
    )


def person_of(path: Path, card: CardRef | None, no_card: Slug | None) -> Audience:
    """The person concerned, in neutral words where they are protected, or why not."""
    return Audience(
        role=AudienceRole.PERSON_CONCERNED,
        card=card,
        neutral=path is Path.PROTECTION,
        withheld=None if card is not None else no_card or NO_CONTACT,
    )


def _decided(given: Given) -> Events:
    match = given.match
    begun: ReportJoined | CaseOpened | CaseReopened
    if match.joins is not None:
        begun = _joined(given, match.joins)
        owner, people = match.joins.owner, begun.alone.people
    elif match.reopens is not None:
        begun = CaseReopened(**_opened(given, match.reopens.case, match.reopens))
        owner, people = begun.unit, begun.people
    else:
        begun = CaseOpened(**_opened(given, given.ids.case_number(), None))
        owner, people = begun.unit, begun.people
    events: Events = {case_stream(begun.case): [begun]}
    for case, reason in match.links:
        events[case_stream(begun.case)].append(_link(begun.case, owner, case.case, reason))
        events[case_stream(case.case)] = [_link(case.case, case.owner, begun.case, reason)]
    return events | seen(people, begun.case, begun.channel)


def _opened(given: Given, case: CaseId, before: CaseState | None) -> dict[str, Any]:
    """What a case begins with. Before a reopening it had a card, and a word about safety."""
    found = _found(given, before)
    if given.match.repeat:
        risk = _step(found.risk)
        reasons = (*found.reasons, _repeated(given, risk))
        found = found.model_copy(update={"risk": risk, "reasons": reasons})
    return dict(found) | {
        "case": case,
        "publisher": given.publisher.name,
        "channel": given.report.channel,
        "repeat": given.match.repeat,
        "by_other_side": given.match.reporter_is_other,
        "account": _account(given.report),
        "audience": audience_of(found),
        "policy_version": given.policy.version,
    }


def _joined(given: Given, case: CaseState) -> ReportJoined:
    gate, match, alone = given.gate, given.match, _found(given, None)
    whole = carried(gate, case, given.policy)
    about = _about(whole, given, case)
    said = told(given.report, about)
    new = renewed(case, said, about, given.people)
    risk, reasons = max(gate.risk, case.risk, key=_rank), alone.reasons
    if match.repeat:
        # the case rises once for it, however often the person is reported
        before = case.risk if case.repeat else _step(case.risk)
        risk = max(_step(gate.risk), before, key=_rank)
        reasons = (*reasons, _repeated(given, risk))
    version = case.card_version + 1
    return ReportJoined(
        case=case.case,
        joined=given.ids.opaque("joined"),
        number=case.told + 1,
        publisher=given.publisher.name,
        channel=given.report.channel,
        risk=risk,
        reasons=reasons,
        path=whole.path,
        grounds=whole.grounds,
        minor=whole.minor,
        guardian_suspected=whole.guardian_suspected,
        unit=case.unit,
        card=first_card(said, given.people, given.ids, version) if new.replaces else None,
        no_card=new.no_card,
        shared=new.shared,
        safety=new.safety,
        repeat=match.repeat or case.repeat,
        alone=alone,
        account=_account(given.report),
        audience=(Audience(role=AudienceRole.OWNING_UNIT, unit=case.owner),),
        policy_version=given.policy.version,
    )


def _found(given: Given, before: CaseState | None) -> Found:
    """What the report is by itself; of a case before it, what keeps a person safe goes on."""
    gate = given.gate if before is None else carried(given.gate, before, given.policy)
    said = told(given.report, _about(gate, given, before))
    if before is not None and weaker(said.safety, before.safety):
        said = Told(None, said.no_card or NOT_SAFE, before.safety, said.shared)
    version = 1 if before is None else before.card_version + 1
    unit, informed = _place(given.place, gate.path, given.policy.area)
    return Found(
        category=given.triage.category,
        risk=gate.risk,
        reasons=(*given.triage.reasons, *gate.reasons),
        path=gate.path,
        grounds=gate.grounds,
        minor=gate.minor,
        guardian_suspected=gate.guardian_suspected,
        unit=unit.code,
        level=unit.level,
        informed=informed,
        card=first_card(said, given.people, given.ids, version),
        no_card=said.no_card,
        shared=said.shared,
        safety=said.safety,
        legal_basis=given.report.legal_basis,
        tags=given.report.tags,
        people=given.people.spoken(),
    )


def _about(gate: Suitability, given: Given, case: CaseState | None) -> Suspicion:
    return Suspicion(
        path=gate.path,
        minor=gate.minor,
        guardian_suspected=gate.guardian_suspected,
        reporter_is_other=given.match.reporter_is_other,
        shared=case is not None and case.shared,
    )


def _place(place: Unit, path: Path, area: Area) -> tuple[Unit, tuple[DivisionCode, ...]]:
    """The unit a case starts at, and who is informed.

    The community, or the street or district that the place names; on the protection path the
    district, and of street and community those that the place names are informed.
    """
    if path is not Path.PROTECTION:
        return area.owner(place), ()
    branch = area.divisions.branch(place.code)
    start = area.divisions.at_level(place.code, Level.DISTRICT) or place
    below = [
        one.code for one in branch if one.kind is Kind.UNIT and start.level.is_above(one.level)
    ]
    return area.owner(start), tuple(reversed(below))


def _repeated(given: Given, risk: Risk) -> str:
    days, match = given.policy.people.repeat.days, given.match
    by = f"，来自{len(match.channels)}个渠道" if len(match.channels) > 1 else ""
    return f"同一当事人{days}天内第{match.times}次被报告{by}，风险上调一级：{RISK_WORDS[risk]}"


def _link(case: CaseId, unit: DivisionCode, other: CaseId, reason: Slug) -> CaseLinked:
    return CaseLinked(
        case=case,
        other=other,
        reason=reason,
        audience=(Audience(role=AudienceRole.OWNING_UNIT, unit=unit),),
    )


def _account(report: ReportSubmitted) -> Sealed[Account]:
    return Sealed.hold(
        Account(
            narrative=report.narrative,
            reporter=report.reporter,
            concerned=report.concerned,
            other_party=report.other_party,
            address=report.place.address,
            wish=report.wish,
            safe_contact=report.safe_contact,
        )
    )


def _step(risk: Risk) -> Risk:
    """One step graver, at most red."""
    return next((one for one in Risk if one.rank == risk.rank + 1), risk)


def _rank(risk: Risk) -> int:
    return risk.rank
