"""`python -m deploy.embedded VERB`: up, down, status, logs, service, backup, restore, …"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from types import FrameType
from typing import Annotated, NoReturn

import typer
from rich.console import Console
from rich.table import Table

from deploy.embedded import jars, ports
from deploy.embedded.faults import StackFault
from deploy.embedded.kafka import keep_classes
from deploy.embedded.stack import Stack, alone, from_environment

INTERRUPTED = 130

app = typer.Typer(
    help="The whole chain on this machine, with no container engine. The run directory is "
    "LIANHU_RUN_DIR (.run). Ports: "
    + ", ".join(f"{ports.variable(name)} ({port})" for name, port in ports.DEFAULTS.items())
    + ".",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
console = Console(highlight=False)


def _say(line: str) -> None:
    print(line, flush=True)


@app.command()
def up() -> None:
    """Start what does not run yet, wait until all of it is ready, print the addresses."""
    jars.installed()
    stack = from_environment(_say)
    with alone(stack.run_dir):
        stack.up()
    _print_addresses(stack)


@app.command()
def down() -> None:
    """Stop everything. Data stay."""
    stack = from_environment(_say)
    with alone(stack.run_dir):
        stopped = stack.down()
    _say("Everything is stopped; the data stay." if stopped else "Nothing was running.")


@app.command()
def status() -> None:
    """What runs: process, port, whether it is ready, memory."""
    stack = from_environment(_say)
    table = Table(box=None, pad_edge=False)
    for title in ("name", "pid", "port", "ready", "memory"):
        table.add_column(title, justify="right" if title in {"pid", "port", "memory"} else "left")
    for line in stack.status():
        if line.pid is None:
            table.add_row(line.name, "–", str(line.port or "–"), "not running", "–")
        else:
            ready = "ready" if line.ready else "not ready"
            memory = f"{line.memory / 2**20:.0f} MiB"
            table.add_row(line.name, str(line.pid), str(line.port), ready, memory)
    console.print(table)


@app.command()
def logs(
    name: Annotated[str, typer.Argument(help="One process; all of them without it.")] = "",
    lines: Annotated[int, typer.Option("--lines", "-n", help="How many of the last lines.")] = 40,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on as they grow.")] = False,
) -> None:
    """The last lines of the logs."""
    folder = from_environment(_say).run_dir / "logs"
    files = sorted(folder.glob(f"{name or '*'}.log"))
    if not files:
        known = ", ".join(path.stem for path in sorted(folder.glob("*.log"))) or "none"
        raise StackFault(f"There is no log {name} in {folder}. There are: {known}.")
    sys.stdout.flush()
    command = ["tail", "-n", str(lines), *(["-F"] if follow else []), *map(str, files)]
    os.execvp("tail", command)  # noqa: S606  no shell: it becomes tail


@app.command(
    context_settings={
        "allow_extra_args": True,
        "ignore_unknown_options": True,
        "help_option_names": [],
    }
)
def service(name: str, context: typer.Context) -> None:
    """An operator's command of a service on this chain, e.g. `service mediation parked list`."""
    stack = from_environment(_say)
    command, environment = stack.operator(name, context.args)
    sys.stdout.flush()
    os.execvpe(command[0], command, environment)  # noqa: S606  no shell: it becomes the service


@app.command()
def backup(
    keep: Annotated[
        int | None, typer.Option(min=1, help="So many stay, older ones and their log go.")
    ] = None,
) -> None:
    """A base backup while everything runs, beside the archive of the log."""
    stack = from_environment(_say)
    with alone(stack.run_dir):
        name = stack.back_up(keep)
    _say(f"{name} is in {stack.postgres.backups}")


@app.command()
def restore(
    to: Annotated[
        str, typer.Argument(help="time=2026-03-02T10:00:00Z, lsn=… or name=…; none: all there is")
    ] = "",
    base: Annotated[str, typer.Option(help="Which base backup; without it the newest.")] = "",
) -> None:
    """The databases as they were; what each service finds lost is listed. Then `up`."""
    stack = from_environment(_say)
    with alone(stack.run_dir):
        for line in stack.restore(to, base):
            _say(line)


@app.command()
def clean() -> None:
    """Delete the run directory with all data. Refused while something runs."""
    stack = from_environment(_say)
    if not stack.run_dir.exists():
        return
    with alone(stack.run_dir):
        stack.remove()


@app.command()
def fetch() -> None:
    """Fetch Kafka's jars and keep what a broker loads of them (part of `make install`)."""
    jars.fetch()
    keep_classes()


def _print_addresses(stack: Stack) -> None:
    _say("")
    for name, address in stack.addresses():
        _say(f"  {name:<12}{address}")
    where = stack.run_dir
    if where.is_relative_to(Path.cwd()):
        where = where.relative_to(Path.cwd())
    _say(f"\nLogs, data and secrets: {where}.  `make status`, `make logs`, `make down`.")


def _interrupt(_number: int, _frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt


def main() -> int:
    """Run a verb; what goes wrong is a sentence on the standard error and exit code 1."""
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        code = app(standalone_mode=False)  # typer answers Ctrl-C by a number
    except StackFault as fault:
        print(fault, file=sys.stderr)
        return 1
    except (KeyboardInterrupt, typer.Abort):
        code = INTERRUPTED
    except typer.TyperException as fault:
        print(fault, file=sys.stderr)
        return 2
    if code == INTERRUPTED:
        print("Interrupted: what this command had started is stopped.", file=sys.stderr)
    return code if isinstance(code, int) else 0


if __name__ == "__main__":
    sys.exit(main())
