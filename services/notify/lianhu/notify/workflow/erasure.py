"""Erasure of a case: notify has no duty to keep anything, and destroys its key when told."""

from __future__ import annotations

from collections.abc import Sequence

from lianhu.contracts.base import Internal
from lianhu.contracts.intake import ErasureRestricted
from lianhu.contracts.notify import (
    NoticeSuppressed,
    NotifyErasureAnswered,
    NotifyKeysErased,
    NotifyKeysRestricted,
)
from lianhu.notify.state import CaseState
from lianhu.notify.workflow.notices import head


def answered(case: str) -> Sequence[Internal]:
    """Nothing forbids it here."""
    return (NotifyErasureAnswered(case=case),)


def erased(case: str, state: CaseState) -> Sequence[Internal]:
    """Whatever is under way ends, and the key goes.

    What is ordered again is said again: an intake that was restored does not know of it.
    """
    ends = [
        NoticeSuppressed(**head(pending.step), reason="key-erased")
        for pending in state.pending.values()
    ]
    return (*ends, NotifyKeysErased(case=case))


def restricted(order: ErasureRestricted, state: CaseState) -> Sequence[Internal]:
    """The key stays and opens nothing: whoever is to be told later is not."""
    if state.erased:
        return ()
    return (NotifyKeysRestricted(case=order.case, until=order.until, basis=order.basis),)
