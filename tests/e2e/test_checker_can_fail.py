"""The checker finds what is broken: a small real run, then one thing wrong in it.

First in what was read of the run, then in the run itself.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from time import monotonic

import asyncpg
import pytest

from deploy.embedded import session
from deploy.embedded.session import Session
from tests import bent_evidence as bent
from tests.checker.check import check
from tests.checker.collect import Memory, collect, judge
from tests.checker.evidence import Evidence
from tests.checker.verdict import Kind, Verdict
from tests.demo.reports import HOTLINE, OFFICERS, REPORTS
from tests.demo.wire import Sender, Watcher

pytestmark = pytest.mark.timeout(240)

SERVICES = ("intake", "mediation", "welfare", "notify")
TAKEN = {"story-1", "story-2", "story-3", "r-04", "r-07", "r-08", "story-4"}
FEW = tuple(one for one in REPORTS if one[1] in TAKEN | {"bad-place", "outside"})
"""Seven that are taken, of two publishers, and two that are not."""


@dataclass
class Run:
    """A chain that handled a few reports and commands, and what was read of it."""

    running: Session
    watcher: Watcher
    sender: Sender
    evidence: Evidence

    @property
    def dsns(self) -> dict[str, str]:
        return {name: self.running.dsns(name).runtime for name in SERVICES}

    def judge(self) -> Verdict:
        """The verdict once nothing is under way, whatever else is found."""
        last = monotonic() + 60
        while True:
            verdict = judge(self.running.bootstrap, self.dsns)
            if not verdict.of(Kind.WAITING) and not verdict.of(Kind.LOST):
                return verdict
            assert monotonic() < last, verdict.lines()

    def execute(self, service: str, statement: str, *values: object) -> None:
        """Change a service's database behind its back."""

        async def run() -> None:
            connection = await asyncpg.connect(self.running.stack.postgres.admin_dsn(service))
            try:
                status = await connection.execute(statement, *values)
                assert status.endswith(" 1"), status
            finally:
                await connection.close()

        asyncio.run(run())


@pytest.fixture(scope="module")
def run() -> Iterator[Run]:
    with session(environment="test") as running:
        sender, watcher = Sender(running.bootstrap), Watcher(running.bootstrap, lambda _: None)
        try:
            for publisher, id_, body in FEW:
                sender.report(publisher, id_, json.dumps(body).encode())
            sender.flush()
            watcher.until("seven cases", lambda book: len(book.cases) == 7, 60)
            give_commands(sender, watcher)
            dsns = {name: running.dsns(name).runtime for name in SERVICES}
            verdict = judge(running.bootstrap, dsns, within=60)
            assert verdict.ok, verdict.lines()
            yield Run(running, watcher, sender, collect(running.bootstrap, dsns))
        finally:
            watcher.close()


COMMANDS: tuple[tuple[str, str, str, str, dict[str, str]], ...] = (
    ("accept", "accept-case", "story-1", "case-accepted", {}),
    ("accept-again", "accept-case", "story-1", "message-refused", {}),
    ("protect", "accept-case", bent.PROTECTED, "case-accepted", {}),
    ("protected", "conclude-protection", bent.PROTECTED, "case-concluded", {"note": "已获保护令"}),
)
"""Id, command, report, answer, and what else it says."""


def give_commands(sender: Sender, watcher: Watcher) -> None:
    """A case is accepted, then once more, which is refused; the protected one is closed."""
    for id_, name, report, answer, more in COMMANDS:
        case = watcher.book.case_of(HOTLINE, report)
        assert case is not None
        by = {"officer": "officer-7", "post": "chair", "unit": case.unit}
        sender.command(OFFICERS, id_, name, case.number, {"case": case.number, "by": by, **more})
        sender.flush()
        assert answered(watcher, id_) == answer


def answered(watcher: Watcher, id_: str) -> str:
    found = watcher.until(
        f"the answer to {id_}", lambda book: next(book.answers_to(OFFICERS, id_), None), 60
    )
    return found.name


def said(verdict: Verdict, before: Verdict | None = None) -> set[str]:
    """What is found, by kind and slug, and was not found before."""
    known = () if before is None else before.findings
    return {f"{one.kind}: {one.what}" for one in verdict.findings if one not in known}


CHAIN = "chain: row-is-not-what-its-hash-says"
HEAD = "chain: state-stands-elsewhere"
STRANGE = "stranger: says-what-no-row-says"
UNSAID = "stranger: handled-what-is-not-on-the-topic"

