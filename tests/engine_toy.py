"""Rules of a toy service, which write down each message that the engine hands to them.

What stands in a toy's states and journal is what the engine handed over, in that order and so
often; so the engine's promises are tested without any casework.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Any, ClassVar

import asyncpg
from pydantic import BaseModel, ConfigDict
from structlog.testing import capture_logs

from lianhu.contracts.base import Internal, Public
from lianhu.contracts.faults import Poison, Refused
from lianhu.contracts.intake import (
    CaseClosed,
    IntakePersonForgotten,
    ReportAccepted,
    ReportSubmitted,
)
from lianhu.contracts.mediation import (
    AddNote,
    CaseCommand,
    MediationKeysErased,
    MediationKeysRestricted,
    NoteAdded,
    PartnerChased,
)
from lianhu.contracts.parts import Officer
from lianhu.contracts.vocabulary import Authority, Channel, Chase, Outcome
from lianhu.eventing.rules import (
    Deadline,
    DeadlineReached,
    EffectEnded,
    Ids,
    Message,
    Rank,
    State,
    Stream,
    case_stream,
)
from lianhu.eventing.testing import (
    START,
    FakeRecord,
    TestEngine,
    event_record,
    open_engine,
    public_record,
)
from lianhu.jurisdiction import Level, Post
from lianhu.privacy import DataKey, MasterKey, MasterKeys, Sealed
from tests.conftest import MakeDatabase

REPORTS = "intake.reports.hotline-futian.v1"
COMMANDS = "mediation.commands.officers-shenzhen.v1"
_WISH = re.compile(r"(\w+)=(\S+)")
SECRET = "zhang san"
"""What a toy seals."""
RESTRICTED = START + timedelta(days=365)
"""Until when a toy's restricted keys open nothing."""
_CASE = "440304-2026-000001"
_OFFICER = Officer(officer="o-1", post=Post.MEDIATOR, unit="440304000000")


class Notes(BaseModel):
    """A toy's state: what was written here, which timers run, which streams it names."""

    SHAPE: ClassVar[int] = 1
    model_config = ConfigDict(frozen=True)

    written: tuple[str, ...] = ()
    timers: tuple[tuple[str, datetime], ...] = ()
    links: tuple[str, ...] = ()
    note: Sealed[str] | None = None


class Unwritable(ReportAccepted):
    """An event whose body the database refuses."""

    def model_dump_json(self, **_: Any) -> str:
        """JSON text with a NUL in it."""
        return '{"receipt": "\x00"}'


