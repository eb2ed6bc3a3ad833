"""Erasure 删除: whether the file of a mediation must be kept, and the end of its key."""

from __future__ import annotations

from datetime import datetime

from lianhu.contracts.base import CaseId, Internal
from lianhu.contracts.intake import ErasureAsked, ErasureOrdered, ErasureRestricted
from lianhu.contracts.mediation import (
    MediationErasureAnswered,
    MediationKeysErased,
    MediationKeysRestricted,
)
from lianhu.mediation.policy import Policy
from lianhu.mediation.workflow.state import CaseState, Status

ErasureWord = ErasureAsked | ErasureOrdered | ErasureRestricted


def answered(
    word: ErasureWord, state: CaseState | None, now: datetime, policy: Policy
) -> list[Internal]:
    """What mediation does about intake's word. A case that it does not know forbids nothing.

    Asked again after the end it answers again: an intake that was restored does not know of it.
    """
    match word:
        case ErasureAsked():
            return [_duty(word.case, state, now, policy)]
        case ErasureOrdered():
            return [MediationKeysErased(case=word.case)]
        case ErasureRestricted():
            return [MediationKeysRestricted(case=word.case, until=word.until, basis=word.basis)]


def _duty(
    case: CaseId, state: CaseState | None, now: datetime, policy: Policy
) -> MediationErasureAnswered:
    """The file is kept from the conclusion of a case in which an agreement was reached."""
    if state is not None and state.agreement and state.status is not Status.ERASED:
        until = policy.kept_until(state.concluded_at or now)
        if until > now:
            return MediationErasureAnswered(case=case, until=until, basis=policy.retention.basis)
    return MediationErasureAnswered(case=case)
