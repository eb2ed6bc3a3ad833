"""Every metric that a rule or a panel names is one that the running chain really shows."""

from __future__ import annotations

import json

import httpx
import pytest

from tests.demo.reports import HOTLINE
from tests.demo.wire import Sender
from tests.monitoring.asked import Shown, expressions, recorded, wrong
from tests.monitoring.conftest import EXPORTER, Monitored, needed
from tests.wire import until_true

pytestmark = pytest.mark.timeout(300)

DATABASE = "pg_"


@pytest.fixture(scope="module")
async def shown(monitored: Monitored) -> Shown:
    """All pages, after a report has gone through the chain and left a trace on each."""
    sender = Sender(monitored.chain.bootstrap)
    body = {"channel": "hotline-12338", "narrative": "夫妻争吵。"}
    sender.report(
        HOTLINE,
        "monitored-1",
        json.dumps({**body, "place": {"division": "440304001019"}}, ensure_ascii=False).encode(),
    )
    sender.flush()
    await until_true(lambda: _counted(monitored), "the report's case to be counted", 60)
    return _read(monitored)


def _read(monitored: Monitored) -> Shown:
    found = Shown()
    for address in monitored.pages.values():
        found.read(httpx.get(f"http://{address}/metrics").raise_for_status().text)
    return found


def _counted(monitored: Monitored) -> bool:
    """Whether the open case stands in mediation's stock and notify has read of it."""
    page = {
        service: httpx.get(f"http://{monitored.pages['lianhu', service]}/metrics").text
        for service in ("mediation", "notify")
    }
    return "lianhu_mediation_cases_open{" in page["mediation"] and (
        'lianhu_messages_handled_total{outcome="handled",source="mediation"}' in page["notify"]
    )


def unknown(shown: Shown, *, database: bool) -> list[str]:
    """What is asked for and not shown; of the database's exporter, or of all others."""
    known = recorded()
    return [
        f"{where}: {fault}"
        for where, expression in expressions()
        if (DATABASE in expression) is database
        for fault in wrong(expression, shown, known)
    ]


def test_what_rules_and_panels_ask_for_is_shown(shown: Shown) -> None:
    assert unknown(shown, database=False) == []


def test_what_they_ask_of_the_database_s_exporter_is_shown(shown: Shown) -> None:
    needed(EXPORTER, EXPORTER)
    assert unknown(shown, database=True) == []


def test_what_nobody_exports_is_found(shown: Shown) -> None:
    known = recorded()
    assert wrong("rate(lianhu_planted_total[5m]) > 0", shown) == [
        "nobody exports lianhu_planted_total"
    ]
    assert wrong("sum by (level, unti) (lianhu_mediation_cases_open)", shown) == [
        "no metric here has the label unti"
    ]
    assert wrong('lianhu_mediation_cases_open{unti="1"}', shown, known) == [
        "lianhu_mediation_cases_open has no label unti"
    ]
    assert wrong('lianhu_public_message_seconds_bucket{le="4.0"}', shown) == [
        "lianhu_public_message_seconds_bucket has no bucket 4.0"
    ]
    assert wrong("lianhu:planted:ratio_rate1h > 1", shown, known) == [
        "nobody exports lianhu:planted:ratio_rate1h"
    ]