class Toy:
    """Writes each message on every stream that it touches.

    A text may wish: `at=matter/m1` touches a further stream, `who=phone:1` that of a person,
    `link=matter/m2` has the state name one, `timer=visit@2026-03-03T00:00:00Z` starts a timer; one
    of the kind `at:matter/m1` touches that stream when it fires.
    `does` says by message id, or by a timer's kind, what goes wrong: `raise`, `poison`, `refuse`,
    `unwritable`, `deaf` (the timer stays), `touch-raise`, `touch-nul`, `touch-other`,
    `identify-raise`; or what is written first: `seal` a sealed note, `carry` that of the first
    stream to all others, `erase` and `restrict` that the case's key goes, `forget` that a person
    does, `tell:police-futian` what is addressed to that publisher.
    """

    def __init__(self) -> None:
        self.does: dict[str, str] = {}
        self.decided: list[str] = []
        """The ids of all messages decided, also in transactions that were rolled back."""

    def counter(self, message: Message) -> str | None:
        """A report may need a number."""
        return "440304-2026" if isinstance(message.data, ReportSubmitted) else None

    def identities(self, message: Message) -> Mapping[str, str]:
        """`who=phone:1` in a text names somebody."""
        if self.does.get(message.id) == "identify-raise":
            raise RuntimeError("a toy knows nobody")
        return {str(n): text for n, text in enumerate(_wishes(message).get("who", ()))}

    def touches(self, message: Message, ids: Ids) -> Sequence[Stream]:
        """Its case, or that of a fresh number, and what its text wishes."""
        match self.does.get(message.id):
            case "touch-raise":
                raise Poison("touched-in-vain")
            case "touch-nul":
                return [Stream(Rank.CASE, "a\x00b")]
        wished = [Stream.parse(name) for name in _wishes(message).get("at", ())]
        people = _wishes(message).get("who", ())
        wished += [Stream(Rank.PERSON, ids.person(str(n))) for n, _ in enumerate(people)]
        match message.data:
            case ReportSubmitted():
                return wished or [case_stream(ids.case_number())]
            case CaseCommand() | CaseClosed():
                return [case_stream(message.data.case), *wished]
            case DeadlineReached(kind=kind):
                named = [Stream.parse(kind[3:])] if kind.startswith("at:") else []
                return [Stream.parse(message.data.stream), *named]
            case EffectEnded():
                return [Stream.parse(message.data.stream)]
        raise Poison("not-for-a-toy")

    def touches_more(
        self, message: Message, states: Mapping[Stream, State | None]
    ) -> Sequence[Stream]:
        """The streams that the states name."""
        return [
            Stream.parse(link)
            for state in states.values()
            if isinstance(state, Notes)
            for link in state.links
        ]

    def decide(
        self,
        message: Message,
        states: Mapping[Stream, State | None],
        now: datetime,
        ids: Ids,
        policy: object,
    ) -> Mapping[Stream, Sequence[Internal]]:
        """Write it down, or fail as told."""
        self.decided.append(message.id)
        data, text = message.data, message.id
        deadline = data.kind if isinstance(data, DeadlineReached) else None
        what = self.does.get(deadline or message.id)
        events: list[Internal] = []
        match what:
            case "raise":
                raise RuntimeError("a toy fell")
            case "poison":
                raise Poison("toy-poison")
            case "refuse":
                raise Refused.at("/note", "toy-says-no")
            case "touch-other":
                return {Stream(Rank.CASE, "other"): [_receipt(text, ids)]}
            case "unwritable":
                return {stream: [Unwritable(receipt="0" * 32, report=text)] for stream in states}
            case "carry":
                first, *others = states
                held = states[first]
                assert isinstance(held, Notes)
                assert held.note is not None
                return {stream: [_note(held.note)] for stream in others}
            case "seal":
                events.append(_note(Sealed.hold(SECRET)))
            case "erase":
                events.append(MediationKeysErased(case=_CASE))
            case "restrict":
                events.append(
                    MediationKeysRestricted(case=_CASE, until=RESTRICTED, basis="a toy's duty")
                )
            case "forget":
                events.append(IntakePersonForgotten(person="0" * 32))
            case str() if what.startswith("tell:"):
                events.append(_chased(what.removeprefix("tell:")))
        if deadline is not None and what != "deaf":
            text += f" off={deadline}"
        if isinstance(data, AddNote):
            text += f" {data.note}"
        elif isinstance(data, ReportSubmitted):
            text += f" {data.narrative}"
        return {stream: [*events, _receipt(text, ids)] for stream in states}

    def evolve(self, stream: Stream, state: State | None, event: Internal, at: datetime) -> Notes:
        """What was written, with its wishes."""
        notes = state if isinstance(state, Notes) else Notes()
        if isinstance(event, NoteAdded):
            how = "open" if event.note.is_open else "sealed"
            return notes.model_copy(update={"written": (*notes.written, how), "note": event.note})
        if not isinstance(event, ReportAccepted):
            how = event.type_.split(".")[2]
            return notes.model_copy(update={"written": (*notes.written, how)})
        text = event.report or ""
        timers, links = dict(notes.timers), notes.links
        for name, value in _WISH.findall(text):
            if name == "timer":
                kind, _, due = value.partition("@")
                timers[kind] = datetime.fromisoformat(due)
            elif name == "off":
                timers.pop(value, None)
            elif name == "link":
                links = (*links, value)
        written = (*notes.written, text.split(" ")[0])
        changes = {"written": written, "timers": tuple(sorted(timers.items())), "links": links}
        return notes.model_copy(update=changes)

    def deadlines(self, stream: Stream, state: State) -> Iterable[Deadline]:
        """The timers."""
        return [Deadline(*timer) for timer in state.timers] if isinstance(state, Notes) else []


