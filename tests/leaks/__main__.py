"""`python -m tests.leaks`: 0 when nothing leaked, 1 when something did, 2 when nobody can say."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Annotated

import asyncpg
import typer

from deploy.embedded.faults import StackFault
from deploy.embedded.services import SERVICES
from deploy.embedded.stack import Stack, from_environment
from tests.checker.topics import Unreadable
from tests.leaks.chain import Chain, search
from tests.leaks.needles import read_needles
from tests.leaks.pages import NoAnswer


def chain_of(stack: Stack) -> Chain:
    """All of a stack that runs: Kafka, every database, every log, every process."""
    return Chain(
        kafka=stack.kafka.bootstrap,
        databases={name: stack.dsns(name).owner for name in SERVICES},
        logs=stack.run_dir / "logs",
        pages={replica.name: dict(stack.addresses())[replica.name] for replica in stack.replicas},
    )


def main(
    kafka: Annotated[str | None, typer.Option(help="host:port")] = None,
    database: Annotated[
        list[str] | None, typer.Option(help="service=postgresql://…, once for each; the owner's")
    ] = None,
    logs: Annotated[Path | None, typer.Option(help="a folder, with all that is in it")] = None,
    page: Annotated[
        list[str] | None, typer.Option(help="name=http://…, once for each process")
    ] = None,
    needles: Annotated[
        Path | None, typer.Option(help='more to look for, {"kind", "value"} or a report a line')
    ] = None,
) -> None:
    """Search a chain for what publishers told of people; without options the one of `make up`."""
    if kafka or database or logs or page:
        chain = Chain(kafka, _pairs(database or []), logs, _pairs(page or []))
    else:
        chain = chain_of(from_environment(lambda _: None))
    try:
        more = read_needles(needles) if needles is not None else []
        found = asyncio.run(search(chain, more))
    except (Unreadable, NoAnswer, StackFault, ValueError) as error:
        _give_up(str(error))
    except (OSError, asyncpg.PostgresError) as error:
        _give_up(f"Something could not be read: {type(error).__name__}")
    for line in found.lines():
        print(line)
    if not found.needles or (chain.kafka is not None and not found.sent):
        _give_up("Nothing of it ever went in: this says nothing.")
    raise SystemExit(0 if found.ok else 1)


def _pairs(given: list[str]) -> dict[str, str]:
    pairs = dict(one.partition("=")[::2] for one in given)
    if wrong := [name for name, value in pairs.items() if not value]:
        _give_up(f"written name=address: {', '.join(wrong)}")
    return pairs


def _give_up(why: str) -> None:
    print(why, file=sys.stderr)
    raise SystemExit(2)


if __name__ == "__main__":
    typer.run(main)
