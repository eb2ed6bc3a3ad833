"""The load: cases as intake's relay would announce them, and officers' commands about them.

The same seed and start give the same cases, keys and commands in the same order. Only the nonces
of sealed values differ from run to run.
"""

from __future__ import annotations

import random
from base64 import b64encode
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from confluent_kafka import KafkaError, Message, Producer

from lianhu.contracts.cloudevents import headers_of
from lianhu.contracts.intake import CaseOpened
from lianhu.contracts.mediation import (
    AcceptCase,
    AddNote,
    AssignCase,
    CaseCommand,
    RecordConsent,
    RecordVisit,
)
from lianhu.contracts.parts import Account, Officer, Person
from lianhu.contracts.registry import events_topic
from lianhu.contracts.vocabulary import Category, Channel, LegalBasis, Party, Risk, VisitStep
from lianhu.eventing.journal import chain
from lianhu.eventing.rules import case_stream
from lianhu.jurisdiction import Divisions, Level, Post, Unit
from lianhu.privacy import DataKey, MasterKeys, Sealed, Sealer

PUBLISHER = "officers-shenzhen"
COMMANDS = f"mediation.commands.{PUBLISHER}.v1"
CASES = events_topic("intake")
_STREET = "440304001000"
_NOTE = "双方约定周六上午在社区妇女之家见面，孩子的作息由母亲安排。"
_NARRATIVE = "来电人称与丈夫就孩子抚养和住房多次争吵，希望社区帮助调解。"


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A record as it is handed to the broker."""

    topic: str
    key: bytes
    value: bytes
    headers: list[tuple[str, bytes]]


@dataclass(frozen=True)
class Load:
    """So many cases, opened from `start` on, a millisecond apart."""

    cases: int
    commands: int
    start: datetime
    seed: int = 1
    first: int = 0
    """The number before that of the first case."""

    def opened(self, keys: MasterKeys) -> Iterator[Outgoing]:
        """`case-opened` events, the first of each case's stream, with its wrapped data key."""
        draw = random.Random(self.seed)
        units = _communities()
        for number in range(self.cases):
            case = self._case(number)
            stream = str(case_stream(case))
            key = DataKey(stream, draw.randbytes(32))
            unit = units[number % len(units)]
            event = CaseOpened(
                case=case,
                publisher="hotline-futian",
                channel=Channel.HOTLINE_12338,
                category=draw.choice(list(Category)),
                # no red one: its hour to accept would run out during a long measurement
                risk=draw.choice((Risk.GREEN, Risk.GREEN, Risk.YELLOW, Risk.ORANGE)),
                reasons=("no indicator was named",),
                unit=unit.code,
                level=unit.level,
                legal_basis=LegalBasis.CONSENT,
                account=Sealed.hold(
                    Account(
                        narrative=_NARRATIVE,
                        concerned=Person(name="王小红", phone=f"1{draw.randrange(10**10):010d}"),
                    )
                ),
                policy_version="intake-load",
            )
            body = event.model_dump_json(context=Sealer(key))
            id_ = draw.randbytes(16).hex()
            time = self.start + timedelta(milliseconds=number)
            cause = f"report-{number}"
            row = chain(stream, 1, id_, event.type_, time, cause, body, None)
            yield Outgoing(
                CASES,
                stream.encode(),
                body.encode(),
                headers_of(
                    {
                        "specversion": "1.0",
                        "id": id_,
                        "source": "lianhu/intake",
                        "type": event.type_,
                        "time": time.isoformat(),
                        "causationid": cause,
                        "subject": stream,
                        "sequence": "1",
                        "epoch": "1",
                        "rowhash": row.hex(),
                        "correlationid": cause,
                        "datakey": b64encode(keys.wrap(key)).decode(),
                    }
                ),
            )

    def orders(self) -> Iterator[Outgoing]:
        """Commands, each valid after those before it of the same case, cases in random turns."""
        draw = random.Random(self.seed + 1)
        units = _communities()
        plans: dict[int, Iterator[CaseCommand]] = {}
        for count in range(self.commands):
            number = draw.randrange(self.cases)
            if number not in plans:
                unit = units[number % len(units)].code
                plans[number] = _plan(
                    self._case(number), unit, random.Random(f"{self.seed}/{number}")
                )
            command = next(plans[number])
            yield Outgoing(
                COMMANDS,
                command.case.encode(),
                command.model_dump_json(exclude_none=True).encode(),
                headers_of(
                    {
                        "specversion": "1.0",
                        "id": f"load-{self.seed}-{count:08d}",
                        "source": "officers.example/load",
                        "type": command.type_,
                        "time": self.start.isoformat(),
                        "subject": command.case,
                    }
                ),
            )

    def _case(self, number: int) -> str:
        return f"{self.beginning}{self.first + number + 1:06d}"

    @property
    def beginning(self) -> str:
        """What every case number begins with."""
        return f"440304-{self.start.year}-"


def send(bootstrap: str, records: Iterable[Outgoing]) -> int:
    """Hand them to the broker in big batches, in order, and wait; how many. Raises on any loss."""
    failed: list[KafkaError] = []

    def told(error: KafkaError | None, _: Message) -> None:
        if error is not None:
            failed.append(error)

    producer = Producer(
        {
            "bootstrap.servers": bootstrap,
            "acks": "all",
            "enable.idempotence": True,
            "linger.ms": 50,
            "log_level": 3,
            "batch.size": 1024 * 1024,
            "queue.buffering.max.messages": 200_000,
            # the partitioner of the Java and the aiokafka clients
            "partitioner": "murmur2_random",
        }
    )
    count = 0
    for record in records:
        _hand_over(producer, record, told)
        count += 1
        if count % 1000 == 0:
            producer.poll(0)
    left = producer.flush(60)
    if failed or left:
        raise RuntimeError(f"{len(failed)} records refused, {left} not sent: {failed[:1]}")
    return count


def _hand_over(
    producer: Producer, record: Outgoing, told: Callable[[KafkaError | None, Message], None]
) -> None:
    while True:
        try:
            producer.produce(
                record.topic,
                key=record.key,
                value=record.value,
                headers=list(record.headers),
                on_delivery=told,
            )
        except BufferError:
            producer.poll(0.1)
        else:
            return


def _plan(case: str, unit: str, draw: random.Random) -> Iterator[CaseCommand]:
    """One case's commands without end: it is accepted, then all else in random order."""
    by = Officer(officer=f"officer-{unit}", post=Post.CHAIR, unit=unit)
    yield AcceptCase(case=case, by=by)
    deck: list[CaseCommand] = [AssignCase(case=case, by=by, mediator=f"mediator-{unit}")]
    deck += [RecordConsent(case=case, by=by, party=party, consents=True) for party in Party]
    deck += [
        RecordVisit(case=case, by=by, step=step, note=draw.choice((None, _NOTE)))
        for step in VisitStep
    ]
    deck += [AddNote(case=case, by=by, note=_NOTE) for _ in range(3)]
    draw.shuffle(deck)
    yield from deck
    while True:
        yield AddNote(case=case, by=by, note=_NOTE)


def _communities() -> list[Unit]:
    return [
        unit for unit in Divisions.shenzhen().descendants(_STREET) if unit.level is Level.COMMUNITY
    ]
