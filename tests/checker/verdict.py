"""What the checker says: counts, and every finding by kind and place."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeAlias

Balances: TypeAlias = Mapping[str, Mapping[str, int]]
"""Pool -> account -> what stands there: fen, or places where the pool has no year."""


class Kind(StrEnum):
    """What sort of broken promise a finding is."""

    LOST = "lost"
    DOUBLED = "doubled"
    OUT_OF_ORDER = "out-of-order"
    GAP = "gap"
    CHAIN = "chain"
    FOLD = "fold"
    STRANGER = "stranger"
    """Something that nobody is known to have caused."""
    TOLD_WRONGLY = "told-wrongly"
    UNBALANCED = "unbalanced"
    """Money that does not add up."""
    WAITING = "waiting"
    """Something is not finished; a later look may find it done."""


@dataclass(frozen=True, order=True)
class Finding:
    """One thing that is wrong: its kind, what exactly (a slug), and where."""

    kind: Kind
    what: str
    where: str

    def __str__(self) -> str:
        return f"{self.kind}: {self.what}: {self.where}"


@dataclass(frozen=True)
class Verdict:
    """Counts of what was looked at, and what was found to be wrong."""

    counts: Mapping[str, int]
    findings: tuple[Finding, ...]
    pools: Balances = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        """Whether the promise was kept."""
        return not self.findings

    def of(self, kind: Kind) -> int:
        """How many findings of a kind."""
        return Counter(finding.kind for finding in self.findings)[kind]

    def lines(self) -> list[str]:
        """The verdict for a person; findings first, at most fifty."""
        out = [f"  ✗ {finding}" for finding in self.findings[:50]]
        if len(self.findings) > 50:
            out.append(f"  … and {len(self.findings) - 50} more findings")
        found = dict(self.counts)
        out += [
            f"reports in {found['reports']}: {found['cases']} cases, "
            f"{found['refused']} refused, {found['repeated']} told before",
            f"commands {found['commands']}: {found['commands_refused']} refused; "
            f"answers {found['answers']}",
            f"events {found['events']}; deadlines that fired {found['deadlines']}; "
            f"repeats on topics that did nothing {found['repeats']}",
            f"notices {found['notices']}: {found['delivered']} delivered, "
            f"{found['suppressed']} suppressed, {found['failed']} failed, "
            f"{found['uncertain']} uncertain; received outside {found['received']}",
            *(_pool(name, stand) for name, stand in sorted(self.pools.items())),
            f"lost {self.of(Kind.LOST)}   doubled {self.of(Kind.DOUBLED)}   "
            f"out of order {self.of(Kind.OUT_OF_ORDER)}   gaps {self.of(Kind.GAP)}   "
            f"strangers {self.of(Kind.STRANGER)}   told wrongly {self.of(Kind.TOLD_WRONGLY)}   "
            f"unbalanced {self.of(Kind.UNBALANCED)}   waiting {self.of(Kind.WAITING)}",
            self._whole(Kind.CHAIN, f"chains intact ({found['streams']})", "chains broken"),
            self._whole(Kind.FOLD, f"fold == state ({found['states']})", "fold != state"),
        ]
        return out

    def _whole(self, kind: Kind, good: str, bad: str) -> str:
        count = self.of(kind)
        return f"{bad}: {count}" if count else good


def _pool(name: str, stand: Mapping[str, int]) -> str:
    """What a pool got, and where it is now."""

    def shown(account: str, sign: int = 1) -> str:
        amount = sign * stand.get(account, 0)
        return str(amount) if name.endswith("/0000") else f"{amount / 100:,.2f}"

    return (
        f"pool {name}: got {shown('source', -1)} = left {shown('available')} "
        f"+ reserved {shown('reserved')} + committed {shown('committed')} "
        f"+ with the treasury {shown('instructed')} + paid {shown('paid')}"
    )
