"""The verdict from the evidence: a pure function. One more question is one more line here."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping

from tests.checker.answers import answers
from tests.checker.chains import chains, streams_of
from tests.checker.deadlines import deadlines
from tests.checker.effects import REFUSED, effects, submissions
from tests.checker.evidence import Evidence
from tests.checker.folds import folds
from tests.checker.handled import handled
from tests.checker.money import balances, money
from tests.checker.notices import ENDS, notices
from tests.checker.published import published, repeats, topics_of
from tests.checker.received import received
from tests.checker.verdict import Finding, Verdict

QUESTIONS: tuple[Callable[[Evidence], Iterator[Finding]], ...] = (
    chains,
    published,
    handled,
    effects,
    deadlines,
    answers,
    notices,
    received,
    money,
    folds,
)


def check(evidence: Evidence) -> Verdict:
    """All findings, sorted, and what was counted."""
    found = {finding for question in QUESTIONS for finding in question(evidence)}
    return Verdict(_counts(evidence), tuple(sorted(found)), balances(evidence))


def _counts(evidence: Evidence) -> Mapping[str, int]:
    databases = evidence.databases.values()
    names = Counter((d.service, row.name) for d in databases for row in d.journal)
    sent = submissions(evidence)
    reports = [one for one in sent if one.report]
    reporting = {one.publisher for one in reports}
    refused = Counter(
        row.data.get("publisher") in reporting
        for d in databases
        for row in d.journal
        if row.name == REFUSED
    )
    ends = {name: names["notify", name] for name in ENDS}
    return {
        "reports": sum(len(one.records) for one in reports),
        "repeated": sum(len(one.records) - len(one.bodies) for one in reports),
        "cases": names["intake", "case-opened"],
        "refused": refused[True],
        "commands": sum(len(one.records) for one in sent if not one.report),
        "commands_refused": refused[False],
        "answers": sum(
            len({record.attribute("id") for record in evidence.of_topic(topic)})
            for topic in evidence.topics
            if ".answers." in topic
        ),
        "events": sum(len(evidence.first_of(topics_of(d.service)[0])) for d in databases),
        "deadlines": names["mediation", "case-escalated"] + names["mediation", "case-overdue"],
        "notices": len(
            {row.data["notice"] for d in databases for row in d.journal if "notice" in row.data}
        ),
        "delivered": ends["notice-delivered"],
        "suppressed": ends["notice-suppressed"],
        "failed": ends["notice-failed"],
        "uncertain": ends["notice-uncertain"],
        "received": len(evidence.received or ()),
        "repeats": repeats(evidence),
        "streams": sum(len(streams_of(database)) for database in databases),
        "states": sum(1 for d in databases for state in d.states if state.state is not None),
    }
