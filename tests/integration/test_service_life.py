"""The life of a service's process: how it starts, stops, is killed, stands still, and goes on."""

from __future__ import annotations

import asyncio
import json
import re
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable, Collection, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import asyncpg
import httpx
import psutil
import pytest
import yaml

from deploy.embedded import ports, session
from deploy.embedded.services import ROOT, environment_of
from deploy.embedded.session import Session
from lianhu.privacy import MasterKey
from tests.checker.collect import judge
from tests.demo.reports import HOTLINE
from tests.demo.wire import Sender
from tests.wire import until, until_true

MEDIATIONS = ("mediation", "mediation-2")
NAMES = ("intake", *MEDIATIONS)
BATCH = 100
STOP_SECONDS = 10.0
EXTRA = {
    "LIANHU_INTAKE_BATCH_RECORDS": str(BATCH),
    # a member by name takes its place back at once when it was killed
    "LIANHU_INTAKE_INSTANCE": "one",
}
DUPLICATES = f'lianhu_messages_duplicate_total{{source="intake.reports.{HOTLINE}.v1"}}'
POLICY = Path("services/mediation/lianhu/mediation/policy.yaml")


@dataclass
class Life:
    """A running chain of intake and two replicas of mediation, and a publisher."""

    running: Session
    sender: Sender
    sent: int = 0

    def report(self, count: int) -> None:
        """Send reports, each of which must become one case."""
        for number in range(self.sent, self.sent + count):
            place = {"division": f"4403040010{19 + number % 2}"}
            body = {"channel": "hotline-12338", "narrative": "夫妻争吵。", "place": place}
            self.sender.report(HOTLINE, f"r-{number}", json.dumps(body).encode())
        self.sender.flush()
        self.sent += count

    def process(self, name: str) -> psutil.Process:
        record = self.running.daemon(name).record()
        assert record is not None
        return psutil.Process(record.pid)

    def listens(self, name: str) -> bool:
        return ports.answers(int(self.running.url(name).rpartition(":")[2]))

    async def get(self, name: str, path: str) -> httpx.Response:
        async with httpx.AsyncClient(timeout=10) as client:
            return await client.get(f"{self.running.url(name)}{path}")

    async def metric(self, name: str, metric: str) -> float:
        """One line of the metrics."""
        text = (await self.get(name, "/metrics")).text
        found = re.search(rf"^{re.escape(metric)} (\S+)$", text, re.MULTILINE)
        assert found is not None
        return float(found[1])

    async def reasons(self, name: str) -> list[str]:
        """Why it is not ready; nothing when it is."""
        answer = await self.get(name, "/readyz")
        body = answer.json()
        assert (answer.status_code == 200) is body["ready"] is (not body["reasons"])
        found: list[str] = body["reasons"]
        return found

    async def until_ready(self, name: str) -> None:
        async def ready() -> bool:
            return not await self.reasons(name)

        await until(ready, f"{name} to be ready")

    async def until_told(self, reason: str, name: str) -> None:
        async def told() -> bool:
            return reason in await self.reasons(name)

        await until(told, f"{name} to say {reason}")

    async def ask(self, service: str, sql: str, *arguments: object) -> int:
        """A number from a service's database."""
        connection = await asyncpg.connect(self.running.dsns(service).admin)
        try:
            found: int = await connection.fetchval(sql, *arguments)
            return found
        finally:
            await connection.close()

    async def count(self, service: str, event: str) -> int:
        """How often something happened."""
        sql = "SELECT count(*) FROM journal WHERE type = $1"
        return await self.ask(service, sql, f"lianhu.{service}.{event}.v1")

    async def until_offered(self) -> None:
        """Wait until every report so far is a case that was offered to a unit."""

        async def offered() -> bool:
            return await self.count("mediation", "case-offered") >= self.sent

        await until(offered, f"{self.sent} cases to be offered", 60)

    async def is_whole(self) -> None:
        """Nothing is lost, nothing is done twice: one case and one answer for each report."""
        await self.until_offered()
        dsns = {name: self.running.dsns(name).runtime for name in ("intake", "mediation")}
        verdict = await asyncio.to_thread(judge, self.running.bootstrap, dsns, 30)
        assert verdict.ok, verdict.lines()
        counts = [verdict.counts[name] for name in ("reports", "cases", "answers")]
        assert counts == [self.sent] * 3

    @asynccontextmanager
    async def holding(self, service: str, table: str) -> AsyncIterator[None]:
        """Let no transaction of a service write to a table: a batch stands still within it."""
        connection = await asyncpg.connect(self.running.dsns(service).admin)
        try:
            async with connection.transaction():
                await connection.execute(f"LOCK TABLE {table} IN SHARE MODE")
                yield
        finally:
            await connection.close()

    async def until_waiting(self, service: str, count: int) -> None:
        """Wait until so many connections to a service's database wait for a lock."""
        sql = "SELECT count(DISTINCT pid) FROM pg_locks JOIN pg_stat_activity USING (pid)"
        sql += " WHERE datname = $1 AND NOT granted"

        async def waiting() -> bool:
            return await self.ask(service, sql, service) >= count

        await until(waiting, f"{count} connections of {service} to wait")


