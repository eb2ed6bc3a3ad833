"""The search for leaks over a real broker, database, logs and HTTP finds what is planted."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from secrets import token_hex
from threading import Thread

import asyncpg
import pytest
from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete

from lianhu.eventing import topics
from lianhu.privacy import DataKey, Sealer, seal_bytes
from tests.conftest import MakeDatabase
from tests.infrastructure.ground import Infrastructure
from tests.leaks import Chain, Needle, Searched, search
from tests.wire import places_of, sending

pytestmark = pytest.mark.infra

EVENTS = "welfare.events.v1"
ANSWERS = "welfare.answers.treasury-futian.v1"
UNIT = "440304000000"


class Screens(ThreadingHTTPServer):
    """Answers what it was given, by path without the query."""

    answers: dict[str, bytes]


class _Answer(BaseHTTPRequestHandler):
    server: Screens

    def do_GET(self) -> None:
        path, _, query = self.path.partition("?")
        body = self.server.answers.get(path)
        if path == "/in-app" and UNIT not in query:
            body = b"[]" if query else None
        self.send_response(200 if body is not None else 400 if path == "/in-app" else 404)
        self.end_headers()
        self.wfile.write(body or b"{}")

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def screens() -> Iterator[Screens]:
    """A service's pages, served for real."""
    with Screens(("127.0.0.1", 0), _Answer) as server:
        server.answers = {
            "/metrics": b"lianhu_messages_handled_total 3\n",
            "/asyncapi.json": b"{}",
            "/in-app": b"[]",
        }
        thread = Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


async def emptied(bootstrap: str, *names: str) -> None:
    """All records of these topics are gone."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        places = await places_of(bootstrap, *names)
        await admin.delete_records({place: RecordsToDelete(-1) for place in places})
    finally:
        await admin.close()


@dataclass
class Ground:
    """A chain's remains in which nothing leaked, and somebody whom nobody else knows."""

    chain: Chain
    dsn: str
    logs: Path
    pages: Screens
    name: str
    phone: str

    async def plant(self, sql: str, *arguments: object) -> None:
        """Write into the database."""
        connection = await asyncpg.connect(self.dsn)
        try:
            await connection.execute(sql, *arguments)
        finally:
            await connection.close()

    @property
    def needles(self) -> list[Needle]:
        return [Needle("name", self.name, "test:1"), Needle("phone", self.phone, "test:2")]

    async def search(self, *parts: str) -> Searched:
        """Search these parts of the chain; all of it without."""
        others: dict[str, object] = {"kafka": None, "databases": {}, "logs": None, "pages": {}}
        left_out = {name: none for name, none in others.items() if parts and name not in parts}
        return await search(replace(self.chain, **left_out), self.needles)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
async def lone_broker(infrastructure: Infrastructure) -> AsyncIterator[str]:
    """A broker on which no other test has written: here all that was ever sent is searched."""
    with infrastructure.broker() as server:
        await topics.create(server.bootstrap, None)
        yield server.bootstrap


@pytest.fixture
async def ground(
    lone_broker: str, make_database: MakeDatabase, tmp_path: Path
) -> AsyncIterator[Ground]:
    tag = token_hex(3)
    name, phone = f"王{tag}红", f"138{int(tag, 16) % 10**8:08d}"
    report = {"narrative": f"{name}的电话是{phone}", "concerned": {"name": name, "phone": phone}}
    async with sending(lone_broker) as producer:
        await producer.send_and_wait(
            "intake.reports.hotline-futian.v1", json.dumps(report).encode()
        )
    dsn = await make_database("notify")
    logs = tmp_path / "logs"
    logs.mkdir()
    (logs / "intake.log").write_text('{"event": "started"}\n', encoding="utf-8")
    with screens() as pages:
        url = f"http://127.0.0.1:{pages.server_port}"
        chain = Chain(lone_broker, {"notify": dsn}, logs, {"notify": url})
        whole = Ground(chain, dsn, logs, pages, name, phone)
        # what is closed is no leak
        key = DataKey.new("case/x")
        await whole.plant(
            'INSERT INTO parked (letter, topic, partition, "offset", stamp, source, reason, body)'
            " VALUES ('l', 't', 0, 0, 0, 's', 'poison', $1)",
            seal_bytes(key, json.dumps(report).encode()),
        )
        await whole.plant(
            "INSERT INTO aggregates (stream, state) VALUES ('case/x', $1)",
            json.dumps({"note": Sealer(key).seal(json.dumps(name).encode())}),
        )
        yield whole


