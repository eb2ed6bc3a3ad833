"""Reports that come without a pause, and which of them the broker has acknowledged."""

from __future__ import annotations

from collections.abc import Callable
from secrets import token_hex
from threading import Event, Thread
from time import monotonic

from confluent_kafka import KafkaError, Message, Producer

from lianhu.eventing.connection import Access
from tests.demo.reports import HOTLINE
from tests.demo.wire import Watcher
from tests.stranger import binary, dumped, report

SECONDS = 180.0
PAUSE = 0.02
"""Between two reports: some fifty a second."""


class Sending:
    """The hotline reports, from a thread of its own, for as long as a `with` block."""

    def __init__(self, access: Access, pause: float = PAUSE) -> None:
        self._access = access
        self._pause = pause
        self._name = token_hex(4)
        self._over = Event()
        self._thread = Thread(target=self._run, name="sending", daemon=True)
        self.taken: list[str] = []
        self.refused: list[str] = []

    def __enter__(self) -> Sending:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Send no more, and wait until the last one is acknowledged."""
        self._over.set()
        self._thread.join()

    def until(self, taken: int, what: str) -> None:
        """Wait until so many are acknowledged. Raises TimeoutError."""
        last = monotonic() + SECONDS
        while len(self.taken) < taken:
            if monotonic() > last:
                raise TimeoutError(f"waited {SECONDS:.0f} s in vain for {what}")
            self._over.wait(0.2)

    def are_cases(self, kafka: Access) -> None:
        """Wait until each that was acknowledged is a case. Raises what tells that one is not."""
        if self.refused:
            raise RuntimeError(f"{len(self.refused)} reports were not taken")
        watcher = Watcher(kafka, lambda _: None)
        try:
            for id_ in self.taken:
                watcher.until(
                    f"{id_} to be a case",
                    lambda book, id_=id_: book.case_of(HOTLINE, id_),  # type: ignore[misc]
                    SECONDS,
                )
        finally:
            watcher.close()

    def _run(self) -> None:
        producer = Producer(
            {**self._access.librdkafka(), "enable.idempotence": True, "log_level": 0}
        )
        number = 0
        while not self._over.wait(self._pause):
            number += 1
            id_ = f"sent-{self._name}-{number}"
            producer.produce(
                f"intake.reports.{HOTLINE}.v1",
                dumped(report()),
                headers=binary(id_),
                on_delivery=self._told(id_),
            )
            producer.poll(0)
        producer.flush(SECONDS)

    def _told(self, id_: str) -> Callable[[KafkaError | None, Message], None]:
        def told(error: KafkaError | None, _: Message) -> None:
            (self.taken if error is None else self.refused).append(id_)

        return told
