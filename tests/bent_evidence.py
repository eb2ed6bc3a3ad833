"""Evidence with one thing wrong in it, by what is wrong: each a function from whole to broken.

`retold` makes the rest fit a lie, so that only what the lie is about can give it away.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

from tests.checker.chains import hash_of
from tests.checker.evidence import Evidence, InApp, JournalRow, Parked, Record, StateRow

HOTLINE, GRID = "hotline-futian", "grid-futian"
REPORT = "story-2"
"""Its case is what most lies are about; nobody gave a command for it."""
PROTECTED = "story-4"
"""Its case is on the protection path, and was closed."""
ANOTHER_UNIT = "440304001025"
"""A unit that none of the reports is from."""


# Finding things


def stream_of(evidence: Evidence, report: str) -> str:
    """The case of a report."""
    journal = evidence.databases["intake"].journal
    return next(r.stream for r in journal if (r.name, r.causation) == ("case-opened", report))


def row_of(evidence: Evidence, service: str, name: str, report: str = REPORT) -> JournalRow:
    """A service's first row of a type about the case of a report."""
    stream = stream_of(evidence, report)
    journal = evidence.databases[service].journal
    return next(row for row in journal if (row.name, row.stream) == (name, stream))


def of_one_case(evidence: Evidence, topic: str) -> list[Record]:
    """The records of that case on a topic, in their order."""
    key = stream_of(evidence, REPORT).encode()
    return [record for record in evidence.of_topic(topic) if record.key == key]


def answer_to(evidence: Evidence, topic: str, name: str) -> Record:
    """The first answer of a type on a topic."""
    found = evidence.of_topic(topic)
    return next(record for record in found if f".{name}." in (record.attribute("type") or ""))


# Changing things


def with_database(evidence: Evidence, service: str, **changes: Any) -> Evidence:
    changed = replace(evidence.databases[service], **changes)
    return replace(evidence, databases={**evidence.databases, service: changed})


def with_journal(evidence: Evidence, service: str, journal: Iterable[JournalRow]) -> Evidence:
    return with_database(evidence, service, journal=tuple(journal))


def with_row(evidence: Evidence, service: str, old: JournalRow, new: JournalRow) -> Evidence:
    journal = evidence.databases[service].journal
    return with_journal(evidence, service, (new if row is old else row for row in journal))


def with_states(
    evidence: Evidence, service: str, change: Callable[[StateRow], StateRow]
) -> Evidence:
    return with_database(
        evidence, service, states=tuple(map(change, evidence.databases[service].states))
    )


def without(evidence: Evidence, gone: Record) -> Evidence:
    return replace(evidence, records=tuple(one for one in evidence.records if one is not gone))


def with_record(evidence: Evidence, old: Record, new: Record) -> Evidence:
    return replace(evidence, records=tuple(new if one is old else one for one in evidence.records))


def again(evidence: Evidence, record: Record, **changes: Any) -> Evidence:
    """The record once more, at the end of its partition."""
    offset = max(
        one.offset for one in evidence.of_topic(record.topic) if one.partition == record.partition
    )
    repeated = replace(record, offset=offset + 1, **changes)
    return replace(evidence, records=(*evidence.records, repeated))


def with_header(record: Record, name: str, value: str) -> Record:
    return replace(
        record,
        headers=tuple(
            (key, value.encode() if key == f"ce_{name}" else old) for key, old in record.headers
        ),
    )


def retold(evidence: Evidence, service: str, told: dict[str, dict[str, Any]]) -> Evidence:
    """Some rows, by id, say something else, and everything that follows from them fits.

    Hashes, states' heads, the service's topics and what its readers have seen.
    """
    database = evidence.databases[service]
    heads: dict[str, bytes] = {}
    journal = []
    for row in database.journal:
        body = json.dumps({**row.data, **told[row.id]}) if row.id in told else row.body
        changed = replace(row, body=body)
        heads[row.stream] = hash_of(changed, heads.get(row.stream))
        journal.append(replace(changed, hash=heads[row.stream]))
    by_id = {row.id: row for row in journal}
    hashes = {(row.stream, row.version): row.hash.hex() for row in journal}

    def said(record: Record) -> Record:
        row = by_id.get(record.attribute("id") or "")
        if row is None:
            return record
        return with_header(replace(record, value=row.body.encode()), "rowhash", row.hash.hex())

    def seen(state: StateRow) -> StateRow:
        last = state.seen.get(service)
        if last is None:
            return state
        known = (*last[:2], hashes[state.stream, last[1]])
        return replace(state, seen={**state.seen, service: known})

    states = tuple(
        replace(state, head=heads.get(state.stream, state.head)) for state in database.states
    )
    databases = {
        name: replace(other, states=tuple(map(seen, other.states)))
        for name, other in evidence.databases.items()
    }
    databases[service] = replace(database, journal=tuple(journal), states=states)
    return replace(evidence, records=tuple(map(said, evidence.records)), databases=databases)


