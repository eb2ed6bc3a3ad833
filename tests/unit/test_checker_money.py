"""The checker finds money that does not add up: a small ledger, then one thing wrong in it."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.checker.evidence import Database, Evidence, JournalRow, Record, data_of
from tests.checker.money import balances, money

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)
POOL = "difficulty-relief/440304000000/2026"
ONE, TWO = "440304-2026-000001-a1", "440304-2026-000002-a1"
FIRST, SECOND = f"{POOL}/2026-03-02", f"{POOL}/2026-03-03"
CONFIRMED, AGAIN = "confirm-1", "confirm-2"
TREASURY = "treasury-futian"

Written = tuple[str, str, str | None, dict[str, Any]]
"""Stream, name, cause, body."""


def entry(posting: str, source: str, target: str, amount: int, **more: Any) -> Written:
    cause = more.pop("cause", None)
    lines = [{"account": source, "change": -amount}, {"account": target, "change": amount}]
    body = {"pool": POOL, "posting": posting, "amount": amount, "lines": lines, **more}
    return f"pool/{POOL}", "ledger-posted", cause, body


def sent(envelope: str, *items: str) -> Written:
    listed = [{"application": item, "amount": 1000} for item in items]
    body = {"envelope": envelope, "count": len(items), "total": 1000 * len(items), "items": listed}
    return f"envelope/{envelope}", "payment-instructed", None, body


def told(name: str, application: str, **more: Any) -> Written:
    return f"case/{application[:18]}", name, None, {"application": application, **more}


def settled(envelope: str, cause: str, paid: int, bounced: int) -> Written:
    body = {"envelope": envelope, "paid": paid, "bounced": bounced}
    return f"envelope/{envelope}", "envelope-settled", cause, body


def claim(name: str, application: str) -> Written:
    return "claim/winter", name, None, {"application": application}


def pay(application: str, envelope: str, cause: str) -> Written:
    more = {"application": application, "envelope": envelope, "cause": cause}
    return entry("pay", "instructed", "paid", 1000, **more)


def reserved(application: str) -> list[Written]:
    return [
        entry("reserve", "available", "reserved", 1000, application=application),
        entry("commit", "reserved", "committed", 1000, application=application),
    ]


BOUNCE = entry("bounce", "instructed", "committed", 1000, application=TWO, envelope=FIRST)
LEDGER: list[Written] = [
    entry("fund", "source", "available", 5000),
    claim("claim-taken", TWO),
    claim("claim-released", TWO),
    claim("claim-taken", ONE),
    *reserved(ONE),
    *reserved(TWO),
    sent(FIRST, ONE, TWO),
    entry("instruct", "committed", "instructed", 2000, envelope=FIRST),
    pay(ONE, FIRST, CONFIRMED),
    told("payment-confirmed", ONE, amount=1000, envelope=FIRST),
    told("application-ended", ONE),
    BOUNCE,
    told("payment-bounced", TWO, amount=1000, bounced_from=FIRST, envelope=SECOND),
    settled(FIRST, CONFIRMED, 1000, 1000),
    sent(SECOND, TWO),
    entry("instruct", "committed", "instructed", 1000, envelope=SECOND),
    pay(TWO, SECOND, AGAIN),
    told("payment-confirmed", TWO, amount=1000, envelope=SECOND),
    told("application-ended", TWO),
    settled(SECOND, AGAIN, 1000, 0),
]
"""Two applications: one is paid at once, the other's payment comes back and is paid after that."""


def row(seq: int, written: Written) -> JournalRow:
    stream, name, cause, body = written
    type_ = f"lianhu.welfare.{name}.v1"
    return JournalRow(
        *(seq, stream, seq, 1, f"{stream}:{seq}", type_, NOW, cause, None),
        *(json.dumps(body), b""),
    )


def confirmation(id_: str, *paid: str) -> Record:
    headers = (("ce_id", id_.encode()), ("ce_type", b"lianhu.welfare.confirm-payment.v1"))
    body = json.dumps({"paid": paid}).encode()
    return Record(f"welfare.commands.{TREASURY}.v1", 0, 0, NOW, None, headers, body)


WORDS = (confirmation(CONFIRMED, ONE), confirmation(AGAIN, TWO))


def evidence(ledger: list[Written], words: tuple[Record, ...] = WORDS) -> Evidence:
    journal = tuple(row(seq, written) for seq, written in enumerate(ledger, start=1))
    return Evidence(words, {"welfare": Database("welfare", journal, (), (), 0)}, {}, NOW)


def found(ledger: list[Written], words: tuple[Record, ...] = WORDS) -> set[str]:
    return {f"{one.kind}: {one.what}" for one in money(evidence(ledger, words))}


def instead(old: Written, *new: Written) -> list[Written]:
    place = LEDGER.index(old)
    return [*LEDGER[:place], *new, *LEDGER[place + 1 :]]


