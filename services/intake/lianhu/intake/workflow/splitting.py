"""A report that was joined wrongly becomes a case of its own 拆分."""

from __future__ import annotations

from collections.abc import Iterator

from lianhu.contracts.base import CaseId
from lianhu.contracts.faults import Fault, Refused
from lianhu.contracts.intake import CaseOpened, CaseSplit, PersonCaseEnded, SplitCase
from lianhu.contracts.parts import Audience, CardRef
from lianhu.contracts.publishers import Publisher
from lianhu.contracts.vocabulary import AudienceRole, Path
from lianhu.eventing.rules import Rank, Stream, case_stream
from lianhu.intake.policy import Policy
from lianhu.intake.state import CaseState, Joined, Status
from lianhu.intake.workflow.cards import NO_CONTACT, NOT_SAFE
from lianhu.intake.workflow.officers import authority
from lianhu.intake.workflow.reports import Events, audience_of, seen
from lianhu.privacy import Sealed


def split(
    command: SplitCase,
    case: CaseState,
    new: CaseId,
    publisher: Publisher | None,
    policy: Policy,
) -> Events:
    """The new case with what the report said, and the old one without it. Raises `Refused`."""
    report = next((one for one in case.joined if one.joined == command.report), None)
    faults = [
        *authority("split-case", command.by, case, publisher, policy),
        *_faults(command, case, report),
    ]
    if faults or report is None:
        raise Refused(*faults)
    opened = CaseOpened(
        **dict(report.found),
        case=new,
        publisher=report.publisher,
        channel=report.channel,
        account=report.account,
        audience=audience_of(report.found),
        policy_version=policy.version,
    )
    card, no_card = _card_without(report, case)
    divided = CaseSplit(
        case=case.case,
        new=new,
        joined=report.joined,
        by=command.by,
        reason=Sealed.hold(command.reason),
        card=card,
        no_card=no_card,
        audience=tuple(
            Audience(role=AudienceRole.OWNING_UNIT, unit=unit)
            for unit in dict.fromkeys((case.owner, opened.unit))
        ),
    )
    events: Events = {case_stream(case.case): [divided], case_stream(new): [opened]}
    events |= seen(report.found.people, new, report.channel)
    rest = {one.person for one in case.people}
    rest |= {
        one.person for other in case.joined if other is not report for one in other.found.people
    }
    for one in report.found.people:
        if one.person not in rest:
            gone = PersonCaseEnded(person=one.person, case=case.case, forget=True)
            events[Stream(Rank.PERSON, one.person)].append(gone)
    return events


def _faults(command: SplitCase, case: CaseState, report: Joined | None) -> Iterator[Fault]:
    if case.status is Status.ERASED:
        yield Fault(path="/case", slug="already-erased")
    elif case.erasure is not None:
        yield Fault(path="/case", slug="erasure-asked")
    elif report is None and command.report in case.split:
        yield Fault(path="/report", slug="already-split")
    elif report is None:
        # an id that was dropped and one that never was look alike
        yield Fault(path="/report", slug="report-too-old" if case.dropped else "unknown-report")


def _card_without(report: Joined, case: CaseState) -> tuple[CardRef | None, str | None]:
    """The card that counts when that of the report is gone, if it was the one that counted."""
    if case.card is None or case.cards[-1].joined != report.joined:
        return None, None
    before = [card for card in case.cards if card.joined != report.joined]
    if not before:
        return None, NO_CONTACT
    if before[-1].shared and case.path is Path.PROTECTION:
        # it was enough for the dispute that the case was then
        return None, NOT_SAFE
    return before[-1].ref.model_copy(update={"version": case.card_version + 1}), None
