"""Money, and what is paid by and to whom: amounts in fen, pools, envelopes, ledger lines."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal, TypeAlias

from pydantic import Field, StringConstraints

from lianhu.contracts.base import Internal, Public

Fen: TypeAlias = Annotated[int, Field(ge=0, le=10**13)]
"""An amount of renminbi in fen 分, never a fraction."""

ApplicationId = Annotated[
    str, StringConstraints(pattern=r"^[0-9]{6}-[0-9]{4}-[0-9]{6,12}-a[1-9][0-9]{0,2}$")
]
"""An application 申请 such as `440304-2026-000123-a1`: the case and a running number in it."""

ProgrammeId = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]{1,40}$")]
PoolId = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]{1,40}/[0-9]{12}/[0-9]{4}$")]
"""A budget pool 资金池: programme, unit and year, `difficulty-relief/440304000000/2026`."""

EnvelopeId = Annotated[
    str,
    StringConstraints(
        pattern=r"^[a-z][a-z0-9-]{1,40}/[0-9]{12}/[0-9]{4}/[0-9]{4}-[0-9]{2}-[0-9]{2}$"
    ),
]
"""A payment envelope 支付批次: a pool and the day in Shanghai on which it was begun."""


class Money(Public):
    """An amount as a publisher writes it: at most two decimals, not negative, renminbi only."""

    amount: Annotated[str, StringConstraints(pattern=r"^(0|[1-9][0-9]{0,9})(\.[0-9]{1,2})?$")]
    currency: Literal["CNY"] = "CNY"

    @property
    def fen(self) -> int:
        """The amount in fen."""
        yuan, _, rest = self.amount.partition(".")
        return 100 * int(yuan) + int(rest.ljust(2, "0") or 0)


def yuan(fen: int) -> str:
    """`123450` fen is `1234.50`."""
    return f"{fen // 100}.{fen % 100:02d}"


class LedgerAccount(StrEnum):
    """The accounts of a pool's ledger 台账科目; together they always sum to zero.

    Funding comes in from `source`; what stands in `paid` has left.
    """

    SOURCE = "source"  # 拨入
    AVAILABLE = "available"  # 可用
    RESERVED = "reserved"  # 预留
    COMMITTED = "committed"  # 已批待付
    INSTRUCTED = "instructed"  # 支付在途
    PAID = "paid"  # 已付


class Posting(StrEnum):
    """What a ledger entry does: from one account to another, always the same amount."""

    FUND = "fund"  # source -> available
    RESERVE = "reserve"  # available -> reserved
    COMMIT = "commit"  # reserved -> committed
    INSTRUCT = "instruct"  # committed -> instructed
    PAY = "pay"  # instructed -> paid
    BOUNCE = "bounce"  # instructed -> committed
    RELEASE = "release"  # reserved or committed -> available


class LedgerLine(Internal):
    """One side of an entry: what an account gains (positive) or loses (negative), in fen."""

    account: LedgerAccount
    change: Annotated[int, Field(ge=-(10**13), le=10**13)]
