"""What must never happen to a case in mediation, whatever is handed in and in whatever order."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, TypeVar

from lianhu.contracts.base import Internal, Model
from lianhu.contracts.intake import CaseReopened, ReportJoined
from lianhu.contracts.mediation import (
    AgreementReached,
    CaseAccepted,
    CaseConcluded,
    CaseEscalated,
    CaseEvent,
    CaseOffered,
    ConsentRecorded,
    GateOverridden,
    MediationErasureAnswered,
    MediationKeysErased,
    MediationKeysRestricted,
    MovedToProtection,
    OverrideProposed,
    PartnerAsked,
    PartnerChased,
    PartnerReplied,
    RiskRaised,
)
from lianhu.contracts.vocabulary import AudienceRole, Chase, Outcome, PartnerSays
from lianhu.eventing.rules import DeadlineReached
from lianhu.jurisdiction import Level
from lianhu.mediation.workflow import CaseState
from lianhu.mediation.workflow.state import Status
from tests.mediation_desk import LADDER

T = TypeVar("T", bound=Internal)

ERASURE = MediationErasureAnswered | MediationKeysErased | MediationKeysRestricted
CLOCKS_START = CaseOffered | CaseAccepted | CaseEscalated | GateOverridden | MovedToProtection
FORGETS_PROPOSAL = CaseOffered | CaseEscalated | MovedToProtection | RiskRaised | GateOverridden
ANSWERS = (PartnerSays.ANSWERED, PartnerSays.DECLINED)


@dataclass(frozen=True)
class Step:
    """One message that was handed in, and what came of it."""

    data: Model
    now: datetime
    recorded: Sequence[Internal]
    """The journal before it."""
    before: CaseState
    after: CaseState
    events: Sequence[Internal]

    def has(self, *kinds: type[Internal]) -> bool:
        """Whether an event of one of these kinds came of it."""
        return any(isinstance(event, kinds) for event in self.events)

    def of(self, kind: type[T]) -> Iterator[T]:
        """The events of a kind."""
        return (event for event in self.events if isinstance(event, kind))


def is_about_the_case(step: Step) -> None:
    """Nothing but the case's own events."""
    for event in step.events:
        assert isinstance(event, CaseEvent | ERASURE)
        assert event.case == step.before.case


def climbs_by_steps(step: Step) -> None:
    """A deadline lifts a case by one level; danger lifts it to the district; a new start moves."""
    before, after = step.before, step.after
    if (after.unit, after.level) == (before.unit, before.level):
        return
    assert (after.unit, after.level) in LADDER
    if isinstance(step.data, DeadlineReached):
        assert after.level is before.level.above, "one level at a time"
    elif step.has(MovedToProtection):
        assert after.level is Level.DISTRICT
        assert after.level.is_above(before.level), "a case in danger does not go down"
    else:
        assert isinstance(step.data, CaseReopened | ReportJoined)
        assert step.has(CaseOffered)


def keeps_its_clocks(step: Step) -> None:
    """A clock starts with an offer or an acceptance; nothing else gives a unit more time."""
    before, after = step.before, step.after
    if any(isinstance(event, CLOCKS_START) for event in step.events):
        started = {clock.due for clock in after.clocks} - {clock.due for clock in before.clocks}
        assert all(due > step.now for due in started), "a clock that starts has time"
    elif step.has(RiskRaised) and before.accept_by is not None:
        assert after.accept_by is not None
        assert after.accept_by <= before.accept_by, "graver never gives more time"
        assert len(after.clocks) == 1
    else:
        assert set(after.clocks) <= set(before.clocks), "an edit restarts no clock"
    stays = before.status is Status.OFFERED and after.unit == before.unit
    if stays and step.has(MovedToProtection):
        assert after.accept_by is not None
        assert before.accept_by is None or after.accept_by <= before.accept_by
    if step.has(CaseAccepted):
        assert before.status is Status.OFFERED, "a case is accepted once at a level"


def is_mediated_by_two_persons_only(step: Step) -> None:
    """Protected, it is mediated when two different persons said so, on what both of them knew."""
    for event in step.events:
        if isinstance(event, ConsentRecorded | AgreementReached):
            assert not step.before.protected
    for decided in step.of(GateOverridden):
        assert step.before.protected
        said = [
            event
            for event in step.recorded
            if isinstance(event, OverrideProposed | FORGETS_PROPOSAL)
        ]
        assert isinstance(said[-1], OverrideProposed)
        assert said[-1].by == decided.proposed_by
        assert decided.by.officer != decided.proposed_by.officer
    if step.before.protected and not step.after.protected:
        assert step.has(GateOverridden)


def chases_the_silent_only(step: Step) -> None:
    """By the next means each time; never one that answered, never after the end of the case."""
    for chased in step.of(PartnerChased):
        assert step.before.status not in (Status.CONCLUDED, Status.ERASED)
        since: list[Internal] = []
        for event in step.recorded:
            if isinstance(event, PartnerAsked) and event.ask == chased.ask:
                since = [event]
            elif since:
                since.append(event)
        assert since, "it was asked"
        assert not any(isinstance(event, CaseConcluded) for event in since)
        said = [e.says for e in since if isinstance(e, PartnerReplied) and e.ask == chased.ask]
        assert not set(said) & set(ANSWERS), "it answered"
        assert chased.missed == "answer" or not said, "it gave its receipt"
        steps = [e.step for e in since if isinstance(e, PartnerChased) and e.ask == chased.ask]
        assert [*steps, chased.step] == [*Chase][: len(steps) + 1], "the next means"


def tells_nobody_wrong(step: Step) -> None:
    """Never the other party; the person by the known card, in neutral words if protected."""
    for event in step.of(CaseEvent):
        for one in event.audience:
            assert one.role is not AudienceRole.OTHER_PARTY
            if one.role is AudienceRole.PERSON_CONCERNED:
                assert one.neutral == step.after.protected
                assert one.card == step.after.card
                assert one.withheld == step.after.no_card
            else:
                assert one.unit is not None


def ends_once_and_stays(step: Step) -> None:
    """What is concluded stays so until a report comes, what is erased stays so for ever."""
    before, after = step.before, step.after
    if before.status is Status.ERASED:
        for event in step.events:
            assert isinstance(event, MediationErasureAnswered | MediationKeysErased)
        assert after == before
    elif before.status is Status.CONCLUDED:
        if isinstance(step.data, ReportJoined | CaseReopened):
            assert after.status is Status.OFFERED, "no report is buried with a case"
        else:
            assert after.status in (Status.CONCLUDED, Status.ERASED)
    elif after.status is Status.CONCLUDED:
        ended = step.events[-1]
        assert isinstance(ended, CaseConcluded)
        assert (ended.outcome is Outcome.PROTECTED) == before.protected


LAWS: Final[tuple[Callable[[Step], None], ...]] = (
    is_about_the_case,
    climbs_by_steps,
    keeps_its_clocks,
    is_mediated_by_two_persons_only,
    chases_the_silent_only,
    tells_nobody_wrong,
    ends_once_and_stays,
)