def swapped(evidence: Evidence, one: Record, two: Record) -> Evidence:
    places = {id(one): two, id(two): one}
    return replace(
        evidence, records=tuple(places.get(id(record), record) for record in evidence.records)
    )


# What is broken


def a_journal_row_says_more(whole: Evidence) -> Evidence:
    row = row_of(whole, "intake", "case-opened")
    return with_row(whole, "intake", row, replace(row, body=row.body.replace("}", ', "x": 1}', 1)))


def a_journal_row_was_given_another_hash(whole: Evidence) -> Evidence:
    row = row_of(whole, "mediation", "case-offered")
    return with_row(whole, "mediation", row, replace(row, hash=bytes(32)))


def a_version_is_missing_in_the_journal(whole: Evidence) -> Evidence:
    gone = row_of(whole, "notify", "notice-attempted")
    journal = whole.databases["notify"].journal
    return with_journal(whole, "notify", (row for row in journal if row is not gone))


def the_end_of_a_journal_was_cut_off(whole: Evidence) -> Evidence:
    gone = row_of(whole, "notify", "notice-delivered")
    journal = whole.databases["notify"].journal
    return with_journal(whole, "notify", (row for row in journal if row is not gone))


def two_rows_were_committed_in_the_wrong_order(whole: Evidence) -> Evidence:
    row = row_of(whole, "notify", "notice-delivered")
    return with_row(whole, "notify", row, replace(row, seq=0))


def a_row_is_dated_before_its_predecessor(whole: Evidence) -> Evidence:
    row = row_of(whole, "notify", "notice-delivered")
    early = replace(row, time=row.time - timedelta(days=1))
    return with_row(whole, "notify", row, early)


def a_state_was_changed(whole: Evidence) -> Evidence:
    def changed(state: StateRow) -> StateRow:
        return replace(state, state=(state.state or "").replace("offered", "agreed") or None)

    return with_states(whole, "mediation", changed)


def a_timer_was_put_off(whole: Evidence) -> Evidence:
    def later(state: StateRow) -> StateRow:
        due = state.next_due
        return state if due is None else replace(state, next_due=due + timedelta(days=1))

    return with_states(whole, "mediation", later)


def nobody_looked_at_the_timers(whole: Evidence) -> Evidence:
    return replace(whole, taken_at=whole.taken_at + timedelta(days=60))


def the_first_event_of_a_case_is_not_on_the_topic(whole: Evidence) -> Evidence:
    return without(whole, of_one_case(whole, "intake.events.v1")[0])


def the_last_event_of_a_case_is_not_on_the_topic(whole: Evidence) -> Evidence:
    return without(whole, of_one_case(whole, "intake.events.v1")[-1])


def the_first_records_of_a_topic_were_deleted(whole: Evidence) -> Evidence:
    return replace(whole, cut=("intake.events.v1",))


def two_events_of_a_case_are_in_the_wrong_order(whole: Evidence) -> Evidence:
    one, two, *_ = of_one_case(whole, "intake.events.v1")
    return swapped(whole, one, two)


def a_case_is_in_two_partitions(whole: Evidence) -> Evidence:
    one = of_one_case(whole, "intake.events.v1")[-1]
    return with_record(whole, one, replace(one, partition=(one.partition + 1) % 12))


def an_event_came_again_with_another_content(whole: Evidence) -> Evidence:
    return again(whole, of_one_case(whole, "intake.events.v1")[0], value=b"{}")


