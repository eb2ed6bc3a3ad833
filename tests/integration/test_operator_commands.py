"""The operator's commands on a real database: what each does, says, and ends with."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from importlib.resources import files
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from typer.testing import CliRunner

from lianhu.eventing.cli import build
from lianhu.eventing.clock import utc_now
from lianhu.eventing.rules import case_stream
from lianhu.eventing.service import Service
from lianhu.eventing.testing import TestEngine
from lianhu.mediation.settings import Settings
from lianhu.privacy import MasterKey
from tests.conftest import MakeDatabase
from tests.engine_toy import (
    COMMANDS,
    KEY,
    STATES,
    Toy,
    again,
    command,
    emptied,
    event,
    event_id,
)

pytestmark = pytest.mark.infra

CASE, OTHER = "440304-2026-000001", "440304-2026-000002"
STREAM = case_stream(CASE)
SECRET = "张小花-13800138000-Furong"
HEADS = ["letter", "reason", "from", "stream", "seq", "faults", "since", "due", "tries"]


class Desk:
    """An operator's terminal at a toy service's database, and a running replica of it."""

    def __init__(self, one: TestEngine, toy: Toy, environment: Mapping[str, str]) -> None:
        self.one = one
        self.toy = toy
        self.environment = environment
        self._cli = build(
            Service(
                name="mediation",
                settings=Settings,
                workflow=toy,
                states=STATES,
                policy=lambda _: None,
                migrations=files("lianhu.mediation") / "migrations",
            )
        )

    async def run(self, *arguments: str, **environment: str) -> tuple[int, str, str]:
        """Exit code, output and errors; fails where either of these tells something personal."""
        named = {f"LIANHU_MEDIATION_{name}": value for name, value in environment.items()}
        result = await asyncio.to_thread(
            CliRunner().invoke, self._cli, arguments, env={**self.environment, **named}
        )
        assert result.exception is None or isinstance(result.exception, SystemExit), result
        for part in SECRET.split("-"):
            assert part not in result.output
        return result.exit_code, result.stdout, result.stderr

    async def says(self, *arguments: str) -> list[str]:
        """The lines of a command that ends well and says nothing else."""
        code, out, errors = await self.run(*arguments)
        assert (code, errors) == (0, "")
        return out.splitlines()

    async def fails(self, *arguments: str, **environment: str) -> tuple[int, str]:
        code, out, errors = await self.run(*arguments, **environment)
        assert out == ""
        return code, errors

    async def letter(self, reason: str) -> str:
        rows = await self.one.fetch("SELECT letter FROM parked WHERE reason = $1", reason)
        (found,) = [str(row["letter"]) for row in rows]
        return found


@asynccontextmanager
async def desk(make_database: MakeDatabase, folder: Path) -> AsyncIterator[Desk]:
    url = await emptied(make_database, "mediation")
    KEY.write(folder / "master.key")
    environment = {
        "LIANHU_MEDIATION_DATABASE_URL": url,
        "LIANHU_MEDIATION_MASTER_KEY_FILE": str(folder / "master.key"),
        "LIANHU_MEDIATION_ENVIRONMENT": "test",
        "LIANHU_MEDIATION_CLOCK_MOVABLE": "true",
    }
    toy = Toy()
    async with again(url, toy) as (one,):
        await one.fetch("UPDATE relay_cursor SET seq = 0")
        yield Desk(one, toy, environment)


async def park_some(desk: Desk) -> None:
    """One letter of poison, one message that waits behind it, one that was refused."""
    desk.toy.does |= {"bad": "raise", "no": "refuse"}
    await desk.one.take(
        event(CASE, 1),
        event(OTHER, 1),
        command(CASE, "bad", SECRET, offset=1),
        command(CASE, "later", SECRET, offset=2),
        command(OTHER, "no", SECRET, offset=3),
    )


# parked


async def test_parked_list_shows_each_with_a_letter_that_other_commands_take(
    make_database: MakeDatabase, tmp_path: Path
) -> None:
    async with desk(make_database, tmp_path) as at:
        assert [line.split() for line in await at.says("parked", "list")] == [HEADS]
        await park_some(at)
        head, *lines = await at.says("parked", "list")
        assert head.split() == HEADS
        shown = [line.split("  ")[0] for line in lines]
        rows = await at.one.fetch("SELECT letter FROM parked ORDER BY id")
        assert shown == [row["letter"] for row in rows], "whole, also where no terminal is wide"
        poison, behind, refused = lines
        for part in ("poison", f"{COMMANDS} 0/1", str(STREAM), "/ unexpected-error"):
            assert part in poison
        assert "behind" in behind
        assert "/note toy-says-no" in refused
        (_, only) = await at.says("parked", "list", "--reason", "refused")
        assert "refused" in only
        (_, first) = await at.says("parked", "list", "--limit", "1")
        assert "poison" in first


async def test_parked_list_knows_its_reasons(make_database: MakeDatabase, tmp_path: Path) -> None:
    async with desk(make_database, tmp_path) as at:
        code, errors = await at.fails("parked", "list", "--reason", "dislike")
        assert code == 2
        assert "awaiting" in errors


async def test_parked_show_unseals_one_letter_and_leaves_a_line_that_says_so(
    make_database: MakeDatabase, tmp_path: Path
) -> None:
    async with desk(make_database, tmp_path) as at:
        await park_some(at)
        letter = await at.letter("poison")

        async def show(letter: str) -> subprocess.CompletedProcess[str]:
            """As a process: its log is the process's own."""
            return await asyncio.to_thread(
                subprocess.run,
                [sys.executable, "-m", "lianhu.mediation", "parked", "show", letter],
                env={**os.environ, **at.environment, "PYTHONIOENCODING": "utf-8"},
                capture_output=True,
                encoding="utf-8",
                check=False,
            )

        shown, unknown = await asyncio.gather(show(letter), show("f" * 24))
        assert shown.returncode == 0, shown.stderr
        place, *headers, body = shown.stdout.splitlines()
        assert place == f"{COMMANDS} 0/1"
        assert "ce_id: b'bad'" in headers
        assert json.loads(body)["note"] == SECRET
        (line,) = [json.loads(text) for text in shown.stderr.splitlines()]
        line.pop("timestamp")
        assert line == {
            "event": "letter unsealed",
            "level": "warning",
            "logger": "lianhu.eventing.ops",
            "service": "mediation",
            "command": "parked show",
            "letter": letter,
            "topic": COMMANDS,
            "position": "0/1",
        }
        assert (unknown.returncode, unknown.stdout) == (1, "")
        assert unknown.stderr == f"no letter {'f' * 24}\n", "nothing was unsealed"


