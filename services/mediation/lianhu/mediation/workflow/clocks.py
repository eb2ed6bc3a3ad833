"""The clocks of a case: its offers, and what a missed deadline does 升级上报.

A clock starts when a case is offered (here, and in `reports` and `override` when it is offered
anew), when it climbs, and in `commands` when it is accepted. What happens at the moment of firing
starts from that moment.
"""

from __future__ import annotations

from datetime import datetime

from lianhu.contracts.faults import Fault, Poison
from lianhu.contracts.intake import Opened
from lianhu.contracts.mediation import CaseEscalated, CaseEvent, CaseOffered, CaseOverdue
from lianhu.contracts.vocabulary import AudienceRole, DeadlineKind, Ground, Path
from lianhu.eventing.rules import DeadlineReached, Ids
from lianhu.jurisdiction import Inside
from lianhu.mediation.policy import Policy
from lianhu.mediation.workflow.audiences import (
    concerned,
    district_above,
    newer,
    owner,
    person,
    unit,
)
from lianhu.mediation.workflow.evolution import begun
from lianhu.mediation.workflow.joint import asked
from lianhu.mediation.workflow.state import CaseState


def offered(
    opened: Opened, before: CaseState | None, now: datetime, ids: Ids, policy: Policy
) -> list[CaseEvent]:
    """The offer 派单, to the unit and level that intake named, and what partners are asked at once.

    `before`: the same case as it was, when it is reopened; one that was protected stays so, by
    the district at least, until two persons say otherwise. Raises `Poison` for a unit that this
    release does not know as one of its area and of that level: nobody could act on the case, so
    it waits in the dead letters for the tables to agree.
    """
    located = policy.area.locate(opened.unit)
    if not isinstance(located, Inside):
        raise Poison(located.slug, [Fault(path="/unit", slug=located.slug)])
    if located.unit.level is not opened.level:
        raise Poison("wrong-level", [Fault(path="/level", slug="wrong-level")])
    card, no_card = opened.card, opened.no_card
    path, grounds, to, level = opened.path, opened.grounds, opened.unit, opened.level
    if before is not None:
        card, no_card = newer(before, card, no_card)
        if before.protected and path is not Path.PROTECTION:
            # what must not be mediated is not to be mediated because it was closed meanwhile
            path, grounds = Path.PROTECTION, tuple(dict.fromkeys((*before.grounds, *grounds)))
            if (district := district_above(to, level, policy)) is not None:
                to, level = district.code, district.level
    audience = [unit(to)]
    if path is Path.PROTECTION:
        below = AudienceRole.INFORMED_UNIT
        audience += [unit(code, below) for code in opened.informed]
        audience.append(person(card, no_card, protected=True))
    offer = CaseOffered(
        case=opened.case,
        unit=to,
        level=level,
        category=opened.category,
        risk=opened.risk,
        path=path,
        grounds=grounds,
        minor=opened.minor or Ground.MINOR_VICTIM in grounds,
        card=card,
        no_card=no_card,
        accept_by=policy.due(DeadlineKind.ACCEPT, level, opened.category, opened.risk, now, path),
        policy_version=policy.version,
        audience=tuple(audience),
    )
    return [offer, *asked(begun(before, offer), now, ids, policy)]


def missed(
    reached: DeadlineReached, state: CaseState, now: datetime, policy: Policy
) -> list[CaseEvent]:
    """The case climbs one level; above the city it is named overdue 超期. Nothing if met since."""
    if not any(clock.kind == reached.kind and clock.due == reached.due for clock in state.clocks):
        return []
    kind = DeadlineKind(reached.kind)
    above = policy.area.above(state.unit)
    if above is None:
        return [
            CaseOverdue(
                case=state.case,
                unit=state.unit,
                level=state.level,
                missed=kind,
                due=reached.due,
                audience=owner(state),
            )
        ]
    accept_by = policy.due(
        DeadlineKind.ACCEPT, above.level, state.category, state.risk, now, state.path
    )
    return [
        CaseEscalated(
            case=state.case,
            from_unit=state.unit,
            from_level=state.level,
            to_unit=above.code,
            to_level=above.level,
            missed=kind,
            due=reached.due,
            category=state.category,
            risk=state.risk,
            accept_by=accept_by,
            policy_version=policy.version,
            audience=(
                unit(state.unit, AudienceRole.UNIT_LEFT),
                unit(above.code, AudienceRole.UNIT_REACHED),
                concerned(state),
            ),
        )
    ]
