"""FastStream as its tutorial has it: one message a call, a transaction each, an awaited publish.

Default decoding, acknowledged each, the same rules, the same hash chain, the same two records out.
`TUTORIAL_STATEMENTS` is `five` (inbox, state for update, state, journal, outbox in a transaction)
or `one` (all of them in one statement; a state is read once and then kept in memory).
It does less than the engine: nothing relays the outbox after a crash, nothing is parked, refused
or retried, no deadlines, no gaps, one replica. Run as `python -m tests.load.tutorial`.
"""

from __future__ import annotations

import asyncio
import os
from abc import ABC, abstractmethod
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from secrets import token_hex
from typing import Any

import asyncpg
from faststream import AckPolicy, FastStream
from faststream.kafka import KafkaBroker, KafkaMessage

from lianhu.contracts import REGISTRY
from lianhu.eventing.journal import chain
from lianhu.eventing.rules import Message
from lianhu.mediation import workflow
from lianhu.mediation.policy import Policy
from lianhu.mediation.settings import Settings
from lianhu.mediation.workflow import CaseState
from lianhu.privacy import MasterKeys, Sealer
from tests.load.floor import SEALED, NoIds, leaving, publisher_of_commands
from tests.load.generator import COMMANDS, PUBLISHER

OUTBOX = """
CREATE TABLE outbox (
    seq    bigint PRIMARY KEY,
    stream text NOT NULL,
    body   text NOT NULL
);
"""

_INBOX = "INSERT INTO inbox (topic, id) VALUES ($1, $2) ON CONFLICT DO NOTHING RETURNING id"
_READ = "SELECT version, head, at, state, wrapped FROM states WHERE stream = $1"
_WRITE = "UPDATE states SET version = $2, head = $3, at = $4, state = $5 WHERE stream = $1"
_COLUMNS = "stream, version, id, type, time, causation, answers, body, hash"
_JOURNAL = (
    f"INSERT INTO journal ({_COLUMNS}) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) RETURNING seq"
)
_KEEP = "INSERT INTO outbox (seq, stream, body) VALUES ($1, $2, $3)"
_ALL = f"""
WITH fresh AS (
    INSERT INTO inbox (topic, id) VALUES ($10, $6) ON CONFLICT DO NOTHING RETURNING id
), moved AS (
    UPDATE states SET version = $2, head = $9, at = $5, state = $11
    WHERE stream = $1 AND version = $2 - 1 AND EXISTS (SELECT FROM fresh) RETURNING version
), written AS (
    INSERT INTO journal ({_COLUMNS})
    SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9 WHERE EXISTS (SELECT FROM moved) RETURNING seq
)
INSERT INTO outbox (seq, stream, body) SELECT seq, $1, $8 FROM written RETURNING seq
"""


@dataclass(slots=True)
class _Case:
    """One state, as it was read."""

    version: int
    head: bytes
    at: datetime
    state: CaseState
    wrapped: bytes


@dataclass(frozen=True, slots=True)
class _Row:
    """A new row of the journal, and the state after it."""

    values: tuple[Any, ...]
    case: _Case


class Handler(ABC):
    """What a message does in the database; then the two records of its event."""

    def __init__(self, pool: asyncpg.Pool, keys: MasterKeys) -> None:
        self._pool = pool
        self._keys = keys
        self._policy = Policy.load(Settings())
        self._publisher = publisher_of_commands()
        self._ids = NoIds()

    @abstractmethod
    async def handle(self, message: Message) -> tuple[int, _Row] | None:
        """The new row and its number, committed; None: it was handled before."""

    async def read(self, connection: asyncpg.Connection, stream: str, *, lock: bool) -> _Case:
        """A stored state."""
        row = await connection.fetchrow(_READ + (" FOR UPDATE" if lock else ""), stream)
        if row is None:
            raise LookupError(stream)
        return _Case(row[0], row[1], row[2], CaseState.model_validate_json(row[3]), row[4])

    def message(self, body: dict[str, Any], headers: dict[str, str], stamp: int) -> Message:
        """The message of a decoded record."""
        contract = REGISTRY.get(headers["ce_type"])
        if contract is None:
            raise ValueError(headers["ce_type"])
        return Message(
            headers["ce_id"],
            contract.type,
            contract.model.model_validate(body),
            datetime.fromtimestamp(stamp / 1000, UTC),
            PUBLISHER,
            publisher=self._publisher,
        )

    def decided(self, message: Message, case: _Case) -> _Row:
        """What the rules make of it: one event, as every command of this load has."""
        (stream,) = workflow.touches(message, self._ids)
        name, now = str(stream), max(message.time, case.at)
        decision = workflow.decide(message, {stream: case.state}, now, self._ids, self._policy)
        (event,) = decision[stream]
        sealed = isinstance(event, SEALED)
        sealer = Sealer(self._keys.unwrap(name, case.wrapped)) if sealed else None
        body = event.model_dump_json(context=sealer)
        version, id_ = case.version + 1, token_hex(16)
        head = chain(name, version, id_, event.type_, now, message.id, body, case.head)
        state = workflow.evolve(stream, case.state, event, now)
        assert isinstance(state, CaseState)
        values = (name, version, id_, event.type_, now, message.id, PUBLISHER, body, head)
        return _Row(values, _Case(version, head, now, state, case.wrapped))