STATES = dict.fromkeys(Rank, Notes)
KEY = MasterKey.generate()
KEYS = MasterKeys(KEY)
INDEX_KEY = DataKey.new("index/persons")


_TABLES = (
    *("aggregates", "journal", "inbox", "parked", "progress", "case_keys", "person_refs"),
    *("counters", "clock"),
)
_databases: dict[str, str] = {}


async def emptied(make_database: MakeDatabase, service: str) -> str:
    """A migrated database without a row; one for a service, because making them is slow."""
    if service not in _databases:
        _databases[service] = await make_database(service)
    connection = await asyncpg.connect(_databases[service])
    try:
        await connection.execute("; ".join(f"DELETE FROM {table}" for table in _TABLES))
    finally:
        await connection.close()
    return _databases[service]


@asynccontextmanager
async def again(
    url: str, toy: Toy, count: int = 1, name: str = "mediation", **settings: Any
) -> AsyncIterator[list[TestEngine]]:
    """So many replicas of a toy service on a database as it is."""
    opened = [
        await open_engine(name, url, toy, STATES, keys=KEYS, index_key=INDEX_KEY, **settings)
        for _ in range(count)
    ]
    try:
        with capture_logs():  # drawing tracebacks takes longer than what is tested
            yield opened
    finally:
        for one in opened:
            await one.pool.close()


@asynccontextmanager
async def engines(
    make_database: MakeDatabase, toy: Toy, count: int, name: str = "mediation", **settings: Any
) -> AsyncIterator[list[TestEngine]]:
    """So many replicas of a toy service on an empty database."""
    async with again(await emptied(make_database, name), toy, count, name, **settings) as opened:
        yield opened


@asynccontextmanager
async def engine(
    make_database: MakeDatabase, toy: Toy, name: str = "mediation", **settings: Any
) -> AsyncIterator[TestEngine]:
    """A toy service alone, on an empty database."""
    async with engines(make_database, toy, 1, name, **settings) as (one,):
        yield one


def command(case: str, id_: str | None, note: str = "plain", **more: Any) -> FakeRecord:
    """A command of an officers' system about a case."""
    body = AddNote(case=case, by=_OFFICER, note=note)
    return public_record(COMMANDS, AddNote.type_, body, id_=id_, **more)


def report(id_: str | None, text: str = "plain", **more: Any) -> FakeRecord:
    """A report; `at=` in its text says what it touches."""
    body = ReportSubmitted(channel=Channel.HOTLINE_12338, narrative=text)
    return public_record(REPORTS, ReportSubmitted.type_, body, id_=id_, **more)


def event(case: str, sequence: int, **more: Any) -> FakeRecord:
    """An event of intake on a case's stream, for toys of mediation."""
    body = CaseClosed(case=case, outcome=Outcome.SETTLED, unit="440304000000", level=Level.DISTRICT)
    return event_record("intake", body, case_stream(case), sequence, **more)


def event_id(case: str, sequence: int) -> str:
    """The id of such an event."""
    return f"intake-{case_stream(case)}-{sequence}"


def _note(note: Sealed[str]) -> NoteAdded:
    return NoteAdded(case=_CASE, note=note, by=_OFFICER)


def _chased(to: str) -> PartnerChased:
    return PartnerChased(
        case=_CASE,
        ask="0" * 32,
        authority=Authority.POLICE,
        to=to,
        step=Chase.REMINDER,
        missed="receipt",
        due=RESTRICTED,
        next_by=None,
    )


def _receipt(text: str, ids: Ids) -> ReportAccepted:
    return ReportAccepted(receipt=ids.opaque("receipt"), report=text)


def _wishes(message: Message) -> dict[str, list[str]]:
    data = message.data
    text = ""
    if isinstance(data, Public):
        text = data.note if isinstance(data, AddNote) else getattr(data, "narrative", "")
    found: dict[str, list[str]] = {}
    for name, value in _WISH.findall(text):
        found.setdefault(name, []).append(value)
    return found