BROKEN: dict[Callable[[Evidence], Evidence], set[str]] = {
    # journals and states
    bent.a_journal_row_says_more: {CHAIN, STRANGE},
    bent.a_journal_row_was_given_another_hash: {CHAIN, HEAD, STRANGE},
    bent.a_version_is_missing_in_the_journal: {
        "gap: version-missing",
        "stranger: event-without-journal-row",
    },
    bent.the_end_of_a_journal_was_cut_off: {
        HEAD,
        "fold: state-is-not-the-fold",
        "stranger: event-without-journal-row",
        "waiting: notice-not-ended",
    },
    bent.two_rows_were_committed_in_the_wrong_order: {
        "out-of-order: committed-before-its-predecessor"
    },
    bent.a_row_is_dated_before_its_predecessor: {CHAIN, "out-of-order: time-goes-back"},
    bent.a_state_was_changed: {"fold: state-is-not-the-fold"},
    bent.a_timer_was_put_off: {"fold: timer-does-not-follow"},
    bent.nobody_looked_at_the_timers: {"waiting: deadline-not-answered"},
    # topics
    bent.the_first_event_of_a_case_is_not_on_the_topic: {
        "gap: sequence-missing",
        "lost: journal-row-not-published",
        "told-wrongly: notice-for-nobody",
    },
    bent.the_last_event_of_a_case_is_not_on_the_topic: {"lost: journal-row-not-published", UNSAID},
    bent.the_first_records_of_a_topic_were_deleted: {"gap: first-records-deleted"},
    bent.two_events_of_a_case_are_in_the_wrong_order: {"out-of-order: later-event-stands-before"},
    bent.a_case_is_in_two_partitions: {"out-of-order: stream-in-two-partitions"},
    bent.an_event_came_again_with_another_content: {"doubled: position-told-with-another-content"},
    bent.an_event_that_nobody_wrote_is_on_the_topic: {
        "lost: event-not-handled",
        "stranger: event-without-journal-row",
    },
    bent.a_reader_has_not_handled_an_event: {"lost: event-not-handled"},
    bent.the_outbox_is_not_empty: {"waiting: outbox-not-empty"},
    bent.a_message_waits_for_a_person: {"waiting: parked-poison"},
    # effects
    bent.a_report_was_lost: {"lost: no-effect", "lost: not-answered"},
    bent.a_case_has_no_report: {"stranger: effect-of-no-message"},
    bent.a_report_has_two_cases: {
        CHAIN,
        STRANGE,
        "doubled: two-cases-of-one-report",
        "lost: case-or-receipt-missing",
    },
    bent.a_report_opened_a_case_and_joined_another: {
        CHAIN,
        STRANGE,
        "doubled: case-and-join-of-one-report",
        "fold: unreadable-row",
        "lost: case-or-receipt-missing",
    },
    bent.a_deadline_was_answered_twice: {CHAIN, STRANGE, "doubled: deadline-answered-twice"},
    bent.an_effect_stands_twice_in_its_stream: {
        HEAD,
        "doubled: followed-twice",
        "doubled: same-effect-of-the-same-cause",
        "fold: state-is-not-the-fold",
        "lost: journal-row-not-published",
        "waiting: outbox-not-empty",
    },
    bent.nothing_followed_an_opened_case: {CHAIN, STRANGE, "lost: nothing-followed"},
    # answers
    bent.an_answer_was_never_given: {"lost: answer-not-published", "lost: not-answered"},
    bent.a_refusal_was_never_told: {"lost: answer-not-published", "lost: not-answered"},
    bent.an_answer_went_to_another_publisher: {
        "lost: answer-not-published",
        "lost: not-answered",
        "stranger: answer-without-journal-row",
    },
    bent.an_answer_names_a_case: {"told-wrongly: answer-reveals-a-case"},
    # notices
    bent.a_notice_went_to_another_unit: {"lost: not-told", "told-wrongly: notice-for-nobody"},
    bent.a_unit_was_not_told: {"lost: not-told"},
    bent.a_unit_was_told_twice: {
        "doubled: told-twice",
        "lost: not-told",
        "told-wrongly: message-of-another-unit",
    },
    bent.a_notice_ended_twice: {
        CHAIN,
        STRANGE,
        "doubled: notice-ended-twice",
        "fold: unreadable-row",
        "told-wrongly: there-although-notice-failed",
    },
    bent.a_visit_was_asked_of_another_unit: {"lost: not-told", "told-wrongly: notice-for-nobody"},
    bent.the_other_party_was_told_although_she_is_protected: {
        "lost: not-told",
        "told-wrongly: notice-for-nobody",
        "told-wrongly: other-party-told",
    },
    bent.a_protected_person_was_told_in_plain_words: {
        "lost: not-told",
        "told-wrongly: not-in-neutral-words",
        "told-wrongly: notice-for-nobody",
    },
    bent.a_notice_is_not_in_its_digest: {"lost: not-in-its-digest"},
    bent.a_notice_went_with_the_digest_of_another_unit: {
        "lost: not-in-its-digest",
        "told-wrongly: digest-of-another-unit",
    },
    bent.a_screen_shows_the_notice_of_another_unit: {"told-wrongly: message-of-another-unit"},
    bent.a_screen_does_not_show_what_was_delivered: {"lost: delivered-and-not-there"},
    bent.a_screen_shows_what_nobody_sent: {"stranger: message-without-notice"},
}


