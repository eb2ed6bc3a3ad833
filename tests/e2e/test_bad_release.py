"""A bad release: it parks a little, stands still when that becomes much, and nothing stays behind.

Its rules fall at 1 in 100 events of other services, then at 1 in 2.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from deploy.embedded import session
from lianhu.eventing.settings import EngineSettings
from tests.standing import Standing
from tests.wire import until

pytestmark = [pytest.mark.long, pytest.mark.timeout(420)]

BAD = Path(__file__).parents[1] / "bad_release"
SETTINGS = EngineSettings(_env_file=None)
LIMIT = max(SETTINGS.limit_in_a_row, int(SETTINGS.limit_share * SETTINGS.limit_window))
"""Messages that a bad release parks at most."""
CASES = 150


@pytest.fixture
async def standing(tmp_path: Path) -> AsyncIterator[Standing]:
    path = os.pathsep.join(filter(None, (str(BAD), os.environ.get("PYTHONPATH"))))
    extra = {"PYTHONPATH": path, "LIANHU_BAD_RELEASE": str(tmp_path)}
    services = {"intake": 1, "mediation": 1, "welfare": 0, "notify": 0}
    with session(services=services, extra=extra) as running:
        yield Standing(running)


async def poison(standing: Standing) -> list[str]:
    """The letters that this release could not handle, as the operator is shown them."""
    printed = await standing.operator("mediation", "parked", "list", "--reason", "poison")
    return [line.split()[0] for line in printed.splitlines()[1:]]


async def taken(standing: Standing, cases: int) -> int:
    """Wait until mediation handled or parked all that intake says of these; how many events."""
    await standing.until_count("intake", "report-joined", cases)
    events = await standing.ask("intake", "SELECT count(*) FROM journal WHERE stream LIKE 'case/%'")

    async def all_taken() -> bool:
        handled = await standing.metric("mediation", "lianhu_messages_handled_total")
        return bool(handled >= events)

    await until(all_taken, f"{events} events to be handled or parked")
    return int(events)


async def test_what_a_bad_release_parked_is_bounded_and_comes_back_in_order(
    standing: Standing, tmp_path: Path
) -> None:
    release = tmp_path / "mediation"

    # 1 in 100: a few are parked, the others go on, and the service is well
    release.write_text("100", encoding="ascii")
    standing.restart("mediation")
    await standing.until_ready("mediation")
    cases, few = 0, list[str]()
    while not few:  # which ones fall follows from their ids, and once in a while none does
        standing.reports(CASES, twice=True)
        cases += CASES
        events = await taken(standing, cases)
        few = await poison(standing)
    assert len(few) <= events / 20
    assert await standing.reasons("mediation") == []
    stories = [tuple(story) for story in (await standing.stories("mediation")).values()]
    ((whole, count),) = Counter(stories).most_common(1)
    assert {"case-offered", "report-noted"} <= set(whole)
    assert cases - 2 * len(few) <= count < cases

    # 1 in 2: the service stands still and says so, and parks no more however often it tries
    release.write_text("2", encoding="ascii")
    standing.restart("mediation")
    standing.reports(CASES, twice=True)
    await standing.until_told("limit-reached", "mediation")
    assert await standing.metric("mediation", "lianhu_limit_hit") == 1
    retries = 'lianhu_batch_retries_total{cause="LimitReached"}'
    tried = await standing.metric("mediation", retries)
    await standing.until_metric("mediation", retries, tried + 3)
    many = await poison(standing)
    assert len(many) - len(few) <= LIMIT
    assert set(few) <= set(many)
    assert "limit-reached" in await standing.reasons("mediation")

    # mended: it goes on by itself, and what was parked comes back when somebody says so
    release.unlink()
    standing.restart("mediation")
    await standing.until_ready("mediation")
    await standing.until_count("mediation", "case-offered", cases + CASES - len(many))
    printed = await standing.operator("mediation", "parked", "replay", *many)
    assert printed == f"{len(many)} of {len(many)} letters are tried again\n"
    await standing.until_count("mediation", "report-noted", cases + CASES)

    async def all_drained() -> bool:
        return not await standing.ask("mediation", "SELECT count(*) FROM parked")

    await until(all_drained, "everything parked to be drained", 60)
    stories = [tuple(story) for story in (await standing.stories("mediation")).values()]
    assert Counter(stories) == {whole: cases + CASES}, "the effect that it would have had"
    verdict = await standing.judged()
    assert verdict.counts["cases"] == cases + CASES
