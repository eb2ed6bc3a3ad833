"""`python -m tests.load`: what the engine costs on this machine, beside what others would build."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import typer
from rich.console import Console

from deploy.embedded.services import ROOT
from tests.load import bench, shown
from tests.load.backlog import measure
from tests.load.hop import ground, report, rounds, summary, table
from tests.load.idle import idle
from tests.load.lives import lives
from tests.load.lost import lost
from tests.load.money import money
from tests.load.parts import LONG, SHORT
from tests.load.profiled import tables
from tests.load.replicas import replicas
from tests.load.scripts import SCRIPTS

console = Console(width=140, soft_wrap=True)
cli = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)


@cli.callback()
def _() -> None:
    """Measure on this machine; figures vary with it, ratios less."""


@cli.command("bench")
def bench_(
    long: Annotated[bool, typer.Option("--long", help="more of everything")] = False,
    only: Annotated[str, typer.Option(help="parts whose names fit this expression")] = "",
    rounds_: Annotated[
        int | None, typer.Option("--rounds", help="how often what is in turns")
    ] = None,
    present: Annotated[
        int | None, typer.Option(help="cases, and deadlines, that are there already")
    ] = None,
    folder: Annotated[Path, typer.Option(help="where JSON and pictures go")] = bench.FOLDER,
) -> None:
    """Every part, one report; 1 when a part failed or a goal is not met."""
    setting = LONG if long else SHORT
    if rounds_:
        setting = replace(setting, rounds=rounds_)
    if present:
        setting = replace(setting, present=present, pending=present)
    console.print(f"{os.cpu_count()} processors, load {os.getloadavg()[0]:.1f}")
    report_ = bench.run(bench.chosen(only, long=long), setting, console.print)
    console.print(bench.table(report_))
    for path in bench.write(report_, folder):
        console.print(str(path.relative_to(ROOT) if path.is_relative_to(ROOT) else path))
    raise SystemExit(0 if report_.ok else 1)


@cli.command()
def hop(
    commands: Annotated[int, typer.Option(help="the backlog of each run")] = 50_000,
    cases: Annotated[int, typer.Option(help="cases they are spread over")] = 20_000,
    rounds_: Annotated[int, typer.Option("--rounds", help="how often each runs")] = 3,
    file: Annotated[Path | None, typer.Option("--json", help="write all figures here")] = None,
    profile: Annotated[bool, typer.Option(help="the engine's profile instead")] = False,
) -> None:
    """One hop of mediation: the engine and its peers, in turns, on the same records."""
    if profile:
        asyncio.run(_profile(cases, commands))
        return
    console.print(
        f"{commands:,} commands over {cases:,} cases, {os.cpu_count()} processors, "
        f"load {os.getloadavg()[0]:.1f}"
    )
    done = asyncio.run(rounds(cases, commands, rounds_, console.print))
    console.print(table(done))
    for name, figure in summary(done).items():
        console.print(f"{name}: {figure}")
    if file is not None:
        file.write_text(json.dumps(report(cases, commands, done), indent=2) + "\n")


@cli.command("lost")
def lost_() -> None:
    """Three brokers, one killed under load; 1 when anything is lost or doubled."""
    verdict = lost(console.print)
    for line in verdict.lines():
        console.print(line)
    raise SystemExit(0 if verdict.ok else 1)


@cli.command("backlog")
def backlog_(
    waiting: Annotated[int, typer.Option(help="reports that wait at the start")] = 200_000,
) -> None:
    """A backlog of one publisher worked off by intake, and what others' reports meet meanwhile."""
    found = measure(waiting, to_the_end=True)
    console.print(
        f"{found.waiting:,} reports in {found.seconds:,.0f} s, memory of intake at its highest "
        f"{found.early / 2**20:.0f} MiB in its first half, {found.late / 2**20:.0f} MiB in its "
        f"second; others answered after "
        f"{', '.join(f'{seconds:.1f}' for seconds in found.answered)} s, "
        f"while {found.left:,} waited still"
    )


_Json = Annotated[Path | None, typer.Option("--json", help="write all figures here")]


@cli.command("lives")
def lives_(
    rates: Annotated[str, typer.Option(help="lives/s, rising: 4,8,12; else they climb")] = "",
    seconds: Annotated[float, typer.Option(help="how long each rate is looked at")] = 12.0,
    script: Annotated[str, typer.Option(help=f"which life: {', '.join(SCRIPTS)}")] = "short",
    file: _Json = None,
) -> None:
    """Whole lives through the whole chain: how many a second, what one costs, how long it takes."""
    if script not in SCRIPTS:
        raise typer.BadParameter(f"There is {', '.join(SCRIPTS)}.", param_hint="--script")
    asked = [float(rate) for rate in rates.split(",") if rate]
    found = lives(SCRIPTS[script], asked, seconds, console.print)
    for table_ in shown.of_lives(found):
        console.print(table_)
    _write(file, shown.report(found))


@cli.command("money")
def money_(
    count: Annotated[int, typer.Option(help="how many lives, at most 200")] = 80,
    rate: Annotated[float, typer.Option(help="lives/s at which they begin")] = 2.0,
    file: _Json = None,
) -> None:
    """Full lives to their end, relief paid; time is moved, so the end of it is no open loop."""
    found = money(count, rate, console.print)
    console.print(shown.of_money(found))
    _write(file, shown.report(found))


@cli.command("idle")
def idle_(
    rate: Annotated[float, typer.Option(help="reports a second")] = 50.0,
    seconds: Annotated[float, typer.Option(help="for how long")] = 30.0,
    file: _Json = None,
) -> None:
    """A chain with little to do: from a report to its first notice."""
    found = idle(rate, seconds, console.print)
    console.print(shown.of_idle(found))
    _write(file, shown.report(found))


@cli.command("replicas")
def replicas_(
    counts: Annotated[str, typer.Option(help="how many processes, each in its turn")] = "1,2,3",
    commands: Annotated[int, typer.Option(help="the backlog of each run")] = 16_000,
    cases: Annotated[int, typer.Option(help="cases they are spread over")] = 4_000,
    file: _Json = None,
) -> None:
    """Mediation in several processes: what bounds it, and what a message costs."""
    found = replicas([int(one) for one in counts.split(",")], cases, commands, console.print)
    console.print(shown.of_replicas(found))
    _write(file, shown.report(found))


def _write(file: Path | None, figures: Mapping[str, object]) -> None:
    if file is not None:
        file.write_text(json.dumps(figures, indent=2) + "\n")


async def _profile(cases: int, commands: int) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "session.pyisession"

        async with ground(cases, commands, 1, profile=path, floor=False) as made:
            found = await made.engine.handle(commands)
        console.print(f"{found.rate:,.0f} hops/s with the profiler")
        for shown in tables(path, commands, found.cpu):
            console.print(shown)


if __name__ == "__main__":
    cli()