async def test_a_chain_in_which_nothing_leaked_is_clean(ground: Ground) -> None:
    found = await ground.search()
    assert found.ok, [str(leak) for leak in found.leaks]
    assert found.sent >= 1
    assert found.seen["rows"] >= 2
    assert found.seen["log files"] == 1
    assert found.seen["answers"] > 800, "every unit's screen was asked for"
    assert list(found.lines())[-1] == "leaks: 0"


@pytest.mark.parametrize(
    ("sql", "where"),
    [
        ("INSERT INTO aggregates (stream, state) VALUES ('case/1', $1)", "aggregates.state"),
        ("INSERT INTO aggregates (stream, seen) VALUES ($1, '{}')", "aggregates.stream"),
        ("INSERT INTO counters (name, next) VALUES ($1, 1)", "counters.name"),
        (
            "INSERT INTO case_keys (id, wrapped) VALUES ('x', convert_to($1, 'UTF8'))",
            "case_keys.wrapped",
        ),
        (
            "INSERT INTO inbox (topic, id, digest)"
            " VALUES ('t', 'i', sha256('x') || convert_to($1, 'UTF8'))",
            "inbox.digest",
        ),
    ],
)
async def test_what_is_planted_in_a_table_is_found(ground: Ground, sql: str, where: str) -> None:
    await ground.plant(sql, f"x{ground.name}x")
    found = await ground.search("databases")
    assert {leak.where.split(" row ")[0] for leak in found.leaks} == {f"notify {where}"}
    assert {(leak.kind, leak.number) for leak in found.leaks} == {("name", 1)}


async def test_a_table_that_nobody_told_of_is_searched_too(ground: Ground) -> None:
    await ground.plant("CREATE SCHEMA odd")
    await ground.plant('CREATE TABLE odd."a b" (list text[], more jsonb)')
    await ground.plant(
        'INSERT INTO odd."a b" VALUES ($1, $2)', [ground.phone], json.dumps({"n": ground.name})
    )
    found = await ground.search("databases")
    assert {(leak.where.split(" row ")[0], leak.kind) for leak in found.leaks} == {
        ("notify a b.list", "phone"),
        ("notify a b.more", "name"),
    }


async def test_what_is_planted_on_a_topic_is_found_wherever_it_stands(
    ground: Ground, lone_broker: str
) -> None:
    name = ground.name.encode()
    async with sending(lone_broker) as producer:
        for topic, key, headers, value in (
            (EVENTS, name, [], b"{}"),
            (EVENTS, b"k", [("ce_subject", name)], b"{}"),
            (ANSWERS, b"k", [], json.dumps({"x": ground.name}).encode()),
            ("welfare.dead-letters.v1", None, [], ground.phone.encode()),
        ):
            await producer.send_and_wait(topic, value, key=key, headers=headers)
    found = await ground.search("kafka")
    assert {(leak.where.split(" ")[0], leak.where.split(" ", 2)[2]) for leak in found.leaks} == {
        (EVENTS, "key"),
        (EVENTS, "header ce_subject"),
        (ANSWERS, "value"),
        ("welfare.dead-letters.v1", "value"),
    }
    await emptied(lone_broker, EVENTS, ANSWERS, "welfare.dead-letters.v1")
    assert (await ground.search("kafka")).ok


