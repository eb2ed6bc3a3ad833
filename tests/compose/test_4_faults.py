"""A service is killed, the broker stops, the database stops: told, and nothing is lost by it."""

from __future__ import annotations

import json
from collections.abc import Callable
from time import monotonic, sleep

import pytest

from deploy.embedded.services import SERVICES
from tests.checker.collect import judge
from tests.compose.deployment import Deployment, run
from tests.demo.reports import HOTLINE, REPORTS
from tests.demo.wire import Sender, Watcher

pytestmark = [pytest.mark.compose, pytest.mark.timeout(900)]

NOW = "/operations-now"
OUTAGE = 30.0
PATIENCE = 240.0
EACH = 5


def until(what: str, found: Callable[[], bool]) -> None:
    """Wait for it."""
    last = monotonic() + PATIENCE
    while not found():
        assert monotonic() < last, f"waited in vain for {what}"
        sleep(1)


class Watch:
    """What is told of alerts from now on."""

    def __init__(self, deployed: Deployment) -> None:
        self._deployed = deployed
        self._before = len(self._lines())

    def _lines(self) -> list[str]:
        container = f"{self._deployed.project}-alerts-1"
        return run("docker", "logs", container).splitlines()

    def heard(self, status: str, alert: str, **labels: str) -> bool:
        """Whether whoever must act at once was told."""
        wanted = {"alertname": alert, **labels}
        return any(
            (told["path"], told["status"]) == (NOW, status)
            and wanted.items() <= told["labels"].items()
            for told in map(json.loads, self._lines()[self._before :])
        )

    def fires(self, alert: str, **labels: str) -> None:
        """Wait until it was told."""
        until(f"{alert} to arrive", lambda: self.heard("firing", alert, **labels))

    def ends(self, alert: str, **labels: str) -> None:
        """Wait until its end was told."""
        until(f"the end of {alert} to arrive", lambda: self.heard("resolved", alert, **labels))


def all_is_well(deployed: Deployment) -> None:
    """Wait until everything answers and nobody is told of a cause.

    That reports were slow while something was stopped is true for hours: a burning budget stays.
    """
    until("everything to answer", lambda: len(deployed.asked("up == 1")) >= len(SERVICES) + 3)
    causes = 'ALERTS{severity="critical",alertname!~".*SloBurn"}'
    until("no alert", lambda: not deployed.asked(causes))


class Reports:
    """Reports that come in all the time."""

    def __init__(self, deployed: Deployment, name: str) -> None:
        self._deployed = deployed
        self._name = name
        self._sender = Sender(deployed.access)
        self._ids: list[str] = []

    def come(self) -> None:
        """Some more; the client sends them when the broker is there."""
        body = json.dumps(REPORTS[0][2], ensure_ascii=False).encode()
        for _ in range(EACH):
            self._ids.append(f"{self._name}-{len(self._ids)}")
            self._sender.report(HOTLINE, self._ids[-1], body)

    def are_answered(self) -> None:
        """Wait until each has its answer."""
        self._sender.flush()
        watcher = Watcher(self._deployed.access(), lambda _: None)
        try:
            watcher.until(
                "every report to be answered",
                lambda book: all(any(book.answers_to(HOTLINE, one)) for one in self._ids),
                PATIENCE,
            )
        finally:
            watcher.close()


@pytest.mark.parametrize(
    ("fault", "service", "alert", "labels"),
    [
        ("kill", "welfare", "ServiceDown", {"service": "welfare"}),
        ("stop", "kafka", "KafkaDown", {}),
        ("stop", "postgres", "PostgresDown", {}),
    ],
)
def test_what_stops_is_told_and_comes_back_by_itself(
    deployed: Deployment, fault: str, service: str, alert: str, labels: dict[str, str]
) -> None:
    all_is_well(deployed)
    watch, reports = Watch(deployed), Reports(deployed, f"fault-{service}")
    reports.come()
    began = monotonic()
    deployed.compose(fault, service)
    try:
        reports.come()
        watch.fires(alert, **labels)
        sleep(max(0.0, began + OUTAGE - monotonic()))  # so long it is away, whoever was quicker
    finally:
        deployed.compose("start", service)
    reports.come()
    watch.ends(alert, **labels)
    reports.are_answered()
    all_is_well(deployed)


def test_nothing_was_lost_or_doubled_by_any_of_it(deployed: Deployment) -> None:
    assert judge(deployed.access(), deployed.dsns(), within=PATIENCE).findings == ()
