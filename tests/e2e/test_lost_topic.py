"""A topic of events is deleted: that is told, and it is made anew out of the journal."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from aiokafka import AIOKafkaConsumer
from aiokafka.admin import AIOKafkaAdminClient

from deploy.embedded import session
from tests.standing import Standing
from tests.wire import places_of, until

pytestmark = [pytest.mark.long, pytest.mark.timeout(420)]

TOPIC = "intake.events.v1"
CASES = 30
EXTRA = {
    "LIANHU_INTAKE_METADATA_MAX_AGE_MS": "1000",
    "LIANHU_MEDIATION_METADATA_MAX_AGE_MS": "1000",
}


@pytest.fixture(scope="module")
async def standing() -> AsyncIterator[Standing]:
    services = {"intake": 1, "mediation": 1, "welfare": 0, "notify": 0}
    with session(services=services, extra=EXTRA) as running:
        yield Standing(running)


async def ends(standing: Standing) -> dict[int, int]:
    """The end of each partition that holds anything."""
    bootstrap = standing.running.bootstrap
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap)
    await consumer.start()
    try:
        found = await consumer.end_offsets(await places_of(bootstrap, TOPIC))
    finally:
        await consumer.stop()
    return {place.partition: end for place, end in found.items() if end}


async def progress(standing: Standing) -> dict[int, int]:
    """How far mediation says to have handled each partition."""
    sql = 'SELECT partition, "offset" FROM progress WHERE topic = $1'
    return dict(await standing.fetch("mediation", sql, TOPIC))


async def delete(standing: Standing) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=standing.running.bootstrap)
    await admin.start()
    try:
        await admin.delete_topics([TOPIC])

        async def gone() -> bool:
            return TOPIC not in await admin.list_topics()

        await until(gone, "the topic to be gone")
    finally:
        await admin.close()


async def until_published(standing: Standing) -> None:
    """Wait until the relay has nothing left."""

    async def nothing_waits() -> bool:
        return "0 wait" in await standing.operator("intake", "outbox")

    await until(nothing_waits, "the outbox to be empty", 60)


async def make_anew(standing: Standing) -> None:
    """What the operator does."""
    assert f"{TOPIC} is missing" in await standing.topics("drift", code=1)
    assert await standing.topics("create") == "1 topics created\n"
    assert await standing.topics("drift") == "0 differences\n"
    printed = await standing.operator("intake", "journal", "republish", "--after", "0")
    assert printed.startswith("rows after 0 are published again")


async def is_whole(standing: Standing) -> None:
    """Each report is one case, offered once; mediation stands at the end of what there is."""
    await standing.until_count("mediation", "case-offered", len(standing.sent))
    await until_published(standing)

    async def at_end() -> bool:
        return await progress(standing) == await ends(standing)

    await until(at_end, "mediation to stand at the end of the new topic", 60)
    verdict = await standing.judged()
    assert verdict.counts["cases"] == len(standing.sent)
    stories = await standing.stories("mediation")
    assert len(stories) == len(standing.sent)
    assert {story.count("case-offered") for story in stories.values()} == {1}
    assert await standing.ask("mediation", "SELECT count(*) FROM parked") == 0


async def test_a_topic_deleted_while_all_stood_is_made_anew_from_the_journal(
    standing: Standing,
) -> None:
    standing.reports(CASES)
    await standing.until_count("mediation", "case-offered", CASES)
    # the topic holds each event twice: places were reached that the new one will not have
    await standing.operator("intake", "journal", "republish", "--after", "0")
    await until_published(standing)
    duplicates = 'lianhu_messages_duplicate_total{source="intake"}'
    await standing.until_metric("mediation", duplicates, CASES)
    standing.running.stop("mediation")
    standing.reports(CASES)
    await standing.until_count("intake", "case-opened", 2 * CASES)
    await until_published(standing)
    standing.running.stop("intake")
    await delete(standing)

    await make_anew(standing)
    standing.running.start("intake")
    standing.running.start("mediation")
    await is_whole(standing)
    assert await standing.metric("mediation", duplicates) >= CASES, "known, and dropped"


async def test_a_topic_deleted_under_running_services_is_told_and_comes_back(
    standing: Standing,
) -> None:
    await delete(standing)
    for name in ("intake", "mediation"):
        await standing.until_told("topic-missing", name)
        assert await standing.metric(name, "lianhu_topics_missing") == 1
    standing.reports(CASES)
    await standing.until_count("intake", "case-opened", len(standing.sent))
    await standing.until_metric("intake", "lianhu_relay_failures_total", 1)
    await standing.until_metric("intake", "lianhu_outbox_rows", CASES)

    await make_anew(standing)
    for name in ("intake", "mediation"):
        standing.running.stop(name)
        standing.running.start(name)
    await is_whole(standing)