def changed(old: Written, **more: Any) -> list[Written]:
    stream, name, cause, body = old
    return instead(old, (stream, name, cause, {**body, **more}))


def test_what_adds_up_is_kept_and_each_pool_is_counted() -> None:
    assert found(LEDGER) == set()
    assert balances(evidence(LEDGER)) == {
        POOL: {
            "source": -5000,
            "available": 3000,
            "reserved": 0,
            "committed": 0,
            "instructed": 0,
            "paid": 2000,
        }
    }


FUNDED = LEDGER[0]
PAID = pay(ONE, FIRST, CONFIRMED)

BROKEN: dict[str, tuple[Callable[[], list[Written]], set[str]]] = {
    "an entry of one side": (
        lambda: changed(FUNDED, lines=[{"account": "available", "change": 5000}]),
        {"unbalanced: entry-does-not-sum-to-zero"},
    ),
    "an entry of more than it says": (
        lambda: changed(FUNDED, amount=1),
        {"unbalanced: entry-is-not-of-its-amount"},
    ),
    "an entry from a wrong account": (
        lambda: instead(
            BOUNCE, entry("bounce", "reserved", "committed", 1000, application=TWO, envelope=FIRST)
        ),
        {"unbalanced: entry-from-a-wrong-account", "unbalanced: below-zero"},
    ),
    "an entry in another pool's stream": (
        lambda: instead(FUNDED, ("pool/another", *FUNDED[1:])),
        {"unbalanced: entry-in-another-pool"},
    ),
    "a pool below zero for a moment": (
        lambda: [*LEDGER[1:], FUNDED],
        {"unbalanced: below-zero"},
    ),
    "more committed than reserved": (
        lambda: [*LEDGER, entry("commit", "reserved", "committed", 500, application=ONE)],
        {"unbalanced: below-zero", "unbalanced: more-than-was-reserved"}
        | {"unbalanced: money-left-behind"},
    ),
    "reserved and forgotten": (
        lambda: [*LEDGER, entry("reserve", "available", "reserved", 10, application=ONE)],
        {"unbalanced: money-left-behind"},
    ),
    "paid twice": (
        lambda: [*LEDGER, *reserved(ONE), PAID],
        {"doubled: paid-twice", "unbalanced: below-zero", "lost: posted-and-not-told"},
    ),
    "a payment that nobody was told of": (
        lambda: instead(told("payment-confirmed", ONE, amount=1000, envelope=FIRST)),
        {"lost: posted-and-not-told"},
    ),
    "a return that was not entered": (
        lambda: instead(BOUNCE),
        {"lost: told-and-not-posted", "unbalanced: below-zero", "doubled: sent-again"},
    ),
    "an envelope of other totals": (
        lambda: changed(sent(FIRST, ONE, TWO), total=1),
        {"unbalanced: control-totals", "unbalanced: not-entered-as-sent"}
        | {"unbalanced: settled-by-another-total"},
    ),
    "an envelope with the same payment twice": (
        lambda: instead(sent(FIRST, ONE, TWO), sent(FIRST, TWO, TWO)),
        {"doubled: twice-in-an-envelope", "doubled: sent-again"},
    ),
    "an envelope that was never sent": (
        lambda: instead(sent(FIRST, ONE, TWO)),
        {"lost: entered-and-not-sent", "unbalanced: settled-by-another-total"},
    ),
    "a payment without a word of the treasury": (
        lambda: instead(PAID, pay(ONE, FIRST, "nobody")),
        {"stranger: paid-without-the-treasury", "unbalanced: paid-is-not-what-was-confirmed"},
    ),
    "another payment than was confirmed": (
        lambda: instead(PAID, pay(ONE, FIRST, AGAIN)),
        {"unbalanced: paid-is-not-what-was-confirmed"},
    ),
    "what may be had once is claimed by two": (
        lambda: [*LEDGER, claim("claim-taken", TWO)],
        {"doubled: claimed-by-two"},
    ),
}


@pytest.mark.parametrize("broken", BROKEN)
def test_it_is_found(broken: str) -> None:
    ledger, what = BROKEN[broken]
    assert found(ledger()) == what


def test_a_confirmation_of_which_nothing_was_entered_is_found_when_it_was_taken() -> None:
    words = (confirmation(CONFIRMED, ONE, TWO), confirmation(AGAIN, TWO))
    assert found(LEDGER, words) == {"unbalanced: paid-is-not-what-was-confirmed"}
    held = (*WORDS, confirmation("held", ONE))
    assert found(LEDGER, held) == set()


def test_a_body_that_nobody_can_read_says_nothing() -> None:
    for body in (b"[" * 100_000, b"\xe9\xff", b"[]", None):
        assert data_of(body) == {}
    assert data_of(b'{"specversion": "1.0", "data": {"paid": []}}') == {"paid": []}
