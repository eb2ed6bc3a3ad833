"""Does the money add up: each entry, each balance at every moment, each payment once.

Read from welfare's journal and from what the treasury itself published. What a posting moves from
where to where stands here a second time and is not imported.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.checker.effects import head_of
from tests.checker.evidence import Evidence, JournalRow, data_of, short
from tests.checker.verdict import Balances, Finding, Kind

SOURCE, AVAILABLE, RESERVED, COMMITTED, INSTRUCTED, PAID = (
    *("source", "available", "reserved", "committed", "instructed", "paid"),
)
_FROM: Mapping[str, tuple[str, ...]] = {
    "fund": (SOURCE,),
    "reserve": (AVAILABLE,),
    "commit": (RESERVED,),
    "instruct": (COMMITTED,),
    "pay": (INSTRUCTED,),
    "bounce": (INSTRUCTED,),
    "release": (RESERVED, COMMITTED),
}
_TO = {
    "fund": AVAILABLE,
    "reserve": RESERVED,
    "commit": COMMITTED,
    "instruct": INSTRUCTED,
    "pay": PAID,
    "bounce": COMMITTED,
    "release": AVAILABLE,
}
_ENTRY, _CONFIRM = "ledger-posted", "confirm-payment"


def balances(evidence: Evidence) -> Balances:
    """Pool -> account -> what stands there, in fen or in places, by the journal alone."""
    found: dict[str, Counter[str]] = {}
    for row in _named(evidence, _ENTRY):
        for line in row.data.get("lines", ()):
            found.setdefault(str(row.data["pool"]), Counter())[line["account"]] += line["change"]
    return found


def money(evidence: Evidence) -> Iterator[Finding]:
    """Entries, then applications, envelopes, the treasury's word, and who has had what."""
    yield from _entries(_named(evidence, _ENTRY))
    yield from _applications(evidence)
    yield from _envelopes(evidence)
    yield from _treasury(evidence)
    yield from _claims(evidence)


def _named(evidence: Evidence, *names: str) -> list[JournalRow]:
    welfare = evidence.databases.get("welfare")
    return [] if welfare is None else [row for row in welfare.journal if row.name in names]


def _where(row: JournalRow) -> str:
    return f"welfare {row.stream}:{row.version}"


def _entries(rows: Sequence[JournalRow]) -> Iterator[Finding]:
    stand: dict[str, Counter[str]] = {}
    for row in rows:
        pool, posting, amount = (row.data[name] for name in ("pool", "posting", "amount"))
        lines = {line["account"]: line["change"] for line in row.data["lines"]}
        source = [account for account, change in lines.items() if change < 0]
        if row.stream != f"pool/{pool}":
            yield Finding(Kind.UNBALANCED, "entry-in-another-pool", _where(row))
        if sum(line["change"] for line in row.data["lines"]) != 0:
            yield Finding(Kind.UNBALANCED, "entry-does-not-sum-to-zero", _where(row))
        elif len(source) != 1 or lines != {source[0]: -amount, _TO[posting]: amount}:
            yield Finding(Kind.UNBALANCED, "entry-is-not-of-its-amount", _where(row))
        elif source[0] not in _FROM[posting]:
            yield Finding(Kind.UNBALANCED, "entry-from-a-wrong-account", _where(row))
        now = stand.setdefault(pool, Counter())
        for account, change in lines.items():
            now[account] += change
            if now[account] < 0 and account != SOURCE:
                yield Finding(Kind.UNBALANCED, "below-zero", f"{_where(row)} {account}")


@dataclass
class _Held:
    """What an application holds of a pool, and how often it was paid."""

    reserved: int = 0
    committed: int = 0
    paid: int = 0
    below: bool = False

    def take(self, row: JournalRow) -> None:
        amount = row.data["amount"]
        match row.data["posting"]:
            case "reserve":
                self.reserved += amount
            case "commit":
                self.reserved, self.committed = self.reserved - amount, self.committed + amount
            case "pay":
                self.committed, self.paid = self.committed - amount, self.paid + 1
            case "release":
                changes = {line["account"]: line["change"] for line in row.data["lines"]}
                self.reserved += changes.get(RESERVED, 0)
                self.committed += changes.get(COMMITTED, 0)
        self.below |= min(self.reserved, self.committed) < 0


