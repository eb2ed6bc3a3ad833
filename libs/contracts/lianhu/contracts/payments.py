"""What the treasury says and is told: pools, ledger, envelopes; and who has had what already."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from lianhu.contracts.base import CaseId, Internal, Public, Ref
from lianhu.contracts.engine import PersonForgotten, PersonRef
from lianhu.contracts.faults import Slug
from lianhu.contracts.money import (
    ApplicationId,
    EnvelopeId,
    Fen,
    LedgerLine,
    Money,
    PoolId,
    Posting,
)
from lianhu.contracts.parts import Audience, DueAt
from lianhu.contracts.registry import Kind, contract
from lianhu.contracts.vocabulary import PublisherKind


@contract(
    "lianhu.welfare.fund-pool.v1",
    Kind.COMMAND,
    consumers=("welfare",),
    senders=(PublisherKind.TREASURY,),
)
class FundPool(Public):
    """The treasury puts money into a pool 拨款."""

    pool: PoolId
    amount: Money
    by: Ref


class Bounced(Public):
    """A payment that came back 退票, and why."""

    application: ApplicationId
    reason: Slug


@contract(
    "lianhu.welfare.confirm-payment.v1",
    Kind.COMMAND,
    consumers=("welfare",),
    senders=(PublisherKind.TREASURY,),
)
class ConfirmPayment(Public):
    """The treasury says what it did with an envelope; its totals must be those of the envelope."""

    envelope: EnvelopeId
    count: Annotated[int, Field(ge=0, le=10_000)]
    total: Money
    paid: tuple[ApplicationId, ...] = Field(default=(), max_length=500)
    bounced: tuple[Bounced, ...] = Field(default=(), max_length=500)
    by: Ref


@contract(
    "lianhu.welfare.bounce-payment.v1",
    Kind.COMMAND,
    consumers=("welfare",),
    senders=(PublisherKind.TREASURY,),
)
class BouncePayment(Public):
    """A single payment of an envelope came back before the envelope was confirmed."""

    envelope: EnvelopeId
    application: ApplicationId
    reason: Slug
    by: Ref


@contract("lianhu.welfare.applicant-seen.v1", Kind.EVENT, consumers=(), private=True)
class ApplicantSeen(Internal):
    """A case in which this person applied for something; private to welfare."""

    person: PersonRef
    case: CaseId


@contract("lianhu.welfare.applicant-case-erased.v1", Kind.EVENT, consumers=(), private=True)
class ApplicantCaseErased(Internal):
    """That case was erased, another one still knows the person; private to welfare."""

    person: PersonRef
    case: CaseId


@contract("lianhu.welfare.person-forgotten.v1", Kind.EVENT, consumers=(), private=True)
class WelfarePersonForgotten(PersonForgotten):
    """Nobody is found by this reference any more; private to welfare."""


@contract("lianhu.welfare.claim-taken.v1", Kind.EVENT, consumers=(), private=True)
class ClaimTaken(Internal):
    """Once per lifetime, year or cause: this is the once; private to welfare."""

    application: ApplicationId


@contract("lianhu.welfare.claim-released.v1", Kind.EVENT, consumers=(), private=True)
class ClaimReleased(Internal):
    """The application came to nothing; the claim is free again; private to welfare."""

    application: ApplicationId


@contract(
    "lianhu.welfare.ledger-posted.v1",
    Kind.EVENT,
    consumers=(),
    answers=(PublisherKind.OFFICERS, PublisherKind.TREASURY),
)
class LedgerPosted(Internal):
    """A double entry 复式记账 in a pool's ledger: its lines sum to zero."""

    pool: PoolId
    posting: Posting
    amount: Fen
    lines: tuple[LedgerLine, ...]
    application: ApplicationId | None = None
    envelope: EnvelopeId | None = None


@contract("lianhu.welfare.payment-queued.v1", Kind.EVENT, consumers=())
class PaymentQueued(Internal):
    """A committed payment goes with this envelope."""

    envelope: EnvelopeId
    pool: PoolId
    application: ApplicationId
    amount: Fen
    payee: Ref
    attempt: Annotated[int, Field(ge=1)]
    cut_at: DueAt
    """When the envelope is closed and sent."""


@contract(
    "lianhu.welfare.payment-taken-out.v1",
    Kind.EVENT,
    consumers=(),
    answers=(PublisherKind.TREASURY,),
)
class PaymentTakenOut(Internal):
    """A payment left its envelope: withdrawn before the cut, or come back before the confirmation.

    The control totals of an envelope that is cut stay what they were.
    """

    envelope: EnvelopeId
    application: ApplicationId
    reason: Slug
    """`withdrawn`, or why it came back."""


class PaymentItem(Internal):
    """One payment of an envelope."""

    application: ApplicationId
    payee: Ref
    amount: Fen


@contract("lianhu.welfare.payment-instructed.v1", Kind.EVENT, consumers=("notify",))
class PaymentInstructed(Internal):
    """An envelope is closed and goes to the treasury, with its control totals 控制总数."""

    envelope: EnvelopeId
    pool: PoolId
    to: str
    """The treasury's publisher."""
    count: int
    total: Fen
    items: tuple[PaymentItem, ...]
    confirm_by: DueAt
    policy_version: str

    @property
    def addressee(self) -> str | None:
        """The treasury."""
        return self.to


@contract(
    "lianhu.welfare.envelope-settled.v1",
    Kind.EVENT,
    consumers=(),
    answers=(PublisherKind.TREASURY,),
)
class EnvelopeSettled(Internal):
    """Every payment of the envelope is confirmed or came back."""

    envelope: EnvelopeId
    paid: Fen
    bounced: Fen


@contract(
    "lianhu.welfare.envelope-held.v1",
    Kind.EVENT,
    consumers=("notify",),
    answers=(PublisherKind.TREASURY,),
)
class EnvelopeHeld(Internal):
    """What the treasury says does not fit the envelope, or it is silent: finance is told 挂起."""

    envelope: EnvelopeId
    why: Slug
    """`wrong-count`, `wrong-total`, `wrong-items`, `not-confirmed-in-time`."""
    count: int
    total: Fen
    told_count: int | None = None
    told_total: Fen | None = None
    audience: tuple[Audience, ...] = ()
