"""`python -m tests.faults`: a chain under fire, each fault alone, then mixed; a table; stop."""

from __future__ import annotations

import os
import re
import signal
import sys
from pathlib import Path
from secrets import randbelow
from typing import Annotated

import typer
from rich.console import Console

from deploy.embedded import StackFault
from tests.checker.topics import Unreadable
from tests.demo.screen import Screen
from tests.demo.wire import Unexpected
from tests.faults.catalogue import FAULTS
from tests.faults.fire import Fire, drawn
from tests.faults.ground import FULL, LONG, ground
from tests.faults.report import WIDTH, tell, write

INTERRUPTED = 130
ROOT = Path(__file__).parents[2]
_MIXED = (6, 4)
"""Strikes that kill a process of a service, and others."""
_MIXED_LONG = (202, 20)


def main(
    seed: Annotated[int, typer.Option(help="draws the load and the mixed faults")] = -1,
    long: Annotated[bool, typer.Option("--long", help="10,000 cases, over 200 kills")] = False,
    only: Annotated[
        str, typer.Option(help="faults whose names this pattern finds; not mixed")
    ] = "",
    out: Annotated[Path, typer.Option(help="where the table is written")] = ROOT / ".cache/faults",
    keep: Annotated[
        Path | None, typer.Option(help="run directory to keep logs and data in")
    ] = None,
) -> None:
    """Exit code 0 when nothing was lost, doubled, out of order or left undone."""
    seed = randbelow(10**6) if seed < 0 else seed
    screen = Screen()
    screen.say(f"seed {seed}: `make faults SEED={seed}` draws the same again")
    try:
        with ground(LONG if long else FULL, seed, screen.stack, keep) as chain:
            fire = Fire(chain, screen.say)
            try:
                if only:
                    fire.alone(
                        [fault for fault in FAULTS if re.search(only, fault.name)], last=True
                    )
                else:
                    if not long:
                        fire.alone(FAULTS, last=False)
                    if long or fire.ok:
                        chosen = drawn(FAULTS, seed, *(_MIXED_LONG if long else _MIXED))
                        fire.mixed(chosen, seed, judged=120 if long else 5, last=not long)
                    if long and fire.ok:
                        fire.rest_of_the_load()
            finally:
                write(fire, out)
                screen.plain()
                tell(fire, Console(width=WIDTH, highlight=False, markup=False, emoji=False))
    except (Unexpected, Unreadable, StackFault) as fault:
        print(f"faults: {fault}", file=sys.stderr)
        raise SystemExit(1) from None
    except KeyboardInterrupt:
        raise SystemExit(INTERRUPTED) from None
    screen.say("under fire: kept" if fire.ok else "under fire: BROKEN")
    raise SystemExit(0 if fire.ok else 1)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    os.environ.setdefault("PYTHONUNBUFFERED", "1")
    typer.run(main)
