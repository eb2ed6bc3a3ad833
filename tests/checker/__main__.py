"""`python -m tests.checker`: the verdict on a chain. Exit code 0: the promise was kept; 1: not."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import asyncpg
import typer

from tests.checker.collect import judge
from tests.checker.topics import Unreadable


def main(
    kafka: Annotated[str, typer.Option(help="host:port")],
    database: Annotated[
        list[str], typer.Option(help="service=postgresql://…, once for each service")
    ],
    within: Annotated[
        float, typer.Option(help="look again for so many seconds while something is found")
    ] = 0.0,
    notify_policy: Annotated[
        Path | None, typer.Option(help="notify's policy.yaml, when it is not the shipped one")
    ] = None,
    received: Annotated[
        Path | None, typer.Option(help="the book of what those outside received, JSON a line")
    ] = None,
) -> None:
    """Read topics and journals, ask no service, say what was found."""
    dsns = dict(one.partition("=")[::2] for one in database)
    if wrong := [name for name, dsn in dsns.items() if not dsn]:
        print(f"--database is written service=postgresql://…: {', '.join(wrong)}", file=sys.stderr)
        raise SystemExit(2)
    try:
        verdict = judge(kafka, dsns, within, notify_policy, received)
    except Unreadable as error:
        print(error, file=sys.stderr)
        raise SystemExit(2) from None
    except (OSError, asyncpg.PostgresError) as error:
        print(f"A database could not be read: {type(error).__name__}", file=sys.stderr)
        raise SystemExit(2) from None
    for line in verdict.lines():
        print(line)
    print("verdict: the promise was kept" if verdict.ok else "verdict: the promise was BROKEN")
    raise SystemExit(0 if verdict.ok else 1)


if __name__ == "__main__":
    typer.run(main)
