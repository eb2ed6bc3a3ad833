"""Was everybody told who must hear of it: one notice for each event and unit, with one end."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from tests.checker.evidence import Evidence, JournalRow, short
from tests.checker.policy import PERSON
from tests.checker.published import topics_of
from tests.checker.verdict import Finding, Kind

ENDS = (
    "notice-delivered",
    "notice-failed",
    "notice-suppressed",
    "notice-uncertain",
    "notice-bundled",
)
_STEPS = (*ENDS, "notice-attempted", "notice-deferred", "notice-waiting", "way-sought")

Told = tuple[str, str, str]
"""Event id, role (`person` for a person), and to whom: unit, person or role."""


def notices(evidence: Evidence) -> Iterator[Finding]:
    """Audiences of the published events against notify's journal and the units' screens."""
    notify = evidence.databases.get("notify")
    if notify is None:
        return
    expected = dict(_expected(evidence)) | dict(_visits(notify.journal))
    found: dict[Told, dict[str | None, set[str]]] = {}
    ends: dict[str, list[JournalRow]] = {}
    erased = {row.stream for row in notify.journal if row.name == "keys-erased"}
    for row in notify.journal:
        if row.name not in _STEPS:
            continue
        notice = str(row.data["notice"])
        told = _told(row.data)
        by = None if told[1] == PERSON else row.data.get("channel")
        found.setdefault(told, {}).setdefault(by, set()).add(notice)
        ends.setdefault(notice, [])
        if row.name in ENDS:
            ends[notice].append(row)
    for told, where in expected.items():
        stream = where.split(" ")[0]
        if told not in found and stream not in erased:
            yield Finding(Kind.LOST, "not-told", f"{where} to {told[1]} {told[2]}")
    for told, channels in found.items():
        where = f"notify to {told[1]} {told[2]} about {told[0]}"
        if told not in expected and not told[0].startswith(f"digest/{told[2]}-"):
            yield Finding(Kind.TOLD_WRONGLY, "notice-for-nobody", where)
        if any(len(ids) > 1 for ids in channels.values()):
            yield Finding(Kind.DOUBLED, "told-twice", where)
    for notice, rows in ends.items():
        if not rows:
            yield Finding(Kind.WAITING, "notice-not-ended", f"notify {notice}")
        elif len(rows) > 1:
            yield Finding(Kind.DOUBLED, "notice-ended-twice", f"notify {notice}")
    yield from _bundled(notify.journal)
    yield from _protected(notify.journal)
    yield from _screens(evidence, ends)


def _visits(journal: Iterable[JournalRow]) -> Iterator[tuple[Told, str]]:
    """The unit that is asked to go to a person whom a notice did not reach hears of that notice."""
    for row in journal:
        if row.name == "visit-asked":
            whom = {"about": row.data["notice"], "role": "owning-unit", "unit": row.data["unit"]}
            yield _told(whom), f"{row.stream} {row.name}"


def _bundled(journal: Sequence[JournalRow]) -> Iterator[Finding]:
    """What goes with a digest stands in it, and it is the digest of the unit that was meant."""
    added = {
        (row.stream, row.data.get("unit"), row.data.get("about"))
        for row in journal
        if row.name == "digest-added"
    }
    for row in journal:
        if row.name == "notice-bundled":
            digest, unit = str(row.data.get("digest")), row.data.get("unit")
            where = f"notify {row.stream} {row.data['notice']} in {digest}"
            if not digest.startswith(f"digest/{unit}-"):
                yield Finding(Kind.TOLD_WRONGLY, "digest-of-another-unit", where)
            if (digest, unit, row.data.get("about")) not in added:
                yield Finding(Kind.LOST, "not-in-its-digest", where)


def _protected(journal: Iterable[JournalRow]) -> Iterator[Finding]:
    """On the protection path nothing goes to the other party, and to people neutral words only."""
    neutral: set[str] = set()
    for row in journal:
        if row.name == "contact-noted":
            (neutral.add if row.data.get("neutral") else neutral.discard)(row.stream)
        elif row.name == "notice-attempted" and row.stream in neutral:
            role, template = row.data.get("role"), str(row.data.get("template"))
            if role == "other-party":
                yield Finding(Kind.TOLD_WRONGLY, "other-party-told", f"notify {row.stream}")
            elif role == "person-concerned" and not template.startswith("neutral/"):
                yield Finding(Kind.TOLD_WRONGLY, "not-in-neutral-words", f"notify {row.stream}")


def _expected(evidence: Evidence) -> Iterator[tuple[Told, str]]:
    for service in evidence.databases:
        if service == "notify":
            continue
        for record in evidence.first_of(topics_of(service)[0]).values():
            type_, id_ = record.attribute("type") or "", record.attribute("id") or ""
            for audience in record.data.get("audience") or ():
                role = str(audience.get("role"))
                if evidence.channels.get((type_, role)):
                    where = f"{record.attribute('subject')} {short(type_)}"
                    card = audience.get("card") or {}
                    whom = {
                        "role": role,
                        "unit": audience.get("unit"),
                        "person": card.get("person"),
                    }
                    yield _told({"about": id_, **whom}), where


def _told(data: Mapping[str, Any]) -> Told:
    role = str(data["role"])
    if role in ("person-concerned", "other-party"):
        return str(data["about"]), PERSON, str(data.get("person") or role)
    return str(data["about"]), role, str(data.get("unit"))


def _screens(evidence: Evidence, ends: dict[str, list[JournalRow]]) -> Iterator[Finding]:
    """What stands on a unit's screen was delivered to that unit, and the other way round."""
    rows = {row.notice: row for row in evidence.databases["notify"].in_app}
    for notice, row in rows.items():
        ended = ends.get(notice)
        if ended is None:
            yield Finding(Kind.STRANGER, "message-without-notice", f"in_app {notice}")
        elif ended and ended[0].data.get("unit") != row.unit:
            yield Finding(Kind.TOLD_WRONGLY, "message-of-another-unit", f"in_app {notice}")
    for notice, ended in ends.items():
        if ended and ended[0].data.get("channel") == "in-app":
            name = ended[0].name
            if name == "notice-delivered" and notice not in rows:
                yield Finding(Kind.LOST, "delivered-and-not-there", f"in_app {notice}")
            if name in ("notice-suppressed", "notice-failed") and notice in rows:
                yield Finding(Kind.TOLD_WRONGLY, f"there-although-{name}", f"in_app {notice}")