def _applications(evidence: Evidence) -> Iterator[Finding]:
    """Nobody gets what was not reserved, or gets it twice, or keeps it when all is over."""
    held: dict[str, _Held] = {}
    posted: Counter[tuple[object, ...]] = Counter()
    for row in _named(evidence, _ENTRY):
        application = row.data.get("application")
        if application is not None:
            held.setdefault(application, _Held()).take(row)
            if row.data["posting"] in ("pay", "bounce"):
                posted[_payment(row.data["posting"], row.data, "envelope")] += 1
    for application, one in held.items():
        where = f"welfare {application}"
        if one.paid > 1:
            yield Finding(Kind.DOUBLED, "paid-twice", where)
        if one.below:
            yield Finding(Kind.UNBALANCED, "more-than-was-reserved", where)
    for row in _named(evidence, "application-ended"):
        left = held.get(row.data["application"], _Held())
        if left.reserved or left.committed:
            yield Finding(
                Kind.UNBALANCED, "money-left-behind", f"welfare {row.data['application']}"
            )
    told = Counter(
        _payment("pay", row.data, "envelope")
        if row.name == "payment-confirmed"
        else _payment("bounce", row.data, "bounced_from")
        for row in _named(evidence, "payment-confirmed", "payment-bounced")
    )
    for payment in (posted - told).keys() | (told - posted).keys():
        where = f"welfare {payment[1]} {payment[0]}"
        more = posted[payment] > told[payment]
        what = "posted-and-not-told" if more else "told-and-not-posted"
        yield Finding(Kind.LOST, what, where)


def _payment(posting: str, data: Mapping[str, Any], envelope: str) -> tuple[object, ...]:
    return posting, data["application"], data["amount"], data[envelope]


def _envelopes(evidence: Evidence) -> Iterator[Finding]:
    """Each is as its control totals say, is entered once, and is settled by as much as it held."""
    entered: dict[str, list[int]] = {}
    bounces: Counter[str] = Counter()
    for row in _named(evidence, _ENTRY):
        if row.data["posting"] == "instruct":
            entered.setdefault(row.data["envelope"], []).append(row.data["amount"])
        elif row.data["posting"] == "bounce":
            bounces[row.data["application"]] += 1
    sent: Counter[str] = Counter()
    total: dict[str, int] = {}
    for row in _named(evidence, "payment-instructed"):
        envelope, items = row.data["envelope"], row.data["items"]
        where = f"welfare {envelope}"
        total[envelope] = row.data["total"]
        sent.update(item["application"] for item in items)
        if (len(items), sum(item["amount"] for item in items)) != (
            row.data["count"],
            row.data["total"],
        ):
            yield Finding(Kind.UNBALANCED, "control-totals", where)
        if len({item["application"] for item in items}) != len(items):
            yield Finding(Kind.DOUBLED, "twice-in-an-envelope", where)
        if entered.get(envelope) != [row.data["total"]]:
            yield Finding(Kind.UNBALANCED, "not-entered-as-sent", where)
    for envelope in entered.keys() - total.keys():
        yield Finding(Kind.LOST, "entered-and-not-sent", f"welfare {envelope}")
    for application, times in sent.items():
        if times > bounces[application] + 1:
            yield Finding(Kind.DOUBLED, "sent-again", f"welfare {application}")
    for row in _named(evidence, "envelope-settled"):
        envelope = row.data["envelope"]
        if row.data["paid"] + row.data["bounced"] != total.get(envelope, 0):
            yield Finding(Kind.UNBALANCED, "settled-by-another-total", f"welfare {envelope}")


@dataclass
class _Word:
    """What a confirmation says, and what was entered because of it."""

    paid: set[str] = field(default_factory=set)
    entered: set[str] = field(default_factory=set)


def _treasury(evidence: Evidence) -> Iterator[Finding]:
    """What is entered as paid is what the treasury said it paid, and nothing else."""
    said: dict[str, _Word] = {}
    for record in evidence.records:
        if record.public is not None and record.public[0] == "welfare":
            type_, id_ = head_of(record)
            if short(type_) == _CONFIRM and id_ is not None:
                said.setdefault(id_, _Word(_paid(record.value)))
    done = {row.causation for row in _named(evidence, "envelope-settled")}
    for row in _named(evidence, _ENTRY):
        if row.data["posting"] == "pay":
            word = said.get(row.causation or "")
            if word is None:
                yield Finding(Kind.STRANGER, "paid-without-the-treasury", _where(row))
            else:
                word.entered.add(row.data["application"])
    for id_, word in said.items():
        if (id_ in done or word.entered) and word.paid != word.entered:
            yield Finding(Kind.UNBALANCED, "paid-is-not-what-was-confirmed", f"welfare {id_}")


def _paid(body: bytes | None) -> set[str]:
    paid = data_of(body).get("paid")
    return {str(one) for one in paid} if isinstance(paid, list) else set()


def _claims(evidence: Evidence) -> Iterator[Finding]:
    """What may be had once is held by one application at a time."""
    holder: dict[str, str] = {}
    for row in _named(evidence, "claim-taken", "claim-released"):
        if row.name == "claim-released":
            holder.pop(row.stream, None)
        elif holder.setdefault(row.stream, row.data["application"]) != row.data["application"]:
            yield Finding(Kind.DOUBLED, "claimed-by-two", _where(row))