@pytest.fixture(scope="module")
def life() -> Iterator[Life]:
    services = {"intake": 1, "mediation": 2, "welfare": 0, "notify": 0}
    with session(environment="test", services=services, extra=EXTRA) as running:
        yield Life(running, Sender(running.bootstrap))


async def test_a_service_answers_how_it_is_and_what_it_speaks(life: Life) -> None:
    for name in NAMES:
        service = name.removesuffix("-2")
        alive = await life.get(name, "/livez")
        assert (alive.status_code, alive.json()) == (200, {"service": service, "alive": True})
        ready = await life.get(name, "/readyz")
        assert ready.json() == {"service": service, "ready": True, "reasons": []}
        spoken = (await life.get(name, "/asyncapi.json")).json()
        assert spoken["asyncapi"].startswith("3.")
        assert f"{service}.events.v1" in json.dumps(spoken)
        assert "lianhu_batch_seconds_bucket" in (await life.get(name, "/metrics")).text
        assert (await life.get(name, "/elsewhere")).status_code == 404


def without_acceptance(folder: Path) -> str:
    """A policy without the deadline of acceptance."""
    policy = yaml.safe_load((ROOT / POLICY).read_text(encoding="utf-8"))
    del policy["deadlines"]["accept"]
    return written(folder / "policy.yaml", yaml.safe_dump(policy))


def written(file: Path, text: str) -> str:
    file.write_text(text, encoding="utf-8")
    return str(file)


def another_key(folder: Path) -> str:
    MasterKey.generate().write(folder / "another.key")
    return str(folder / "another.key")


HOLES: dict[str, tuple[Callable[[Path], dict[str, str | None]], str]] = {
    "policy": (
        lambda folder: {"POLICY_FILE": without_acceptance(folder)},
        "mediation: the policy of mediation has holes: no deadline accept",
    ),
    "policy-not-yaml": (
        lambda folder: {"POLICY_FILE": written(folder / "policy.yaml", "deadlines: {\n  a\n")},
        "mediation: the policy of mediation is not YAML: .+",
    ),
    "no-master-key": (
        lambda _: {"MASTER_KEY_FILE": None},
        "mediation: MASTER_KEY_FILE is not set: .+",
    ),
    "another-master-key": (
        lambda folder: {"MASTER_KEY_FILE": another_key(folder)},
        "mediation: unknown-master-key: .+",
    ),
    "clock": (
        lambda _: {"ENVIRONMENT": "production", "CLOCK_MOVABLE": "true"},
        "mediation: time is not moved in production: set CLOCK_MOVABLE=false",
    ),
}
"""What is wrong with the environment of a start, and the sentence that says so."""


@asynccontextmanager
async def starting_with(
    life: Life, changes: Mapping[str, str | None]
) -> AsyncIterator[asyncio.subprocess.Process]:
    """A start of mediation in another environment than it has; killed at the end."""
    running = life.running
    replica = next(one for one in running.replicas if one.name == "mediation")
    environment = environment_of(replica, running.dsns("mediation"), running.stack.settings)
    for name, value in changes.items():
        environment.pop(f"LIANHU_MEDIATION_{name}", None)
        if value is not None:
            environment[f"LIANHU_MEDIATION_{name}"] = value
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "lianhu.mediation", "run"),
        cwd=ROOT,
        env=environment,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


@pytest.mark.parametrize("hole", HOLES)
async def test_a_start_with_a_hole_ends_with_a_sentence(
    life: Life, tmp_path: Path, hole: str
) -> None:
    changes, sentence = HOLES[hole]
    async with starting_with(life, changes(tmp_path)) as process:
        _, errors = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == 2, errors.decode()
    assert re.fullmatch(f"{sentence}\n", errors.decode()), errors.decode()


async def test_a_start_that_waits_for_its_database_ends_when_told_to(life: Life) -> None:
    with socket.create_server((ports.HOST, 0)) as silent:
        silent.setblocking(False)
        port = silent.getsockname()[1]
        url = f"postgresql://mediation@{ports.HOST}:{port}/mediation?sslmode=disable"
        async with starting_with(life, {"DATABASE_URL": url}) as process:
            asking = asyncio.get_running_loop().sock_accept(silent)
            connection, _ = await asyncio.wait_for(asking, 60)
            with connection:
                process.terminate()
                _, errors = await asyncio.wait_for(process.communicate(), STOP_SECONDS)
    assert (process.returncode, errors) == (0, b"")


