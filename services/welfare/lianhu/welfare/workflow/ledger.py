"""The ledger 台账 of a pool: what each posting moves from where to where."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from lianhu.contracts.money import LedgerAccount, LedgerLine, Posting
from lianhu.contracts.payments import LedgerPosted

_FROM: Mapping[Posting, LedgerAccount] = MappingProxyType(
    {
        Posting.FUND: LedgerAccount.SOURCE,
        Posting.RESERVE: LedgerAccount.AVAILABLE,
        Posting.COMMIT: LedgerAccount.RESERVED,
        Posting.INSTRUCT: LedgerAccount.COMMITTED,
        Posting.PAY: LedgerAccount.INSTRUCTED,
        Posting.BOUNCE: LedgerAccount.INSTRUCTED,
    }
)
_TO: Mapping[Posting, LedgerAccount] = MappingProxyType(
    {
        Posting.FUND: LedgerAccount.AVAILABLE,
        Posting.RESERVE: LedgerAccount.RESERVED,
        Posting.COMMIT: LedgerAccount.COMMITTED,
        Posting.INSTRUCT: LedgerAccount.INSTRUCTED,
        Posting.PAY: LedgerAccount.PAID,
        Posting.BOUNCE: LedgerAccount.COMMITTED,
        Posting.RELEASE: LedgerAccount.AVAILABLE,
    }
)


def entry(
    pool: str,
    posting: Posting,
    amount: int,
    *,
    application: str | None = None,
    envelope: str | None = None,
    released_from: LedgerAccount = LedgerAccount.RESERVED,
) -> LedgerPosted:
    """A double entry: what one account loses, another gains. In fen, or in places."""
    source = _FROM.get(posting, released_from)
    return LedgerPosted(
        pool=pool,
        posting=posting,
        amount=amount,
        lines=(
            LedgerLine(account=source, change=-amount),
            LedgerLine(account=_TO[posting], change=amount),
        ),
        application=application,
        envelope=envelope,
    )