class Five(Handler):
    """A transaction of five statements."""

    async def handle(self, message: Message) -> tuple[int, _Row] | None:
        (stream,) = workflow.touches(message, self._ids)
        async with self._pool.acquire() as connection, connection.transaction():
            if await connection.fetchval(_INBOX, COMMANDS, message.id) is None:
                return None
            row = self.decided(message, await self.read(connection, str(stream), lock=True))
            case = row.case
            state = case.state.model_dump_json()
            await connection.execute(_WRITE, str(stream), case.version, case.head, case.at, state)
            seq = await connection.fetchval(_JOURNAL, *row.values)
            await connection.execute(_KEEP, seq, str(stream), row.values[7])
        return seq, row


class One(Handler):
    """One statement, which is its own transaction; states stay in memory."""

    def __init__(self, pool: asyncpg.Pool, keys: MasterKeys) -> None:
        super().__init__(pool, keys)
        self._cases: dict[str, _Case] = {}

    async def handle(self, message: Message) -> tuple[int, _Row] | None:
        (stream,) = workflow.touches(message, self._ids)
        name = str(stream)
        async with self._pool.acquire() as connection:
            if (case := self._cases.get(name)) is None:
                case = self._cases[name] = await self.read(connection, name, lock=False)
            row = self.decided(message, case)
            state = row.case.state.model_dump_json()
            seq = await connection.fetchval(_ALL, *row.values, COMMANDS, state)
        if seq is None:
            return None
        self._cases[name] = row.case
        return seq, row


HANDLERS: dict[str, type[Handler]] = {"five": Five, "one": One}


def application(kafka: str, group: str, handler: Handler) -> FastStream:
    """The application, as the tutorial writes one."""
    # its logger would write two lines a message; that is not what is compared
    broker = KafkaBroker(kafka, acks="all", enable_idempotence=True, logger=None)

    @broker.subscriber(
        COMMANDS, group_id=group, auto_offset_reset="earliest", ack_policy=AckPolicy.NACK_ON_ERROR
    )
    async def handle(body: dict[str, Any], message: KafkaMessage) -> None:
        record = message.raw_message
        assert not isinstance(record, tuple)
        found = await handler.handle(handler.message(body, message.headers, record.timestamp))
        if found is None:
            return
        seq, row = found
        for topic, key, value, headers in leaving((seq, *row.values, row.case.wrapped)):
            await broker.publish(
                value, topic, key=key, headers={name: text.decode() for name, text in headers}
            )

    return FastStream(broker)


async def main() -> None:
    """Run until SIGTERM, as the `TUTORIAL_*` variables say."""
    keys = MasterKeys.read(Path(os.environ["TUTORIAL_MASTER_KEY"]))
    async with asyncpg.create_pool(os.environ["TUTORIAL_DATABASE"]) as pool:
        statements = os.environ["TUTORIAL_STATEMENTS"]
        handler = HANDLERS[statements](pool, keys)
        await application(os.environ["TUTORIAL_KAFKA"], f"tutorial-{statements}", handler).run()


if __name__ == "__main__":
    asyncio.run(main())