async def test_what_a_stranger_wrote_does_not_steer_the_terminal(
    make_database: MakeDatabase, tmp_path: Path
) -> None:
    async with desk(make_database, tmp_path) as at:
        at.toy.does["bad"] = "raise"
        text = "\x1b]0;mine\x07 \x9b2J :smile: [red]x[/] 说明"
        await at.one.take(event(CASE, 1), command(CASE, "bad", text, more={"x\x1b[2J": b"\x1b"}))
        letter = await at.letter("poison")
        with pytest.MonkeyPatch.context() as patch:
            # the log is not this test's, and set up for a process it would outlast it
            patch.setattr("lianhu.eventing.logs.configure", lambda *_: None)
            code, out, _ = await at.run("parked", "show", letter)
        assert code == 0
        assert "\x1b" not in out
        assert "\x9b" not in out
        assert "x\\x1b[2J: b'\\x1b'" in out
        assert ":smile: [red]x[/] 说明" in out


async def test_parked_replay_has_letters_tried_again_under_the_same_id(
    make_database: MakeDatabase, tmp_path: Path
) -> None:
    async with desk(make_database, tmp_path) as at:
        await park_some(at)
        at.toy.does.clear()
        letters = [await at.letter("poison"), await at.letter("refused")]
        assert await at.one.drain() == 0, "nobody asked for it yet"
        told = await at.says("parked", "replay", *letters)
        assert told == ["2 of 2 letters are tried again"]
        await at.one.drain()
        text = await at.one.state(STREAM)
        assert text is not None
        assert json.loads(text)["written"] == [event_id(CASE, 1), "bad", "later"]
        assert await at.one.parked() == []
        code, out, errors = await at.run("parked", "replay", *letters)
        assert (code, out, errors) == (1, "0 of 2 letters are tried again\n", "")


