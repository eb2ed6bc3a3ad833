"""The state of notices after an event. It never reads policy and never fails."""

from __future__ import annotations

from datetime import datetime

from lianhu.contracts.base import Internal
from lianhu.contracts.notify import (
    ContactNoted,
    DigestAdded,
    NoticeAttempted,
    NoticeBundled,
    NoticeDeferred,
    NoticeDelivered,
    NoticeFailed,
    NoticeStep,
    NoticeSuppressed,
    NoticeUncertain,
    NoticeWaiting,
    NotifyKeysErased,
    WaySought,
)
from lianhu.notify.state import CaseState, DigestState, Notices, Pending, Stage
from lianhu.notify.workflow.notices import step_of


def after(state: Notices, event: Internal) -> Notices:
    """What is under way and what ended, after an event."""
    match event:
        case WaySought():
            return state.with_pending(_sought(state.pending.get(event.notice), event))
        case NoticeAttempted():
            after_it = state.with_pending(_attempted(state.pending.get(event.notice), event))
            return _left(after_it)
        case NoticeWaiting():
            before = state.pending.get(event.notice)
            return state.with_pending(
                _next(before, event, Stage.WAITING, event.until, vain=event.vain)
            )
        case NoticeDeferred():
            before = state.pending.get(event.notice)
            if before is None:
                return state
            update = {"stage": Stage.RETRYING, "due": event.retry_at}
            return state.with_pending(before.model_copy(update=update))
        case (
            NoticeDelivered(notice=notice)
            | NoticeFailed(notice=notice)
            | NoticeSuppressed(notice=notice)
            | NoticeUncertain(notice=notice)
            | NoticeBundled(notice=notice)
        ):
            return state.with_ended(notice)
        case ContactNoted() if isinstance(state, CaseState):
            return state.with_noted(event)
        case DigestAdded() if isinstance(state, DigestState):
            return state.with_added(event)
        case NotifyKeysErased():
            return CaseState(ended=state.ended, erased=True)
        case _:
            return state


def _sought(before: Pending | None, event: WaySought) -> Pending:
    pending = _next(before, event, Stage.SEEKING, event.answer_by, vain=event.vain)
    # Another channel is tried after a sure failure only; the same one without a pause in between
    # follows an outcome that nobody knows.
    unknown = (
        before is not None and before.stage is Stage.SENDING and before.step.tried == event.tried
    )
    return pending.model_copy(
        update={
            "look": event.look,
            "version": event.card.version,
            "doubt": pending.doubt or unknown,
        }
    )


def _attempted(before: Pending | None, event: NoticeAttempted) -> Pending:
    pending = _next(before, event, Stage.SENDING, event.answer_by)
    if before is None:
        return pending.model_copy(update={"attempt": event.attempt, "before": event.attempt - 1})
    changed = before.attempt > 0 and before.step.channel != event.channel
    return pending.model_copy(
        update={
            "attempt": event.attempt,
            "before": event.attempt - 1 if changed else before.before,
            "doubt": before.doubt or before.stage is Stage.SENDING,
        }
    )


def _next(
    before: Pending | None, event: NoticeStep, stage: Stage, due: datetime, vain: int = 0
) -> Pending:
    base = before or Pending(step=step_of(event), stage=stage, due=due)
    step = step_of(event)
    if step.channel is None and before is not None and before.step.channel is not None:
        step = step.model_copy(update={"channel": before.step.channel})
    return base.model_copy(update={"step": step, "stage": stage, "due": due, "vain": vain})


def _left(state: Notices) -> Notices:
    return state.model_copy(update={"left": True}) if isinstance(state, DigestState) else state
