"""A journal that an earlier release wrote folds into states of today's shape."""

from __future__ import annotations

import json
from datetime import timedelta

from lianhu.contracts import REGISTRY
from lianhu.contracts.base import Internal
from lianhu.eventing.rules import State
from lianhu.notify import workflow
from lianhu.notify.state import CaseState, DigestState, Stage
from tests.notify_desk import CASE, NOON, STREAM, STREET

HEAD = {
    "case": CASE,
    "notice": "0f" * 16,
    "about": "e-1",
    "about_type": "lianhu.mediation.case-offered.v1",
    "role": "owning-unit",
    "unit": STREET,
    "channel": "in-app",
}
FIRST = {
    **HEAD,
    "attempt": 1,
    "template": "case-offered",
    "params": {"case": CASE},
    "answer_by": "2026-03-02T04:00:30Z",
}
"""An attempt as it was written before people were told: no card, no visit, nothing tried."""


def old(name: str, body: dict[str, object]) -> Internal:
    contract = REGISTRY.get(f"lianhu.notify.{name}.v1")
    assert contract is not None
    event = contract.model.model_validate_json(json.dumps(body), extra="ignore")
    assert isinstance(event, Internal)
    return event


def folded(*rows: tuple[str, dict[str, object]]) -> CaseState:
    state: State | None = None
    for name, body in rows:
        state = workflow.evolve(STREAM, state, old(name, body), NOON)
    assert isinstance(state, CaseState)
    return state


def test_the_shape_has_risen_so_that_old_states_are_folded_anew() -> None:
    assert (CaseState.SHAPE, DigestState.SHAPE) == (3, 3)


def test_an_attempt_under_way_when_the_release_changed_is_carried_on() -> None:
    state = folded(("notice-attempted", {**FIRST, "language": None, "card": None}))
    pending = state.pending["0f" * 16]
    assert (pending.stage, pending.attempt, pending.tries, pending.doubt) == (
        Stage.SENDING,
        1,
        1,
        False,
    )
    (deadline,) = workflow.deadlines(STREAM, state)
    assert (deadline.kind, deadline.due) == (f"attempt-{'0f' * 16}", NOON + timedelta(seconds=30))


def test_a_retry_that_was_awaited_still_is_and_an_unknown_outcome_is_still_a_doubt() -> None:
    deferred = {**HEAD, "attempt": 1, "reason": "store-refused", "retry_at": "2026-03-02T05:00:00Z"}
    state = folded(("notice-attempted", FIRST), ("notice-deferred", deferred))
    assert state.pending["0f" * 16].stage is Stage.RETRYING
    state = folded(("notice-attempted", FIRST), ("notice-attempted", {**FIRST, "attempt": 2}))
    assert state.pending["0f" * 16].doubt


def test_what_had_ended_has_ended() -> None:
    state = folded(
        ("notice-attempted", FIRST),
        ("notice-delivered", {**HEAD, "attempt": 1}),
        ("notice-suppressed", {**HEAD, "notice": "0e" * 16, "reason": "no-contact-card"}),
    )
    assert state.ended == ("0f" * 16, "0e" * 16)
    assert not [*workflow.deadlines(STREAM, state)]
