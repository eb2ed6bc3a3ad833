"""The gate is overridden 突破调解限制: two named persons have a case mediated after all."""

from __future__ import annotations

from datetime import datetime

from lianhu.contracts.mediation import CaseEvent, GateOverridden, OverrideGate, OverrideProposed
from lianhu.contracts.vocabulary import DeadlineKind
from lianhu.mediation.policy import Policy
from lianhu.mediation.workflow.audiences import owner
from lianhu.mediation.workflow.state import CaseState
from lianhu.privacy import Sealed


def overridden(
    command: OverrideGate, state: CaseState, now: datetime, policy: Policy
) -> list[CaseEvent]:
    """The first person proposes; the second one's word offers the case anew, for mediation."""
    reason, wish = Sealed.hold(command.reason), Sealed.hold(command.wish)
    if state.proposed_by is None:
        return [
            OverrideProposed(
                case=state.case, reason=reason, wish=wish, by=command.by, audience=owner(state)
            )
        ]
    return [
        GateOverridden(
            case=state.case,
            reason=reason,
            wish=wish,
            proposed_by=state.proposed_by,
            by=command.by,
            unit=state.unit,
            level=state.level,
            accept_by=policy.due(DeadlineKind.ACCEPT, state.level, state.category, state.risk, now),
            policy_version=policy.version,
            audience=owner(state),
        )
    ]
