"""A backlog: how much memory a service takes on it, and how long others wait behind a flood."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Event, Thread
from time import monotonic, sleep

import asyncpg
import psutil
from confluent_kafka import Consumer, TopicPartition

from deploy.embedded import session
from deploy.embedded.session import Session
from tests.demo.reports import GRID, HOTLINE
from tests.demo.wire import Sender
from tests.load.parts import Finding, Say, Setting, at_most

ANSWERS = f"intake.answers.{HOTLINE}.v1"
_EACH = 5
"""Reports of the other publisher, one after the other, while the flood is worked off."""
_PATIENCE = 120.0


@dataclass(frozen=True)
class Backlog:
    """What was measured. Memory in bytes, times in seconds."""

    waiting: int
    early: int
    """Resident memory of intake at its highest, in the first half of the time."""
    late: int
    """The same in the second half."""
    answered: tuple[float, ...]
    """From the sending of each of the others' reports to its answer."""
    left: int
    """Messages of the flood that waited still when the last of them was answered."""
    seconds: float
    """Until everything was worked off, from the start of the service; 0: not waited for."""

    @property
    def largest(self) -> int:
        """At its highest of all."""
        return max(self.early, self.late)


def measure(count: int, *, to_the_end: bool) -> Backlog:
    """Let so many reports of one publisher wait, start intake, and let another report meanwhile."""
    services = {"intake": 1, "mediation": 0, "welfare": 0, "notify": 0}
    with session(services=services) as running, _hearing(running.bootstrap) as answers:
        running.stop("intake")
        sender = Sender(running.bootstrap)
        for number in range(count):
            sender.report(GRID, f"flood-{number}", _body("grid"))
        sender.flush()
        began = monotonic()
        running.start("intake")
        with _watched(running) as looks:
            answered = []
            for number in range(_EACH):
                sent = monotonic()
                sender.report(HOTLINE, f"lone-{number}", _body("hotline-12338"))
                sender.flush()
                _await_answer(answers)
                answered.append(monotonic() - sent)
            left = count - _handled(running)
            while to_the_end and _handled(running) < count:
                sleep(1)
        ended = monotonic() - began if to_the_end else 0.0
        half = len(looks) // 2
        early, late = max(looks[: half + 1]), max(looks[half:])
        return Backlog(count, early, late, tuple(answered), left, ended)


def _body(channel: str) -> bytes:
    place = {"division": "440304001019"}
    body = {"channel": channel, "narrative": "夫妻争吵。" * 20, "place": place}
    return json.dumps(body, ensure_ascii=False).encode()


@contextmanager
def _hearing(bootstrap: str) -> Iterator[Consumer]:
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "lone", "log_level": 0})
    parts = consumer.list_topics(ANSWERS, timeout=10).topics[ANSWERS].partitions
    consumer.assign([TopicPartition(ANSWERS, number, 0) for number in parts])
    try:
        yield consumer
    finally:
        consumer.close()


def _await_answer(consumer: Consumer) -> None:
    last = monotonic() + _PATIENCE
    while monotonic() < last:
        message = consumer.poll(0.1)
        if message is not None and message.error() is None:
            return
    raise TimeoutError(f"A report behind the flood had no answer in {_PATIENCE:.0f} s.")


@contextmanager
def _watched(running: Session) -> Iterator[list[int]]:
    """Its resident memory, ten times a second."""
    record = running.daemon("intake").record()
    assert record is not None
    process, over = psutil.Process(record.pid), Event()
    found = [process.memory_info().rss]

    def look() -> None:
        while not over.wait(0.1):
            found.append(process.memory_info().rss)

    thread = Thread(target=look, daemon=True)
    thread.start()
    try:
        yield found
    finally:
        over.set()
        thread.join()


def _handled(running: Session) -> int:
    """How many of the flood were handled, as the journal tells."""

    async def ask() -> int:
        connection = await asyncpg.connect(running.dsns("intake").admin)
        try:
            sql = 'SELECT coalesce(sum("offset"), 0)::bigint FROM progress WHERE topic = $1'
            return int(await connection.fetchval(sql, f"intake.reports.{GRID}.v1"))
        finally:
            await connection.close()

    return asyncio.run(ask())


class Waiting:
    """A part of the bench."""

    name = "backlog"

    def run(self, setting: Setting, say: Say) -> Sequence[Finding]:
        """As the setting says, once."""
        found = measure(setting.waiting, to_the_end=True)
        say(f"{found.waiting:,} reports in {found.seconds:,.0f} s")
        return [
            Finding("reports of a backlog", (found.waiting / found.seconds,), "reports/s"),
            Finding(
                "intake's memory at its highest", (found.largest / 2**20,), "MiB", at_most(200)
            ),
            Finding(
                "by how much it was higher in the second half",
                ((found.late - found.early) / 2**20,),
                "MiB",
            ),
            Finding("another publisher's report, to its answer", found.answered, "s", at_most(5)),
        ]
