"""Did every message have exactly one effect: a public one, and an event that asks for another.

The identity of a public message is its topic and id; without an id that can be read, its place,
which is another identity than an id of the same letters.
The same id with the same body again has no effect; with another body it is refused `id-reused`.
A refused message that an operator tried again and that then passed is not known here: it would
be found as refused and done.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from pydantic_core import from_json

from lianhu.contracts import REGISTRY
from lianhu.contracts.topics import MAX_BODY
from tests.checker.evidence import Evidence, JournalRow, Record
from tests.checker.verdict import Finding, Kind

REFUSED = "message-refused"
FOLLOWS = (
    ("intake", "case-opened", "mediation", {"case-offered"}),
    ("intake", "case-reopened", "mediation", {"case-offered"}),
    ("mediation", "case-concluded", "intake", {"case-closed", "conclusion-noted"}),
    ("welfare", "application-ended", "intake", {"application-noted"}),
)
"""Each event of the first kind leads to exactly one of the second, caused by it."""
_BECOMES = ({"case-opened"}, {"case-reopened"}, {"report-joined"})
"""What a report that is taken becomes: exactly one of these, and a receipt."""

_ID = re.compile(r"[\x21-\x7e]{1,128}")
_TYPE = re.compile(r"[\x21-\x7e]{1,200}")
_STRUCTURED = "application/cloudevents+json"


@dataclass
class Submission:
    """All records of one identity on one public topic, and its different bodies."""

    service: str
    publisher: str
    report: bool
    identity: str
    named: bool
    """By an id; otherwise the identity is a place."""
    records: list[Record] = field(default_factory=list)
    bodies: set[tuple[str, bytes]] = field(default_factory=set)

    @property
    def where(self) -> str:
        """For a person."""
        return f"{self.records[0].topic} {self.identity}"


@lru_cache(maxsize=1)
def submissions(evidence: Evidence) -> list[Submission]:
    """Every public message by its identity."""
    found: dict[tuple[str, bool, str], Submission] = {}
    for record in evidence.records:
        public = record.public
        if public is None or public[0] not in evidence.databases:
            continue
        type_, id_ = head_of(record)
        named = id_ is not None
        identity = id_ or f"{record.partition}/{record.offset}"
        report = record.topic.split(".")[1] == "reports"
        key = (record.topic, named, identity)
        one = found.setdefault(key, Submission(*public, report, identity, named))
        one.records.append(record)
        one.bodies.add((type_, record.value or b""))
    return list(found.values())


def head_of(record: Record) -> tuple[str, str | None]:
    """Type and id of a public record in either mode; none of them when it cannot be read."""
    content = [value for key, value in record.headers if key == "content-type"]
    mode = (content[-1] or b"").split(b";")[0].strip().lower() if content else b""
    type_: object
    id_: object
    if mode == _STRUCTURED.encode():
        whole = _whole(record.value or b"")
        type_, id_ = whole.get("type"), whole.get("id")
    else:
        type_, id_ = record.attribute("type"), record.attribute("id")
    return _readable(type_, _TYPE) or "", _readable(id_, _ID)


def _whole(body: bytes) -> Mapping[str, object]:
    """A message in structured mode; empty when nobody looks into it or it is not JSON.

    Read by a strict parser: `json` takes NaN, half a surrogate pair, and UTF-16.
    """
    if len(body) > MAX_BODY:
        return {}
    try:
        whole = from_json(body, allow_inf_nan=False)
    except ValueError:
        return {}
    return whole if isinstance(whole, dict) else {}


def _readable(found: object, form: re.Pattern[str]) -> str | None:
    return found if isinstance(found, str) and form.fullmatch(found) else None


def names_its_cause(name: str, data: Mapping[str, Any]) -> bool:
    """Whether the cause of a row or an answer is an id; a refusal may speak of a place."""
    return name != REFUSED or data.get("message") is not None


def effects(evidence: Evidence) -> Iterator[Finding]:
    """Public messages against the journal of the service that reads them; then what follows."""
    caused: dict[tuple[str, str, bool, str], list[JournalRow]] = {}
    for database in evidence.databases.values():
        split = {row.data.get("new") for row in database.journal if row.name == "case-split"}
        for row in database.journal:
            contract = REGISTRY.get(row.type)
            if contract is not None and contract.addressed:
                continue  # it goes to whom it names, and answers nobody
            publisher = row.answers or row.data.get("publisher")
            if row.name == "case-opened" and row.data.get("case") in split:
                continue  # the case that a command made of a report of some publisher's
            if row.causation is not None and isinstance(publisher, str):
                named = names_its_cause(row.name, row.data)
                key = (database.service, publisher, named, row.causation)
                caused.setdefault(key, []).append(row)
    known = set()
    for one in submissions(evidence):
        key = (one.service, one.publisher, one.named, one.identity)
        known.add(key)
        yield from _effect(one, caused.get(key, []))
    for key, rows in caused.items():
        if key not in known:
            where = f"{key[0]} {rows[0].stream}:{rows[0].version}"
            yield Finding(Kind.STRANGER, "effect-of-no-message", where)
    yield from _once(evidence)
    yield from _follows(evidence)


def _effect(one: Submission, rows: Sequence[JournalRow]) -> Iterator[Finding]:
    refusals = [row for row in rows if row.name == REFUSED]
    reused = [row for row in refusals if _slugs(row) == {"id-reused"}]
    refused = len(refusals) - len(reused)
    done = Counter(row.name for row in rows if row.name != REFUSED)
    things = Counter((row.name, *_thing(row)) for row in rows if row.name != REFUSED)
    others = len(one.bodies) - 1
    if len(reused) < others:
        yield Finding(Kind.LOST, "reused-id-not-refused", one.where)
    if len(reused) > others or refused > 1:
        yield Finding(Kind.DOUBLED, "refused-twice", one.where)
    if refused and done:
        yield Finding(Kind.DOUBLED, "refused-and-done", one.where)
    elif not refused and not done:
        yield Finding(Kind.LOST, "no-effect", one.where)
    if any(count > 1 for count in things.values()):
        what = "two-cases-of-one-report" if done["case-opened"] > 1 else "done-twice"
        yield Finding(Kind.DOUBLED, what, one.where)
    if one.report:
        became = set(done) - {"report-accepted"}
        if became > {"case-opened"} or became > {"case-reopened"}:
            yield Finding(Kind.DOUBLED, "case-and-join-of-one-report", one.where)
        elif done and (became not in _BECOMES or not done["report-accepted"]):
            yield Finding(Kind.LOST, "case-or-receipt-missing", one.where)
    elif "case-split" not in done and len(_cases(rows)) > 1:
        yield Finding(Kind.DOUBLED, "done-to-two-streams", one.where)


def _cases(rows: Sequence[JournalRow]) -> set[str]:
    """The cases to which something was done; one envelope may confirm the payments of many."""
    done = [row for row in rows if row.name != REFUSED and row.kind == "case"]
    paid = {"payment-confirmed", "payment-bounced", "application-ended"}
    return {row.stream for row in done if row.name not in paid}


def _slugs(row: JournalRow) -> set[str]:
    return {str(fault.get("slug")) for fault in row.data.get("faults", ())}


def _thing(row: JournalRow) -> tuple[object, ...]:
    """What one cause may do several of: notices, links, payments of an envelope, their entries."""
    about = row.data.get("notice") or row.data.get("other") or row.data.get("application")
    return (about, row.data.get("posting"))


def _once(evidence: Evidence) -> Iterator[Finding]:
    """No cause leaves the same thing twice in one stream."""
    for database in evidence.databases.values():
        seen: set[tuple[object, ...]] = set()
        for row in database.journal:
            if row.causation is None or row.name == REFUSED or row.answers is not None:
                continue
            key = (row.stream, row.causation, row.type, *_thing(row))
            if key in seen:
                where = f"{database.service} {row.stream}:{row.version}"
                yield Finding(Kind.DOUBLED, "same-effect-of-the-same-cause", where)
            seen.add(key)


def _follows(evidence: Evidence) -> Iterator[Finding]:
    for producer, cause, consumer, follow in FOLLOWS:
        if producer not in evidence.databases or consumer not in evidence.databases:
            continue
        found = Counter(
            row.causation
            for row in evidence.databases[consumer].journal
            if row.name in follow and row.causation is not None
        )
        for row in evidence.databases[producer].journal:
            if row.name != cause:
                continue
            what = "/".join(sorted(follow))
            where = f"{consumer} {what} after {producer} {row.stream}:{row.version}"
            if found[row.id] == 0:
                yield Finding(Kind.LOST, "nothing-followed", where)
            elif found[row.id] > 1:
                yield Finding(Kind.DOUBLED, "followed-twice", where)