def test_what_was_not_touched_is_kept(run: Run) -> None:
    verdict = check(run.evidence)
    assert verdict.ok
    assert verdict.counts["repeats"] == 0


@pytest.mark.parametrize("broken", BROKEN, ids=lambda broken: broken.__name__)
def test_it_is_found_that(run: Run, broken: Callable[[Evidence], Evidence]) -> None:
    assert said(check(broken(run.evidence))) == BROKEN[broken]


@pytest.mark.parametrize("topic", ["intake.events.v1", f"intake.answers.{HOTLINE}.v1"])
def test_a_record_that_was_only_published_twice_is_counted_and_harmless(
    run: Run, topic: str
) -> None:
    verdict = check(bent.again(run.evidence, run.evidence.of_topic(topic)[0]))
    assert verdict.ok
    assert verdict.counts["repeats"] == 1


# From here on the run itself is changed, and what is found adds up


def test_what_is_published_again_is_counted_and_harmless(run: Run) -> None:
    memory = Memory()
    first = collect(run.running.bootstrap, run.dsns, memory=memory)
    before = run.judge()
    run.execute("mediation", "UPDATE relay_cursor SET seq = seq - 3")

    def published() -> Verdict | None:
        verdict = run.judge()
        return verdict if verdict.counts["repeats"] >= 3 else None

    after = run.watcher.until("three rows to be published again", lambda _: published(), 60)
    assert after.findings == before.findings
    # a look that remembers an earlier one sees what one afresh does
    later = collect(run.running.bootstrap, run.dsns, memory=memory)
    afresh = collect(run.running.bootstrap, run.dsns)
    assert len(later.records) >= len(first.records) + 3
    assert (later.records, later.databases) == (afresh.records, afresh.databases)
    assert {*map(id, first.records)} < {*map(id, later.records)}


def test_a_message_told_again_that_had_a_second_effect_is_found(run: Run) -> None:
    publisher, id_, body = FEW[0]
    before = run.judge()
    topic = f"intake.reports.{publisher}.v1"
    run.execute("intake", "DELETE FROM inbox WHERE topic = $1 AND id = $2", topic, id_)
    run.sender.report(publisher, id_, json.dumps(body).encode())
    run.sender.flush()
    run.watcher.until("a second case", lambda book: len(book.cases) == 8, 60)
    assert said(run.judge(), before) == {
        "doubled: answered-twice",
        "doubled: two-cases-of-one-report",
    }


def test_a_screen_that_shows_the_notice_of_another_unit_is_found(run: Run) -> None:
    before = run.judge()
    notice = run.evidence.databases["notify"].in_app[0].notice
    statement = "UPDATE in_app SET unit = $1 WHERE notice = $2"
    run.execute("notify", statement, bent.ANOTHER_UNIT, notice)
    assert said(run.judge(), before) == {"told-wrongly: message-of-another-unit"}


def test_a_row_changed_in_the_database_is_found(run: Run) -> None:
    before = run.judge()
    row = bent.row_of(run.evidence, "intake", "case-opened")
    run.execute("intake", "UPDATE journal SET body = body || ' ' WHERE id = $1", row.id)
    assert said(run.judge(), before) == {CHAIN, STRANGE}
