"""Who is to hear of what happens to an application."""

from __future__ import annotations

from lianhu.contracts.parts import Audience
from lianhu.contracts.vocabulary import AudienceRole, Path
from lianhu.welfare.workflow.state import CaseState

Audiences = tuple[Audience, ...]


def person(case: CaseState) -> Audiences:
    """The person concerned; in neutral words on the protection path. Nobody once it is erased."""
    if case.erased:
        return ()
    return (
        Audience(
            role=AudienceRole.PERSON_CONCERNED,
            card=case.card,
            neutral=case.path is Path.PROTECTION,
            withheld=None if case.card is not None else case.no_card or "no-contact-card",
        ),
    )


def home(case: CaseState) -> Audiences:
    """The unit that submitted it."""
    return () if case.erased else (Audience(role=AudienceRole.OWNING_UNIT, unit=case.unit),)


def asked(unit: str | None) -> Audiences:
    """The unit that is asked to sign, or told in place of another."""
    return () if unit is None else (Audience(role=AudienceRole.UNIT_REACHED, unit=unit),)


def left(unit: str) -> Audiences:
    """The unit that did not move in time."""
    return (Audience(role=AudienceRole.UNIT_LEFT, unit=unit),)


def finance(unit: str) -> Audiences:
    """The finance post of the unit whose pool it is."""
    return (Audience(role=AudienceRole.FINANCE, unit=unit),)