def an_event_that_nobody_wrote_is_on_the_topic(whole: Evidence) -> Evidence:
    last = of_one_case(whole, "mediation.events.v1")[-1]
    forged = with_header(last, "sequence", str(int(last.attribute("sequence") or 0) + 1))
    return again(whole, last, headers=forged.headers)


def a_reader_has_not_handled_an_event(whole: Evidence) -> Evidence:
    def unseen(state: StateRow) -> StateRow:
        return replace(state, seen={k: v for k, v in state.seen.items() if k != "intake"})

    return with_states(whole, "welfare", unseen)


def the_outbox_is_not_empty(whole: Evidence) -> Evidence:
    return with_database(whole, "intake", cursor=whole.databases["intake"].cursor - 1)


def a_message_waits_for_a_person(whole: Evidence) -> Evidence:
    parked = (*whole.databases["notify"].parked, Parked("letter", "poison", "intake", None))
    return with_database(whole, "notify", parked=parked)


def a_report_was_lost(whole: Evidence) -> Evidence:
    report = whole.of_topic(f"intake.reports.{GRID}.v1")[0]
    other = with_header(report, "id", "never-handled")
    return again(whole, report, headers=other.headers)


def a_report_has_two_cases(whole: Evidence) -> Evidence:
    other = row_of(whole, "intake", "case-opened", "story-3")
    return with_row(whole, "intake", other, replace(other, causation=REPORT))


def a_report_opened_a_case_and_joined_another(whole: Evidence) -> Evidence:
    other = row_of(whole, "intake", "case-opened", "story-3")
    joined = other.type.replace("case-opened", "report-joined")
    return with_row(whole, "intake", other, replace(other, type=joined, causation=REPORT))


def a_deadline_was_answered_twice(whole: Evidence) -> Evidence:
    """As if what a case was told first and last had come of one and the same deadline."""
    stream = stream_of(whole, PROTECTED)
    journal = whole.databases["notify"].journal
    first, *_, last = (row for row in journal if row.stream == stream)
    due = f"{stream}:retry:{first.time.isoformat()}"
    bent = with_row(whole, "notify", first, replace(first, causation=due))
    return with_row(bent, "notify", last, replace(last, causation=due))


def a_case_has_no_report(whole: Evidence) -> Evidence:
    reports = whole.of_topic(f"intake.reports.{HOTLINE}.v1")
    return without(whole, next(one for one in reports if one.attribute("id") == REPORT))


def an_effect_stands_twice_in_its_stream(whole: Evidence) -> Evidence:
    """A case is offered once more at the end of the journal, and its chain fits."""
    database = whole.databases["mediation"]
    row = row_of(whole, "mediation", "case-offered")
    last = [one for one in database.journal if one.stream == row.stream][-1]
    twice = replace(
        row,
        seq=database.journal[-1].seq + 1,
        version=last.version + 1,
        id="0" * 32,
        time=last.time,
    )
    twice = replace(twice, hash=hash_of(twice, last.hash))
    return with_journal(whole, "mediation", (*database.journal, twice))


def nothing_followed_an_opened_case(whole: Evidence) -> Evidence:
    offered = row_of(whole, "mediation", "case-offered")
    return with_row(whole, "mediation", offered, replace(offered, causation="another"))


def an_answer_was_never_given(whole: Evidence) -> Evidence:
    topic = f"intake.answers.{HOTLINE}.v1"
    return without(whole, answer_to(whole, topic, "report-accepted"))


def a_refusal_was_never_told(whole: Evidence) -> Evidence:
    topic = "mediation.answers.officers-shenzhen.v1"
    return without(whole, answer_to(whole, topic, "message-refused"))


def an_answer_went_to_another_publisher(whole: Evidence) -> Evidence:
    answer = answer_to(whole, f"intake.answers.{HOTLINE}.v1", "report-accepted")
    return with_record(whole, answer, replace(answer, topic=f"intake.answers.{GRID}.v1"))


def an_answer_names_a_case(whole: Evidence) -> Evidence:
    journal = whole.databases["intake"].journal
    refused = next(row for row in journal if row.name == "message-refused")
    case = row_of(whole, "intake", "case-opened").data["case"]
    return retold(whole, "intake", {refused.id: {"position": case}})


