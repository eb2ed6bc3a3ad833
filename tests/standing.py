"""A chain that stands, for tests that do harm to it: its numbers, its readiness, its operator."""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import asyncpg
import httpx

from deploy.embedded.services import ROOT, environment_of
from deploy.embedded.session import Session
from tests.checker.collect import judge
from tests.checker.verdict import Verdict
from tests.demo.reports import HOTLINE, OFFICERS
from tests.demo.wire import Sender
from tests.wire import until

Offer = tuple[str, str]
"""A case's number and the unit to which it was offered."""


@dataclass
class Standing:
    """A running chain, and a publisher of its own."""

    running: Session
    sent: list[str] = field(default_factory=list)
    """Ids of the reports that must each become a case."""

    def __post_init__(self) -> None:
        """Connect the publisher."""
        self.sender = Sender(self.running.bootstrap)

    @property
    def dsns(self) -> dict[str, str]:
        """The databases of the services that run here, by service."""
        services = dict.fromkeys(one.service for one in self.running.replicas)
        return {name: self.running.dsns(name).runtime for name in services}

    def reports(
        self, count: int, *, twice: bool = False, more: Mapping[str, object] | None = None
    ) -> None:
        """Send reports of so many people; `twice`: each is told of once more, which joins."""
        first = len(self.sent)
        for again in (False, True)[: 1 + twice]:
            for number in range(first, first + count):
                id_ = f"r-{number}"
                self.sender.report(
                    HOTLINE, f"{id_}-again" if again else id_, _body(number, more or {})
                )
                if not again:
                    self.sent.append(id_)
        self.sender.flush()

    def accept(self, offers: Iterable[Offer]) -> None:
        """The duty officers of these cases' units take them on; all is on the topic then."""
        for case, unit in offers:
            by = {"officer": "officer-1", "post": "duty-officer", "unit": unit}
            data: dict[str, object] = {"case": case, "by": by}
            self.sender.command(OFFICERS, f"accept-{case}", "accept-case", case, data)
        self.sender.flush()

    async def offers(self) -> list[Offer]:
        """All cases that were offered, oldest first, and the unit to which each was first."""
        sql = "SELECT body FROM journal WHERE type = $1 ORDER BY seq"
        rows = await self.fetch("mediation", sql, "lianhu.mediation.case-offered.v1")
        bodies = [json.loads(row[0]) for row in rows]
        return [(body["case"], body["unit"]) for body in bodies]

    def restart(self, name: str) -> None:
        """Stop it and start it; it need not become ready."""
        self.running.stop(name)
        self.begin(name)

    def begin(self, name: str) -> None:
        """Start it; wait for nothing."""
        steps = self.running.stack.start_replica(
            next(one for one in self.running.replicas if one.name == name)
        )
        next(steps, None)

    async def reasons(self, name: str) -> list[str]:
        """Why it is not ready; nothing when it is."""
        try:
            async with httpx.AsyncClient(timeout=10) as client:
                answer = await client.get(f"{self.running.url(name)}/readyz")
        except httpx.TransportError:
            return ["no-answer"]
        found: list[str] = answer.json()["reasons"]
        return found

    async def until_ready(self, name: str, seconds: float = 60) -> None:
        """Wait until it is."""

        async def ready() -> bool:
            return not await self.reasons(name)

        await until(ready, f"{name} to be ready", seconds)

    async def until_told(self, reason: str, name: str, seconds: float = 60) -> None:
        """Wait until it says why it is not ready."""

        async def told() -> bool:
            return reason in await self.reasons(name)

        await until(told, f"{name} to say {reason}", seconds)

    async def metric(self, name: str, metric: str) -> float:
        """The sum over all lines of a metric, or one line when labels are given."""
        async with httpx.AsyncClient(timeout=10) as client:
            text = (await client.get(f"{self.running.url(name)}/metrics")).text
        labels = "" if "{" in metric else r"(?:\{[^}]*\})?"
        found = re.findall(rf"^{re.escape(metric)}{labels} (\S+)$", text, re.MULTILINE)
        return sum(map(float, found))

    async def until_metric(self, name: str, metric: str, least: float, seconds: float = 60) -> None:
        """Wait until it is at least so much."""

        async def enough() -> bool:
            return await self.metric(name, metric) >= least

        await until(enough, f"{metric} of {name} to be {least} or more", seconds)

    async def fetch(self, service: str, sql: str, *arguments: object) -> list[Any]:
        """Ask a service's database as its owner of all owners."""
        connection = await asyncpg.connect(self.running.dsns(service).admin)
        try:
            return list(await connection.fetch(sql, *arguments))
        finally:
            await connection.close()

    async def ask(self, service: str, sql: str, *arguments: object) -> Any:
        """One value of it."""
        return (await self.fetch(service, sql, *arguments))[0][0]

    async def count(self, service: str, event: str) -> int:
        """How often something happened."""
        sql = "SELECT count(*) FROM journal WHERE type = $1"
        return int(await self.ask(service, sql, f"lianhu.{service}.{event}.v1"))

    async def until_count(self, service: str, event: str, least: int, seconds: float = 120) -> None:
        """Wait until it happened so often."""

        async def enough() -> bool:
            return await self.count(service, event) >= least

        await until(enough, f"{least} {event} of {service}", seconds)

    async def stories(self, service: str) -> dict[str, list[str]]:
        """What happened on each case's stream, in order."""
        rows = await self.fetch(
            service, "SELECT stream, type FROM journal WHERE stream LIKE 'case/%' ORDER BY seq"
        )
        found: dict[str, list[str]] = {}
        for stream, type_ in rows:
            found.setdefault(stream, []).append(type_.split(".")[2])
        return found

    async def operator(self, name: str, *command: str, code: int = 0) -> str:
        """An operator's command with this replica's environment; what it printed."""
        replica = next(one for one in self.running.replicas if one.name == name)
        environment = environment_of(
            replica, self.running.dsns(replica.service), self.running.stack.settings
        )
        return await _run([f"lianhu.{replica.service}", *command], environment, code)

    async def topics(self, *command: str, code: int = 0) -> str:
        """`python -m lianhu.eventing topics …`."""
        where = ("--kafka", self.running.bootstrap)
        return await _run(["lianhu.eventing", "topics", *command, *where], None, code)

    async def judged(self, seconds: float = 60) -> Verdict:
        """What the independent checker says of it; fails if it found anything."""
        verdict = await asyncio.to_thread(judge, self.running.bootstrap, self.dsns, seconds)
        assert verdict.ok, "\n".join(verdict.lines())
        return verdict


async def _run(arguments: Sequence[str], environment: dict[str, str] | None, code: int) -> str:
    done = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-m", *arguments],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout


def _body(number: int, more: Mapping[str, object]) -> bytes:
    """A report about somebody of whom no other report speaks."""
    body = {
        "channel": "hotline-12338",
        "narrative": "夫妻争吵。",
        "place": {"division": f"4403040010{19 + number % 2}"},
        "concerned": {
            "name": f"王{chr(0x4E00 + number)}",
            "born": "1990-02-28",
            "phone": f"139{number:08d}",
        },
        **more,
    }
    return json.dumps(body, ensure_ascii=False).encode()
