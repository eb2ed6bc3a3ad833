"""The checker finds a message that had another number of effects than one."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.checker.effects import effects
from tests.checker.evidence import Database, Evidence, JournalRow, Record

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)
HOTLINE, TREASURY = "hotline-futian", "treasury-futian"
TOPICS = {
    "intake": f"intake.reports.{HOTLINE}.v1",
    "welfare": f"welfare.commands.{TREASURY}.v1",
}


def row(service: str, name: str, stream: str, **body: Any) -> JournalRow:
    answers = HOTLINE if service == "intake" else TREASURY
    type_ = f"lianhu.{service}.{name}.v1"
    return JournalRow(
        *(1, stream, 1, 1, f"{stream}:{name}", type_, NOW, "m-1", answers),
        *(json.dumps({"publisher": answers, **body}), b""),
    )


def found(service: str, *rows: JournalRow) -> set[str]:
    headers = (("ce_id", b"m-1"), ("ce_type", b"any"))
    record = Record(TOPICS[service], 0, 0, NOW, None, headers, b"{}")
    databases = {service: Database(service, rows, (), (), 0)}
    evidence = Evidence((record,), databases, {}, NOW)
    return {f"{one.kind}: {one.what}" for one in effects(evidence)}


RECEIPT = row("intake", "report-accepted", "submission/1")
OPENED = row("intake", "case-opened", "case/1", case="1")
JOINED = row("intake", "report-joined", "case/2", case="2")
REFUSED = row("intake", "message-refused", "submission/2", message="m-1", faults=[])


@pytest.mark.parametrize("became", [OPENED, JOINED], ids=["case", "join"])
def test_a_report_becomes_one_case_or_joins_one(became: JournalRow) -> None:
    assert found("intake", RECEIPT, became) == set()


@pytest.mark.parametrize(
    ("rows", "what"),
    [
        ((), "lost: no-effect"),
        ((RECEIPT,), "lost: case-or-receipt-missing"),
        ((OPENED,), "lost: case-or-receipt-missing"),
        ((RECEIPT, OPENED, JOINED), "doubled: case-and-join-of-one-report"),
        ((RECEIPT, OPENED, REFUSED), "doubled: refused-and-done"),
        ((REFUSED, REFUSED), "doubled: refused-twice"),
    ],
)
def test_any_other_end_of_a_report_is_found(rows: tuple[JournalRow, ...], what: str) -> None:
    assert what in found("intake", *rows)


def paid(application: str) -> tuple[JournalRow, ...]:
    about = {"application": application}
    return (
        row("welfare", "payment-confirmed", f"case/{application}", **about),
        row("welfare", "ledger-posted", "pool/p", posting="pay", **about),
    )


def test_one_word_of_the_treasury_settles_several_payments_and_each_of_them_once() -> None:
    assert found("welfare", *paid("a1"), *paid("a2")) == set()
    assert "doubled: done-twice" in found("welfare", *paid("a1"), *paid("a1"))
    assert "doubled: done-twice" in found("welfare", *paid("a1"), paid("a1")[1])


def test_a_pool_that_is_filled_twice_by_one_command_is_found() -> None:
    filled = row("welfare", "ledger-posted", "pool/p", posting="fund")
    assert found("welfare", filled) == set()
    assert "doubled: done-twice" in found("welfare", filled, filled)
