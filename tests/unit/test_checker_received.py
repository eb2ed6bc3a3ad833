"""The checker holds what those outside received against notify's journal and the reports."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.checker.evidence import Database, Evidence, JournalRow, Received, Record
from tests.checker.received import received

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)
HERS, HIS = "138 0013 8001", "139-0013-9002"
PROTECTED, QUARREL = "440304-2026-000001", "440304-2026-000002"
TEXT = Received("sms", "n-1", "13800138001", "", "您好！您关注的事情有新的进展。")
LETTER = Received("email", "n-2", "he@example.org", "已登记", f"编号 {QUARREL}")


def row(service: str, name: str, stream: str, cause: str | None = None, **body: Any) -> JournalRow:
    type_ = f"lianhu.{service}.{name}.v1"
    return JournalRow(
        *(1, stream, 1, 1, f"{stream}:{name}", type_, NOW, cause, None), *(json.dumps(body), b"")
    )


def notice(name: str, case: str, id_: str, channel: str) -> JournalRow:
    more = {"notice": id_, "channel": channel, "role": "person-concerned"}
    return row("notify", name, f"case/{case}", **more)


INTAKE = (
    row(
        "intake", "case-opened", f"case/{PROTECTED}", "r-1", publisher="hotline", path="protection"
    ),
    row("intake", "case-opened", f"case/{QUARREL}", "r-2", publisher="hotline", path="mediation"),
)
NOTIFY = (
    row("notify", "contact-noted", f"case/{PROTECTED}", neutral=True),
    notice("notice-attempted", PROTECTED, "n-1", "sms"),
    notice("notice-delivered", PROTECTED, "n-1", "sms"),
    notice("notice-attempted", QUARREL, "n-2", "email"),
    notice("notice-delivered", QUARREL, "n-2", "email"),
)


def report(id_: str, **body: Any) -> Record:
    headers = (("ce_id", id_.encode()), ("ce_type", b"lianhu.intake.report-submitted.v1"))
    return Record("intake.reports.hotline.v1", 0, 0, NOW, None, headers, json.dumps(body).encode())


REPORTS = (
    report("r-1", concerned={"phone": HERS}, other_party={"phone": HIS}),
    report("r-2", concerned={"email": "he@example.org"}),
)


def found(*got: Received, notify: tuple[JournalRow, ...] = NOTIFY) -> set[str]:
    databases = {
        name: Database(name, journal, (), (), 0)
        for name, journal in (("intake", INTAKE), ("notify", notify))
    }
    evidence = Evidence(REPORTS, databases, {}, NOW, (), got)
    return {f"{one.kind}: {one.what}" for one in received(evidence)}


def test_what_was_sent_and_came_is_kept() -> None:
    assert found(TEXT, LETTER) == set()


def test_a_text_message_may_come_again_under_its_key_and_a_letter_may_not() -> None:
    assert found(TEXT, TEXT, LETTER) == set()
    assert found(TEXT, LETTER, LETTER) == {"doubled: received-twice"}


def test_a_letter_of_which_nobody_knows_may_come_twice() -> None:
    uncertain = (*NOTIFY[:4], notice("notice-uncertain", QUARREL, "n-2", "email"))
    assert found(TEXT, LETTER, LETTER, notify=uncertain) == set()


@pytest.mark.parametrize(
    ("got", "what"),
    [
        pytest.param((LETTER,), "lost: delivered-and-not-received", id="not received"),
        pytest.param(
            (TEXT, LETTER, replace(TEXT, notice="n-9")),
            "stranger: received-and-never-attempted",
            id="never sent",
        ),
        pytest.param(
            (replace(TEXT, to="+86 139 0013 9002"), LETTER),
            "told-wrongly: other-party-reached",
            id="to the other party",
        ),
        pytest.param(
            (replace(TEXT, text=f"编号 {PROTECTED}"), LETTER),
            "told-wrongly: case-named-to-a-protected-person",
            id="not neutral",
        ),
    ],
)
def test_it_is_found(got: tuple[Received, ...], what: str) -> None:
    assert found(*got) == {what}


def test_what_is_said_to_have_failed_must_not_have_come() -> None:
    failed = (*NOTIFY[:4], notice("notice-failed", QUARREL, "n-2", "email"))
    assert found(TEXT, LETTER, notify=failed) == {"told-wrongly: received-although-notice-failed"}


def test_nothing_is_asked_where_nobody_wrote_down_what_came() -> None:
    databases = {"notify": Database("notify", NOTIFY, (), (), 0)}
    assert not [*received(Evidence((), databases, {}, NOW))]