def a_notice_went_to_another_unit(whole: Evidence) -> Evidence:
    """Journal, topic and screen agree; only the case says who was to hear of it."""
    notice = row_of(whole, "notify", "notice-delivered").data["notice"]
    journal = whole.databases["notify"].journal
    wrong = {row.id: {"unit": ANOTHER_UNIT} for row in journal if row.data.get("notice") == notice}
    return _on_screens(retold(whole, "notify", wrong), notice, unit=ANOTHER_UNIT)


def a_visit_was_asked_of_another_unit(whole: Evidence) -> Evidence:
    asked = row_of(whole, "notify", "visit-asked", PROTECTED)
    journal = whole.databases["notify"].journal
    told = [row for row in journal if row.data.get("about") == asked.data["notice"]]
    bent = retold(whole, "notify", {row.id: {"unit": ANOTHER_UNIT} for row in told})
    return _on_screens(bent, told[0].data["notice"], unit=ANOTHER_UNIT)


def the_other_party_was_told_although_she_is_protected(whole: Evidence) -> Evidence:
    return _with_role(whole, "other-party")


def a_protected_person_was_told_in_plain_words(whole: Evidence) -> Evidence:
    return _with_role(whole, "person-concerned")


def a_notice_is_not_in_its_digest(whole: Evidence) -> Evidence:
    added = next(row for row in whole.databases["notify"].journal if row.name == "digest-added")
    return retold(whole, "notify", {added.id: {"about": "another"}})


def a_notice_went_with_the_digest_of_another_unit(whole: Evidence) -> Evidence:
    bundled = row_of(whole, "notify", "notice-bundled", PROTECTED)
    digest = bundled.data["digest"].replace(bundled.data["unit"], ANOTHER_UNIT)
    return retold(whole, "notify", {bundled.id: {"digest": digest}})


def a_screen_shows_the_notice_of_another_unit(whole: Evidence) -> Evidence:
    notice = whole.databases["notify"].in_app[0].notice
    return _on_screens(whole, notice, unit=ANOTHER_UNIT)


def a_screen_does_not_show_what_was_delivered(whole: Evidence) -> Evidence:
    return with_database(whole, "notify", in_app=whole.databases["notify"].in_app[1:])


def a_screen_shows_what_nobody_sent(whole: Evidence) -> Evidence:
    stray = InApp("0" * 32, ANOTHER_UNIT, "440304-2026-000001")
    return with_database(whole, "notify", in_app=(*whole.databases["notify"].in_app, stray))


def a_unit_was_not_told(whole: Evidence) -> Evidence:
    """As if the case had named one more unit than was told."""
    offered = row_of(whole, "mediation", "case-offered")
    audience = [*offered.data["audience"], {"role": "owning-unit", "unit": ANOTHER_UNIT}]
    return retold(whole, "mediation", {offered.id: {"audience": audience}})


def a_unit_was_told_twice(whole: Evidence) -> Evidence:
    journal = whole.databases["notify"].journal
    notice = row_of(whole, "notify", "notice-delivered").data["notice"]
    twin = row_of(whole, "notify", "notice-delivered", "story-3").data["notice"]
    about = next(row.data for row in journal if row.data.get("notice") == notice)
    same = {name: about[name] for name in ("about", "role", "unit", "channel")}
    wrong = {row.id: same for row in journal if row.data.get("notice") == twin}
    return retold(whole, "notify", wrong)


def a_notice_ended_twice(whole: Evidence) -> Evidence:
    attempted = row_of(whole, "notify", "notice-attempted")
    other = attempted.type.replace("attempted", "failed")
    return with_row(whole, "notify", attempted, replace(attempted, type=other))


def _with_role(evidence: Evidence, role: str) -> Evidence:
    """As if a unit's notice about the protected case had gone to one of the people."""
    notice = row_of(evidence, "notify", "notice-attempted", PROTECTED).data["notice"]
    journal = evidence.databases["notify"].journal
    told = {row.id: {"role": role} for row in journal if row.data.get("notice") == notice}
    return retold(evidence, "notify", told)


def _on_screens(evidence: Evidence, notice: str, unit: str) -> Evidence:
    shown: Sequence[InApp] = evidence.databases["notify"].in_app
    return with_database(
        evidence,
        "notify",
        in_app=tuple(replace(one, unit=unit) if one.notice == notice else one for one in shown),
    )