async def test_what_is_planted_in_a_log_is_found_with_its_line(ground: Ground) -> None:
    deep = ground.logs / "old"
    deep.mkdir()
    lines = ["nothing"] * 60_000 + [f"event='x' who={ground.name!r}", "nothing"]
    (deep / "mediation.log.1").write_text("\n".join(lines), encoding="utf-8")
    spaced = f"{ground.phone[:3]} {ground.phone[3:7]} {ground.phone[7:]}"
    with (ground.logs / "intake.log").open("a", encoding="utf-8") as file:
        file.write(f"called {spaced}")
    found = await ground.search("logs")
    assert [(leak.where, leak.kind) for leak in found.leaks] == [
        ("intake.log:2", "phone"),
        ("old/mediation.log.1:60001", "name"),
    ]


async def test_what_is_planted_in_an_answer_is_found(ground: Ground) -> None:
    ground.pages.answers["/metrics"] += f'lianhu_x{{who="{ground.name}"}} 1\n'.encode()
    ground.pages.answers["/in-app"] = json.dumps(
        [{"notice": "0" * 32, "zh-CN": {"text": f"请联系{ground.name}"}}]
    ).encode()
    ground.pages.answers["/asyncapi.json"] = json.dumps({"x": ground.phone}).encode()
    found = await ground.search("pages")
    assert [(leak.where, leak.kind) for leak in found.leaks] == [
        ("notify/asyncapi.json:1", "phone"),
        (f"notify/in-app?unit={UNIT}&limit=500:1", "name"),
        ("notify/metrics:2", "name"),
    ]


# the program


def run(ground: Ground, *more: str) -> subprocess.CompletedProcess[str]:
    """`python -m tests.leaks` over the whole ground."""
    chain = ground.chain
    return subprocess.run(
        [
            *(sys.executable, "-m", "tests.leaks"),
            *("--kafka", str(chain.kafka), "--logs", str(chain.logs)),
            *(f"--database=notify={chain.databases['notify']}",),
            *(f"--page=notify={chain.pages['notify']}", *more),
        ],
        capture_output=True,
        text=True,
        check=False,
    )


async def test_the_program_takes_what_to_look_for_from_what_was_sent(ground: Ground) -> None:
    clean = run(ground)
    assert clean.returncode == 0, clean.stdout + clean.stderr
    assert clean.stdout.splitlines()[-1] == "leaks: 0"
    await ground.plant("INSERT INTO counters (name, next) VALUES ($1, 1)", ground.name)
    leaked = run(ground)
    assert leaked.returncode == 1
    assert "LEAK notify counters.name row (0,1): name #" in leaked.stdout
    assert "which came with intake.reports.hotline-futian.v1 " in leaked.stdout
    assert ground.name not in leaked.stdout + leaked.stderr


async def test_the_program_takes_more_to_look_for(ground: Ground, tmp_path: Path) -> None:
    more = tmp_path / "more.jsonl"
    more.write_text('{"kind": "bank", "value": "6222 0213 0401 2345678"}', encoding="utf-8")
    (ground.logs / "x.log").write_text("iban 6222021304012345678", encoding="utf-8")
    leaked = run(ground, f"--needles={more}")
    assert leaked.returncode == 1
    assert "LEAK x.log:1: bank #1 as utf-8, which came with more.jsonl:1" in leaked.stdout


async def test_what_cannot_be_read_is_not_called_clean(ground: Ground) -> None:
    gone = replace(ground.chain, pages={"notify": "http://127.0.0.1:9"})
    ground.chain = gone
    answer = run(ground)
    assert (answer.returncode, answer.stdout) == (2, "")
    assert answer.stderr == "http://127.0.0.1:9 did not answer: ConnectionRefusedError\n"


def test_a_search_for_nothing_is_not_called_clean(tmp_path: Path) -> None:
    answer = subprocess.run(
        [sys.executable, "-m", "tests.leaks", "--logs", str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert answer.returncode == 2
    assert "this says nothing" in answer.stderr
