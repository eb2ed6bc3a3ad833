"""What the other services say that notices follow from, for tests."""

from __future__ import annotations

from datetime import UTC, datetime

from lianhu.contracts.intake import (
    CaseOpened,
    CaseSplit,
    Found,
    ReportJoined,
)
from lianhu.contracts.mediation import CaseConcluded, GateOverridden, MovedToProtection
from lianhu.contracts.parts import Account, Audience, DueAt
from lianhu.contracts.vocabulary import (
    AudienceRole,
    Category,
    Channel,
    LegalBasis,
    Outcome,
    Path,
    Risk,
)
from lianhu.jurisdiction import Level
from lianhu.privacy import Sealed
from tests.notify_desk import (
    BY,
    CASE,
    DISTRICT,
    STREET,
    unit,
)

ACCOUNT = Sealed.hold(Account(narrative="he shouts"))
DUE = DueAt(at=datetime(2026, 3, 9, 16, 0, tzinfo=UTC))


def opened(
    *audience: Audience, path: Path = Path.MEDIATION, no_card: str | None = None
) -> CaseOpened:
    return CaseOpened(
        case=CASE,
        publisher="hotline-futian",
        channel=Channel.HOTLINE_12338,
        category=Category.FAMILY_DISPUTE,
        risk=Risk.ORANGE,
        reasons=("he shouts",),
        path=path,
        unit=DISTRICT,
        level=Level.DISTRICT,
        no_card=no_card,
        legal_basis=LegalBasis.CONSENT,
        account=ACCOUNT,
        audience=(unit(code=DISTRICT), *audience),
        policy_version="intake-2026-01",
    )


def joined(no_card: str | None) -> ReportJoined:
    report = opened()
    return ReportJoined(
        case=CASE,
        joined="0" * 32,
        publisher="hotline-futian",
        channel=Channel.HOTLINE_12338,
        risk=Risk.ORANGE,
        reasons=("again",),
        path=Path.MEDIATION,
        grounds=(),
        unit=DISTRICT,
        no_card=no_card,
        alone=Found(**{name: getattr(report, name) for name in Found.model_fields}),
        account=ACCOUNT,
        policy_version="intake-2026-01",
    )


def split() -> CaseSplit:
    return CaseSplit(
        case=CASE,
        new="440304-2026-000124",
        joined="0" * 32,
        by=BY,
        reason=Sealed.hold("another woman"),
    )


def withheld(reason: str) -> Audience:
    return Audience(role=AudienceRole.PERSON_CONCERNED, withheld=reason, neutral=True)


def moved(*audience: Audience) -> MovedToProtection:
    return MovedToProtection(
        case=CASE,
        audience=audience,
        grounds=(),
        from_unit=STREET,
        to_unit=DISTRICT,
        to_level=Level.DISTRICT,
        risk=Risk.ORANGE,
        accept_by=DUE,
        policy_version="mediation-2026-01",
    )


def concluded(*audience: Audience) -> CaseConcluded:
    return CaseConcluded(
        case=CASE,
        audience=audience,
        outcome=Outcome.SETTLED,
        unit=STREET,
        level=Level.STREET,
        missing_steps=(),
        by=BY,
    )


def overridden() -> GateOverridden:
    return GateOverridden(
        case=CASE,
        reason=Sealed.hold("r"),
        wish=Sealed.hold("w"),
        proposed_by=BY,
        by=BY,
        unit=DISTRICT,
        level=Level.DISTRICT,
        accept_by=DUE,
        policy_version="mediation-2026-01",
    )