# journal and outbox


async def test_journal_verify_ends_with_one_where_something_is_wrong(
    make_database: MakeDatabase, tmp_path: Path
) -> None:
    async with desk(make_database, tmp_path) as at:
        await park_some(at)
        assert await at.says("journal", "verify") == ["0 faults"]
        await at.one.fetch("UPDATE journal SET body = body || ' ' WHERE stream = $1", str(STREAM))
        code, out, errors = await at.run("journal", "verify")
        assert (code, errors) == (1, "")
        assert out == f"{STREAM}: row 1 is not what its hash says\n1 faults\n"


async def test_republish_sets_the_outbox_back_and_never_forward(
    make_database: MakeDatabase, tmp_path: Path
) -> None:
    async with desk(make_database, tmp_path) as at:
        assert await at.says("outbox") == ["published up to 0, journal ends at 0: 0 wait"]
        await at.one.take(event(CASE, 1), *(command(CASE, f"c-{n}", offset=n) for n in range(4)))
        (row,) = await at.one.fetch("SELECT max(seq) AS last FROM journal")
        last = row["last"]
        await at.one.fetch("UPDATE relay_cursor SET seq = $1", last - 1)
        before = [f"published up to {last - 1}, journal ends at {last}: 1 wait"]
        assert await at.says("outbox") == before
        told = await at.says("journal", "republish", "--after", str(last))
        assert told == [f"rows after {last - 1} are published again, 1 in all"]
        assert await at.says("outbox") == before
        told = await at.says("journal", "republish", "--after", str(last - 3))
        assert told == [f"rows after {last - 3} are published again, 3 in all"]
        after = f"published up to {last - 3}, journal ends at {last}: 3 wait"
        assert await at.says("outbox") == [after]
        for wrong in ("-1", "all"):
            code, _ = await at.fails("journal", "republish", "--after", wrong)
            assert code == 2
        assert await at.says("outbox") == [after]


# deadlines and the clock


async def test_overdue_names_what_is_late_and_by_how_much(
    make_database: MakeDatabase, tmp_path: Path
) -> None:
    async with desk(make_database, tmp_path) as at:
        assert [line.split() for line in await at.says("deadlines", "overdue")] == [
            ["stream", "due", "late", "by"]
        ]
        early = utc_now() - timedelta(days=2, hours=3)
        for case, due in ((CASE, early + timedelta(days=1)), (OTHER, early)):
            text = f"timer=visit@{due.isoformat()} {SECRET}"
            await at.one.take(event(case, 1), command(case, f"c-{case}", text))
        future = "440304-2026-000003"
        text = f"timer=visit@{(utc_now() + timedelta(hours=1)).isoformat()}"
        await at.one.take(event(future, 1), command(future, "c-3", text))
        _, first, second = await at.says("deadlines", "overdue")
        assert first.split()[:2] == [
            str(case_stream(OTHER)),
            early.isoformat(timespec="seconds"),
        ]
        assert "2 days, 3:00:" in first
        assert str(STREAM) in second
        assert "1 day, 3:00:" in second
        _, only = await at.says("deadlines", "overdue", "--limit", "1")
        assert str(case_stream(OTHER)) in only
        # where time is moved, late is late by the moved time
        await at.says("clock", "advance", "PT2H", "--from", "2026-01-01T00:00:00+08:00")
        assert len(await at.says("deadlines", "overdue")) == 4


