"""Real accounts through the real chain: each is opened as triage says, or answered with its faults.

The accounts lie beside the repository and are not part of it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest
from ahocorasick_rs import AhoCorasick

from deploy.embedded import session
from deploy.embedded.session import Session
from lianhu.contracts.decode import decode
from lianhu.contracts.intake import ReportSubmitted
from lianhu.contracts.vocabulary import Path as Ways
from lianhu.intake.policy import Policy
from lianhu.intake.settings import Settings
from lianhu.intake.suitability import suitability
from lianhu.intake.triage import triage
from tests.checker.collect import judge
from tests.checker.topics import read_topics
from tests.checker.verdict import Verdict
from tests.demo.__main__ import SERVICES, send
from tests.demo.book import Book
from tests.demo.own import read_reports
from tests.demo.wire import Sender, Watcher
from tests.narratives import FILE, reports_of

DISTRICT = "440304000000"
"""Where the protection path begins."""

pytestmark = [
    pytest.mark.timeout(240),
    pytest.mark.skipif(
        not FILE.exists(), reason="the real accounts (shared/data/narratives.jsonl) are not here"
    ),
]


@dataclass
class Run:
    """What was sent, what became of it, and all that stands on our topics and in the logs."""

    reports: list[tuple[str, str, bytes]]
    book: Book
    verdict: Verdict
    said: bytes


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """The reports of all accounts through a chain of their own."""
    reports = read_reports(converted(tmp_path_factory.mktemp("accounts") / "reports.jsonl"))
    with session(environment="test") as running:
        watcher = Watcher(running.bootstrap, lambda _: None)
        try:
            send(Sender(running.bootstrap), watcher, reports)
            dsns = {name: running.dsns(name).runtime for name in SERVICES}
            verdict = judge(running.bootstrap, dsns, within=60.0)
            yield Run(reports, watcher.to_the_end(), verdict, said_by(running))
        finally:
            watcher.close()


def said_by(running: Session) -> bytes:
    records, _ = read_topics(running.bootstrap)
    parts = [
        part
        for record in records
        if record.public is None
        for part in (record.key, record.value, *(value for _, value in record.headers))
    ]
    logs = [path.read_bytes() for path in running.run_dir.glob("logs/*.log")]
    return b"\n".join(part for part in (*parts, *logs) if part)


def converted(path: Path) -> Path:
    lines = FILE.read_text(encoding="utf-8").split("\n")
    made = [json.dumps(report, ensure_ascii=False) for report in reports_of(lines)]
    path.write_text("\n".join(made), encoding="utf-8")
    return path


def expected(body: bytes, policy: Policy) -> tuple[str, ...]:
    """How a report should end: category, risk and first unit, or its faults."""
    report, faults = decode(ReportSubmitted, body)
    if not isinstance(report, ReportSubmitted):
        return ("refused", *sorted(f"{fault.path} {fault.slug}" for fault in faults))
    found = triage(report, policy)
    gate = suitability(report, report.concerned, found, datetime.now(UTC), policy)
    first = DISTRICT if gate.path is Ways.PROTECTION else str(report.place.division)
    return ("opened", found.category, gate.risk, first)


def ended(book: Book, publisher: str, id_: str) -> tuple[str, ...]:
    """How it did end, by its events and answers."""
    (answer,) = book.answers_to(publisher, id_)
    if answer.name == "message-refused":
        faults = answer.data["faults"]
        return ("refused", *sorted(f"{fault['path']} {fault['slug']}" for fault in faults))
    case = book.case_of(publisher, id_)
    assert case is not None
    opened, offered = case.opened.data, case.all("case-offered")
    assert [offer.data["unit"] for offer in offered] == [opened["unit"]]
    return ("opened", opened["category"], opened["risk"], opened["unit"])


def test_each_account_ends_as_a_case_or_as_a_refusal(run: Run) -> None:
    policy = Policy.load(Settings())
    assert len(run.reports) >= 350
    assert {id_: ended(run.book, publisher, id_) for publisher, id_, _ in run.reports} == {
        id_: expected(body, policy) for _, id_, body in run.reports
    }


def test_the_promise_is_kept_over_all_of_them(run: Run) -> None:
    verdict, sent = run.verdict, len(run.reports)
    assert verdict.ok, verdict.lines()
    assert verdict.counts["reports"] == sent
    assert verdict.counts["cases"] + verdict.counts["refused"] == sent


def test_nothing_that_leaves_a_service_quotes_an_account(run: Run) -> None:
    sentences = {
        sentence
        for _, _, body in run.reports
        for sentence in json.loads(body)["narrative"].split("。")
        if len(sentence) >= 10
    }
    quoted = AhoCorasick(sentences).find_matches_as_strings(run.said.decode(errors="replace"))
    assert quoted == []
