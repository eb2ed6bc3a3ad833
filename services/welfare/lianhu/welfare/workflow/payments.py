"""A payment before it leaves 待支付: room in its pool, a place in an envelope."""

from __future__ import annotations

from datetime import date

from lianhu.contracts.faults import Poison, Refused
from lianhu.contracts.money import LedgerAccount, Posting
from lianhu.contracts.parts import DueAt
from lianhu.contracts.payments import LedgerPosted, PaymentQueued, PaymentTakenOut
from lianhu.welfare.programmes import Kind, Programme
from lianhu.welfare.workflow import streams
from lianhu.welfare.workflow.ledger import entry
from lianhu.welfare.workflow.state import Application, EnvelopeStatus
from lianhu.welfare.workflow.turn import Turn


def unit_of(pool: str) -> str:
    """The unit whose pool it is."""
    return pool.split("/")[1]


def room(turn: Turn, programme: Programme, pool: str, wanted: int) -> list[LedgerPosted]:
    """What must be entered before so much can be reserved; `Refused` when there is not so much.

    A service's places are as many as its programme says now, and when it was taken away as many
    as it said last: more are entered when they are needed, and of fewer no more than these are
    given.
    """
    programme = turn.policy.programmes.get(programme.id, programme)
    balances = turn.pool(pool)
    available = balances.of(LedgerAccount.AVAILABLE)
    entries: list[LedgerPosted] = []
    if programme.kind is Kind.SERVICE and programme.fund is not None:
        places = programme.fund.places.get(unit_of(pool), 0)
        entered = -balances.of(LedgerAccount.SOURCE)
        taken = entered - available
        if places > entered:
            entries = [entry(pool, Posting.FUND, places - entered)]
        available = places - taken
    if available < wanted:
        raise Refused.at("/application", "pool-exhausted")
    return entries


def queue(turn: Turn, one: Application, payee: str | None, attempt: int) -> str | None:
    """Put a payment into the envelope that is cut next; None where all of the next are full."""
    if one.pool is None or one.amount is None or payee is None:
        raise Poison("nothing-to-pay")
    for name in streams.envelopes(one.pool, turn.message.time):
        found = turn.envelope(name)
        if found is None:
            cut_at = turn.policy.cut_of(date.fromisoformat(name.rpartition("/")[2]))
        elif found.status is EnvelopeStatus.OPEN and found.due is not None:
            cut_at = DueAt(at=found.due)
        else:
            continue
        full = found is not None and len(found.items) >= turn.policy.payment.items
        if full or cut_at.at <= turn.now:
            continue
        turn.write(
            streams.envelope_stream(name),
            PaymentQueued(
                envelope=name,
                pool=one.pool,
                application=one.id,
                amount=one.amount,
                payee=payee,
                attempt=attempt,
                cut_at=cut_at,
            ),
        )
        return name
    return None


def lies_with_treasury(turn: Turn, one: Application) -> bool:
    """Whether the treasury was told to pay it."""
    found = None if one.envelope is None else turn.envelope(one.envelope)
    return found is not None and found.status is not EnvelopeStatus.OPEN


def take_out(turn: Turn, one: Application, reason: str) -> None:
    """Take a payment out of an envelope that is not cut yet, if it is in one."""
    if one.envelope is not None:
        turn.write(
            streams.envelope_stream(one.envelope),
            PaymentTakenOut(envelope=one.envelope, application=one.id, reason=reason),
        )
