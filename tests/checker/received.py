"""Did those outside get what was sent to them, once, and nobody else anything.

What the receivers wrote down is held against notify's journal and against the reports.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping

from tests.checker.effects import submissions
from tests.checker.evidence import Evidence, JournalRow, Received, data_of
from tests.checker.verdict import Finding, Kind

OUTSIDE = ("sms", "email")
_CONTACTS = ("phone", "email")
_TAIL = 11
"""Digits of a phone number that tell it from another."""


def received(evidence: Evidence) -> Iterator[Finding]:
    """Nothing is asked where nobody wrote down what was received."""
    notify = evidence.databases.get("notify")
    if notify is None or evidence.received is None:
        return
    ends: dict[str, JournalRow] = {}
    attempted: dict[str, JournalRow] = {}
    neutral: set[str] = set()
    for row in notify.journal:
        if row.name == "contact-noted":
            (neutral.add if row.data.get("neutral") else neutral.discard)(row.stream)
        elif row.name == "notice-attempted":
            attempted[row.data["notice"]] = row
        elif row.name.startswith("notice-") and "notice" in row.data:
            ends[row.data["notice"]] = row
    got = Counter((one.channel, one.notice) for one in evidence.received)
    yield from _delivered(ends, got)
    for one in evidence.received:
        yield from _meant(one, attempted.get(one.notice), ends.get(one.notice), neutral)
    yield from _others(evidence, attempted)


def _delivered(
    ends: Mapping[str, JournalRow], got: Mapping[tuple[str, str], int]
) -> Iterator[Finding]:
    for notice, row in ends.items():
        channel = str(row.data.get("channel"))
        if channel not in OUTSIDE:
            continue
        times = got.get((channel, notice), 0)
        if row.name == "notice-delivered" and not times:
            yield Finding(Kind.LOST, "delivered-and-not-received", f"notify {notice}")
        # a text message has a key by which the gateway tells a repeat; a letter has none
        if channel == "email" and times > 1 and row.name != "notice-uncertain":
            yield Finding(Kind.DOUBLED, "received-twice", f"notify {notice}")


def _meant(
    one: Received, attempt: JournalRow | None, end: JournalRow | None, neutral: set[str]
) -> Iterator[Finding]:
    where = f"{one.channel} {one.notice}"
    if attempt is None:
        yield Finding(Kind.STRANGER, "received-and-never-attempted", where)
        return
    if end is not None and end.name in ("notice-failed", "notice-suppressed"):
        yield Finding(Kind.TOLD_WRONGLY, f"received-although-{end.name}", where)
    number = attempt.stream.removeprefix("case/")
    person = attempt.data.get("role") == "person-concerned"
    if person and attempt.stream in neutral and number in one.subject + one.text:
        yield Finding(Kind.TOLD_WRONGLY, "case-named-to-a-protected-person", where)


def _others(evidence: Evidence, attempted: Mapping[str, JournalRow]) -> Iterator[Finding]:
    """No notice of a protected case came to where its reports say that the other party is."""
    others = _other_parties(evidence)
    for one in evidence.received or ():
        attempt = attempted.get(one.notice)
        if attempt is not None and _plain(one.to) in others.get(attempt.stream, ()):
            yield Finding(Kind.TOLD_WRONGLY, "other-party-reached", f"{one.channel} {one.notice}")


def _other_parties(evidence: Evidence) -> Mapping[str, set[str]]:
    """Protected case -> how its other party can be reached, by all of its reports."""
    intake = evidence.databases.get("intake")
    if intake is None:
        return {}
    cases: dict[tuple[str, str], str] = {}
    protected: set[str] = set()
    for row in intake.journal:
        if row.name in ("case-opened", "case-reopened", "report-joined"):
            cases[str(row.data.get("publisher")), str(row.causation)] = row.stream
            if row.data.get("path") == "protection":
                protected.add(row.stream)
    found: dict[str, set[str]] = {}
    for one in submissions(evidence):
        stream = cases.get((one.publisher, one.identity))
        if stream in protected:
            for _, body in one.bodies:
                other = data_of(body).get("other_party")
                if isinstance(other, dict):
                    found.setdefault(stream, set()).update(
                        _plain(other[name])
                        for name in _CONTACTS
                        if isinstance(other.get(name), str)
                    )
    return found


def _plain(contact: str) -> str:
    """A number by its last digits, an address in small letters."""
    if "@" in contact:
        return contact.strip().lower()
    return "".join(character for character in contact if character.isdecimal())[-_TAIL:]
