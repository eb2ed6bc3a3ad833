"""What fails is told: by the real Prometheus, through the real Alertmanager, to a receiver."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from deploy.embedded import ports
from tests.monitoring.alarm import (
    Calls,
    alertmanager_config,
    impatient_rules,
    process,
    prometheus_config,
    receiver,
)
from tests.monitoring.conftest import EXPORTER, Monitored, needed
from tests.wire import until_true

pytestmark = [pytest.mark.long, pytest.mark.timeout(400)]

NOW = "/operations-now"
SECONDS = 90.0


@dataclass(frozen=True)
class Watch:
    """A watched chain, and what was told of it."""

    monitored: Monitored
    calls: Calls
    url: str

    async def told(self, status: str, **labels: str) -> None:
        """Wait until it arrived at whoever must act at once."""
        await until_true(
            lambda: self.calls.heard(NOW, status, **labels), f"{status} {labels}", SECONDS
        )

    def asked(self, expression: str) -> list[dict[str, Any]]:
        """What Prometheus answers."""
        answer = httpx.get(f"{self.url}/api/v1/query", params={"query": expression})
        found: list[dict[str, Any]] = answer.json()["data"]["result"]
        return found

    async def all_is_well(self) -> None:
        """Wait until every target answers and nothing fires."""
        count = len(self.monitored.pages)
        await until_true(
            lambda: len(self.asked("up == 1")) == count and not self.asked("ALERTS"),
            "everything to answer and no alert",
            SECONDS,
        )


@pytest.fixture(scope="module")
async def watch(
    monitored: Monitored, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Watch]:
    """Prometheus and Alertmanager beside the chain."""
    prometheus = needed("prometheus", "prometheus")
    needed(EXPORTER, EXPORTER)  # without it, the database's alert fires all the time
    alertmanager = shutil.which("alertmanager") or needed(
        "prometheus-alertmanager", "prometheus-alertmanager"
    )
    folder: Path = tmp_path_factory.mktemp("alarm")
    web, manager = ports.pick_free(2)
    impatient_rules(folder)
    with (
        receiver() as (calls, hook),
        process(
            folder / "alertmanager.log",
            alertmanager,
            f"--config.file={alertmanager_config(folder, hook)}",
            f"--storage.path={folder / 'alertmanager'}",
            f"--web.listen-address={ports.HOST}:{manager}",
            "--cluster.listen-address=",
        ),
        process(
            folder / "prometheus.log",
            prometheus,
            f"--config.file={prometheus_config(folder, monitored.pages, manager)}",
            f"--storage.tsdb.path={folder / 'prometheus'}",
            f"--web.listen-address={ports.HOST}:{web}",
        ),
    ):
        url = f"http://{ports.HOST}:{web}"
        await until_true(lambda: _answers(f"{url}/-/ready"), "Prometheus", SECONDS)
        yield Watch(monitored, calls, url)


def _answers(url: str) -> bool:
    try:
        return httpx.get(url).is_success
    except httpx.TransportError:
        return False


async def test_a_service_that_stops_is_told_and_so_is_its_return(watch: Watch) -> None:
    await watch.all_is_well()
    watch.calls.told.clear()

    watch.monitored.chain.kill("welfare")
    await watch.told("firing", alertname="ServiceDown", service="welfare")
    watch.monitored.start("welfare")
    await watch.told("resolved", alertname="ServiceDown", service="welfare")

    await watch.all_is_well()
    assert {labels["alertname"] for _, _, labels in watch.calls.told} == {"ServiceDown"}


@pytest.mark.parametrize(
    ("stopped", "alert"), [("kafka", "KafkaDown"), ("postgres", "PostgresDown")]
)
async def test_what_services_stand_on_stops_and_is_told_and_so_is_its_return(
    watch: Watch, stopped: str, alert: str
) -> None:
    await watch.all_is_well()

    watch.monitored.chain.stop(stopped)
    try:
        await watch.told("firing", alertname=alert)
    finally:
        watch.monitored.start(stopped)
    await watch.told("resolved", alertname=alert)
    await watch.all_is_well()
