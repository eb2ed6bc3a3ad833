"""What people told travels the chain and stands in the clear nowhere, until it is planted."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from dataclasses import replace

import asyncpg
import pytest

from deploy.embedded import session
from deploy.embedded.session import Session
from tests.demo.wire import Sender, Watcher
from tests.leaks import Chain, search
from tests.leaks.__main__ import chain_of

pytestmark = pytest.mark.timeout(240)

NAME = "欧阳雪梅"
REPORTS = (
    {
        "channel": "hotline-12338",
        "narrative": f"{NAME}来电说丈夫昨晚酒后动手打了她，联系电话 136 0301 7788。",
        "place": {"division": "440304001019", "address": "梅林路七号八栋二单元 1203"},
        "concerned": {
            "name": NAME,
            "phone": "136 0301 7788",
            "email": "xuemei.ouyang@example.org",
            "document": {"kind": "resident-id", "number": "440304198811230028"},
            "born": "1988-11-23",
        },
        "other_party": {"name": "司徒建国", "phone": "13603017799"},
        "safe_contact": {"note": "只能在她上班的时候打办公室电话"},
    },
    {
        "channel": "walk-in",
        "narrative": "邻居听见隔壁夫妻为了孩子上学的事情争吵了整整一夜",
        "place": {"division": "440304001020"},
        "reporter": {"name": "诸葛明慧", "phone": "0755-83557788", "relation": "neighbour"},
    },
    # refused, with everything in it
    {
        "channel": "fax",
        "narrative": "这一份报告从头到尾都写错了格式",
        "concerned": {"name": "上官婉容", "phone": "call 13603017700", "nickname": "婉婉"},
    },
)


@pytest.fixture(scope="module")
def running() -> Iterator[Session]:
    with session(environment="test") as stack:
        sender, watcher = Sender(stack.bootstrap), Watcher(stack.bootstrap, lambda _: None)
        try:
            for number, body in enumerate(REPORTS):
                sender.report("hotline-futian", f"r-{number}", json.dumps(body).encode())
            sender.flush()
            watcher.until(
                "two cases to be told and a refusal",
                lambda book: (
                    len(book.cases) == 2 and len(book.notices) >= 2 and len(book.answers) >= 3
                ),
                90,
            )
        finally:
            watcher.close()
        yield stack


async def execute(dsn: str, sql: str, *arguments: object) -> None:
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute(sql, *arguments)
    finally:
        await connection.close()


def test_nothing_leaks_of_what_travelled_the_chain(running: Session) -> None:
    found = asyncio.run(search(chain_of(running.stack)))
    assert found.ok, "\n".join(found.lines())
    assert found.sent == len(REPORTS)
    assert found.needles["name"] >= 4
    assert found.seen["rows"] > 20
    assert found.seen["records"] > 10
    assert found.seen["log files"] >= 6


def test_one_word_on_a_screen_is_found_in_the_table_and_in_the_answer(running: Session) -> None:
    owner = running.dsns("notify").owner
    asyncio.run(execute(owner, "UPDATE in_app SET text_zh = text_zh || $1", f"（{NAME}）"))
    whole = chain_of(running.stack)
    chain = Chain(
        kafka=whole.kafka,
        databases={"notify": owner},
        pages={"notify": whole.pages["notify"]},
    )
    found = asyncio.run(search(chain))
    places = {leak.where.split("?")[0].split(" row ")[0] for leak in found.leaks}
    assert places == {"notify in_app.text_zh", "notify/in-app"}
    assert {leak.kind for leak in found.leaks} == {"name"}
    assert asyncio.run(search(replace(chain, databases={}, pages={}))).ok
