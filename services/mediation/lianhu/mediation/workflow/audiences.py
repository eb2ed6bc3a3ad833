"""Who hears of what happens to a case: units, and the person concerned by their contact card.

The other party is in no audience of mediation: what they are asked, the unit asks them itself.
"""

from __future__ import annotations

from lianhu.contracts.faults import Slug
from lianhu.contracts.parts import Audience, CardRef
from lianhu.contracts.vocabulary import AudienceRole
from lianhu.jurisdiction import Level, Unit
from lianhu.mediation.policy import Policy
from lianhu.mediation.workflow.state import CaseState


def unit(code: str, role: AudienceRole = AudienceRole.OWNING_UNIT) -> Audience:
    """A unit, by default the one that owns the case."""
    return Audience(role=role, unit=code)


def owner(state: CaseState) -> tuple[Audience, ...]:
    """The unit that owns the case."""
    return (unit(state.unit),)


def person(card: CardRef | None, no_card: Slug | None, *, protected: bool) -> Audience:
    """The person concerned; on the protection path in neutral words only."""
    return Audience(
        role=AudienceRole.PERSON_CONCERNED, card=card, neutral=protected, withheld=no_card
    )


def concerned(state: CaseState) -> Audience:
    """The person concerned, as far as they may be told."""
    return person(state.card, state.no_card, protected=state.protected)


def newer(
    state: CaseState, card: CardRef | None, no_card: Slug | None
) -> tuple[CardRef | None, Slug | None]:
    """How the person may be told after a further report: a card of a higher version replaces the
    known one, a reason to use none takes it away, and neither leaves it as it is."""
    if no_card is not None:
        return None, no_card
    known = state.card
    if card is not None and (known is None or card.version > known.version):
        return card, None
    return known, state.no_card


def district_above(code: str, level: Level, policy: Policy) -> Unit | None:
    """The district above a unit that stands below one."""
    if not Level.DISTRICT.is_above(level) or code not in policy.area.divisions:
        return None
    return policy.area.divisions.at_level(code, Level.DISTRICT)
