"""One of three brokers is killed while reports come in: what was acknowledged is there, once.

`python -m tests.load lost`. The brokers are configured as `deploy/compose.three.yaml` has them.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from time import monotonic

from confluent_kafka import KafkaError, Message, Producer
from confluent_kafka.admin import AdminClient

from deploy.embedded import session
from deploy.embedded.session import Session
from deploy.embedded.three import COUNT, ThreeBrokers
from lianhu.eventing.connection import Access
from tests.checker.collect import judge
from tests.checker.verdict import Verdict
from tests.demo.reports import HOTLINE
from tests.demo.wire import Watcher
from tests.stranger import binary, dumped, report

SERVICES = ("intake", "mediation", "welfare", "notify")
SECONDS = 180.0
PAUSE = 0.02
"""Between two reports: some fifty a second."""


@dataclass
class Sending:
    """Reports that come without a pause, and which of them the brokers acknowledged."""

    access: Access
    taken: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    _stop: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        """Until `stop`; then until the last one is acknowledged."""
        producer = Producer(
            {**self.access.librdkafka(), "enable.idempotence": True, "log_level": 0}
        )
        number = 0
        while not self._stop.wait(PAUSE):
            number += 1
            producer.produce(
                f"intake.reports.{HOTLINE}.v1",
                dumped(report()),
                headers=binary(f"lost-{number}"),
                on_delivery=self._told(f"lost-{number}"),
            )
            producer.poll(0)
        producer.flush(SECONDS)

    def stop(self) -> None:
        """Send no more."""
        self._stop.set()

    def _told(self, id_: str) -> Callable[[KafkaError | None, Message], None]:
        def told(error: KafkaError | None, _: Message) -> None:
            (self.taken if error is None else self.refused).append(id_)

        return told


def lost(say: Callable[[str], None], before: int = 200, after: int = 200) -> Verdict:
    """The verdict of it. Raises TimeoutError when something did not come about."""
    with session(broker=ThreeBrokers, say=say) as running:
        sending = Sending(running.access(HOTLINE))
        thread = threading.Thread(target=sending.run)
        thread.start()
        try:
            _until("reports to be taken", lambda: len(sending.taken) >= before)
            running.kill("kafka-2")
            say(f"kafka-2 is killed after {len(sending.taken)} reports")
            there = len(sending.taken) + after
            _until("two brokers to take reports", lambda: len(sending.taken) >= there)
            say(f"two brokers have taken {after} more")
        finally:
            sending.stop()
            thread.join()
        _all_cases(running, sending, say)
        running.stack.kafka.start()
        _until("all replicas to be in step", lambda: _least_in_step(running) == COUNT)
        say("kafka-2 is back, and every partition is kept three times again")
        dsns = {name: running.dsns(name).runtime for name in SERVICES}
        return judge(running.access(), dsns, within=60)


def _all_cases(running: Session, sending: Sending, say: Callable[[str], None]) -> None:
    if sending.refused:
        raise RuntimeError(f"{len(sending.refused)} reports were not taken")
    watcher = Watcher(running.access(), lambda _: None)
    try:
        for id_ in sending.taken:
            watcher.until(
                f"{id_} to be a case",
                lambda book, id_=id_: book.case_of(HOTLINE, id_),  # type: ignore[misc]
                SECONDS,
            )
    finally:
        watcher.close()
    say(f"each of {len(sending.taken)} reports is a case")


def _least_in_step(running: Session) -> int:
    client = AdminClient({**running.access().librdkafka(), "log_level": 0})
    found = client.list_topics(timeout=10).topics.values()
    return min(len(part.isrs) for topic in found for part in topic.partitions.values())


def _until(what: str, true: Callable[[], bool]) -> None:
    last = monotonic() + SECONDS
    while not true():
        if monotonic() > last:
            raise TimeoutError(f"waited {SECONDS:.0f} s in vain for {what}")
        threading.Event().wait(0.2)