async def test_the_clock_is_moved_forward_from_a_moment_on(
    make_database: MakeDatabase, tmp_path: Path
) -> None:
    async with desk(make_database, tmp_path) as at:
        told = await at.says("clock", "advance", "P3D", "--from", "2026-03-02T09:00:00+08:00")
        assert told == ["from 2026-03-02T01:00:00+00:00 on, time is ahead by 3 days, 0:00:00"]
        before = utc_now()
        (told_next,) = await at.says("clock", "advance", "PT4H")
        assert told_next.endswith(" on, time is ahead by 3 days, 4:00:00")
        first, second = await at.one.fetch("SELECT from_at, ahead FROM clock ORDER BY from_at")
        monday = datetime(2026, 3, 2, 1, tzinfo=UTC)
        assert tuple(first) == (monday, timedelta(days=3))
        assert second["ahead"] == timedelta(days=3, hours=4)
        assert second["from_at"] > before, "in a moment, so that every service knows before"


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("--", "-P1D"), 1, "by not-forward"),
        (("PT0S",), 1, "by not-forward"),
        (("P1D", "--from", "2026-03-01T00:00:00Z"), 1, "from before-an-earlier-move"),
        (("soon",), 2, "timedelta"),
        (("P1D", "--from", "2026-04-01T00:00:00"), 2, "timezone"),
        (("P1D", "--from", "tomorrow"), 2, "datetime"),
    ],
)
async def test_what_the_clock_does_not_do_is_said_and_not_done(
    make_database: MakeDatabase,
    tmp_path: Path,
    arguments: tuple[str, ...],
    code: int,
    words: str,
) -> None:
    async with desk(make_database, tmp_path) as at:
        await at.says("clock", "advance", "P3D", "--from", "2026-03-02T01:00:00Z")
        found, errors = await at.fails("clock", "advance", *arguments)
        assert found == code
        assert errors.startswith("mediation: ")
        assert words in errors
        assert errors.count("\n") == 1
        (row,) = await at.one.fetch("SELECT count(*) AS moves FROM clock")
        assert row["moves"] == 1


async def test_where_time_stands_the_clock_is_not_moved(
    make_database: MakeDatabase, tmp_path: Path
) -> None:
    async with desk(make_database, tmp_path) as at:
        told = await at.fails("clock", "advance", "P1D", CLOCK_MOVABLE="false")
        assert told == (1, "mediation: clock not-movable\n")
        code, errors = await at.fails("clock", "advance", "P1D", ENVIRONMENT="production")
        assert code == 2
        assert "time is not moved in production" in errors
        assert await at.one.fetch("SELECT FROM clock") == []


# what an operator has wrong


@pytest.mark.parametrize(
    ("setting", "value", "code", "words"),
    [
        ("POOL_SIZE", "many", 2, "mediation: pool_size: "),
        ("DATABASE_URL", "", 2, "mediation: database_url: "),
        (
            "DATABASE_URL",
            "postgresql://x:Furong@127.0.0.1:9/x",
            1,
            "mediation: the database does not answer (",
        ),
        ("MASTER_KEY_FILE", "nowhere.key", 2, "mediation: "),
    ],
)
async def test_a_setting_that_is_wrong_is_named_in_a_line_and_not_echoed(
    make_database: MakeDatabase,
    tmp_path: Path,
    setting: str,
    value: str,
    code: int,
    words: str,
) -> None:
    async with desk(make_database, tmp_path) as at:
        found, errors = await at.fails("journal", "verify", **{setting: value})
        assert (found, errors.count("\n")) == (code, 1), errors
        assert errors.startswith(words)


@pytest.mark.parametrize(
    ("command", "address"),
    [(("journal", "verify"), "DATABASE_URL"), (("restored",), "MIGRATION_URL")],
)
async def test_a_database_that_is_not_there_is_named_in_a_line(
    make_database: MakeDatabase, tmp_path: Path, command: tuple[str, ...], address: str
) -> None:
    async with desk(make_database, tmp_path) as at:
        url = urlsplit(at.environment["LIANHU_MEDIATION_DATABASE_URL"])
        elsewhere = url._replace(path="/elsewhere").geturl()
        told = await at.fails(*command, **{address: elsewhere})
        assert told == (2, 'mediation: database "elsewhere" does not exist\n')


async def test_a_letter_is_not_unsealed_without_the_key(
    make_database: MakeDatabase, tmp_path: Path
) -> None:
    async with desk(make_database, tmp_path) as at:
        await park_some(at)
        MasterKey.generate().write(tmp_path / "other.key")
        letter = await at.letter("poison")
        code, errors = await at.fails(
            "parked", "show", letter, MASTER_KEY_FILE=str(tmp_path / "other.key")
        )
        assert code == 2
        assert errors.startswith("mediation: ")