async def test_a_service_that_is_told_to_stop_ends_its_batch_and_loses_nothing(life: Life) -> None:
    before = await life.count("intake", "case-opened")
    process = life.process("intake")
    async with life.holding("intake", "inbox"):
        life.report(3 * BATCH)
        await life.until_waiting("intake", 1)
        process.terminate()
        await until_true(lambda: not life.listens("intake"), "intake to close its door")
        assert process.is_running(), "its batch is under way"
    assert await asyncio.to_thread(process.wait, STOP_SECONDS) == 0
    assert 0 < await life.count("intake", "case-opened") - before < 3 * BATCH
    await asyncio.to_thread(life.running.start, "intake")
    await life.is_whole()


async def test_a_service_that_is_killed_in_a_batch_loses_nothing(life: Life) -> None:
    """One batch was handled, the next one is under way, a third one waits."""
    before = await life.count("intake", "case-opened")
    async with AsyncExitStack() as second:
        async with life.holding("intake", "inbox"):
            life.report(3 * BATCH)
            await life.until_waiting("intake", 1)
            holding = second.enter_async_context(life.holding("intake", "inbox"))
            queued = asyncio.create_task(holding)
            await life.until_waiting("intake", 2)
        await queued
        await life.until_waiting("intake", 1)
        await asyncio.to_thread(life.running.kill, "intake")
    assert 0 < await life.count("intake", "case-opened") - before < 3 * BATCH
    await asyncio.to_thread(life.running.start, "intake")
    await life.is_whole()


async def test_a_service_that_is_killed_before_it_commits_offsets_doubles_nothing(
    life: Life,
) -> None:
    """The broker goes first, so that it is never told what was handled."""
    before = await life.count("intake", "case-opened")
    async with life.holding("intake", "inbox"):
        life.report(BATCH)
        await life.until_waiting("intake", 1)
        await asyncio.to_thread(life.running.stop, "kafka")

    async def handled() -> bool:
        return await life.count("intake", "case-opened") > before

    await until(handled, "the batch to be handled")
    await asyncio.to_thread(life.running.kill, "intake")
    for name in MEDIATIONS:
        await life.until_told("not-in-the-consumer-group", name)
    for name in ("kafka", "intake"):
        await asyncio.to_thread(life.running.start, name)
    for name in MEDIATIONS:
        await life.until_ready(name)
    await life.is_whole()
    assert await life.metric("intake", DUPLICATES) > 0, "the batch was handed over again"


async def leader_of(life: Life, names: Collection[str]) -> str:
    """Which of these replicas has the lead."""

    async def leading() -> str | None:
        leaders = [name for name in names if await life.metric(name, "lianhu_leader")]
        return leaders[0] if len(leaders) == 1 else None

    found = await until(leading, "a leader")
    assert found is not None
    return found


async def test_a_leader_that_stands_still_is_followed_and_has_no_second_effect(life: Life) -> None:
    """It is stopped in the middle of a batch, while it has locks and messages nobody else has."""
    leader = await leader_of(life, MEDIATIONS)
    (other,) = set(MEDIATIONS) - {leader}
    rebalances = await life.metric(leader, "lianhu_rebalances_total")
    process = life.process(leader)
    async with life.holding("mediation", "journal"):
        life.report(60)
        await life.until_waiting("mediation", 2)
        process.send_signal(signal.SIGSTOP)
    try:
        assert await leader_of(life, [other]) == other
        life.report(20)
        await life.until_offered()
        assert process.status() == psutil.STATUS_STOPPED
    finally:
        process.send_signal(signal.SIGCONT)

    async def noticed() -> bool:
        return await life.metric(leader, "lianhu_rebalances_total") > rebalances

    await until(noticed, f"{leader} to notice that it lost its partitions")
    await life.until_ready(leader)
    assert await leader_of(life, MEDIATIONS) == other
    life.report(20)
    await life.is_whole()


async def test_a_service_without_its_database_says_so_and_goes_on_afterwards(life: Life) -> None:
    await asyncio.to_thread(life.running.stop, "postgres")
    for name in NAMES:
        assert "no-database" in await life.reasons(name)
        assert (await life.get(name, "/livez")).status_code == 200
    life.report(20)
    await life.until_told("last-batch-failed", "intake")
    process = life.process("mediation")
    process.terminate()
    assert await asyncio.to_thread(process.wait, STOP_SECONDS) == 0
    for name in ("postgres", "mediation"):
        await asyncio.to_thread(life.running.start, name)
    for name in NAMES:
        await life.until_ready(name)
    await life.is_whole()
