"""The operator's command `undelivered`: notices to officers that did not surely get through."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated

import typer

from lianhu.contracts.notify import NoticeEvent
from lianhu.eventing.service import OnDatabase
from lianhu.notify.digests import PERSONS
from lianhu.notify.store import Ended, ended_otherwise


def commands(cli: typer.Typer, on_database: OnDatabase) -> None:
    """Adds `undelivered` to the command line."""

    @cli.command()
    def undelivered(
        limit: Annotated[int, typer.Option(min=1, help="how many at most")] = 100,
    ) -> None:
        """Notices to officers that failed, were suppressed or may not have arrived, newest first.

        Those of people are left out: whether one was told is nobody's business here.
        """
        for line in lines(on_database(lambda connection, _: ended_otherwise(connection)), limit):
            print(line)


def lines(found: Iterable[Ended], limit: int) -> list[str]:
    """When, case, unit, channel, how it ended and why; no name and no address."""
    shown = [_line(one) for one in found if one.event.role not in PERSONS]
    return shown[:limit]


def _line(one: Ended) -> str:
    event: NoticeEvent = one.event
    cells = (
        one.at.isoformat(timespec="seconds"),
        event.case or "-",
        event.unit or "-",
        event.channel or "-",
        event.type_.split(".")[2].removeprefix("notice-"),
        str(getattr(event, "reason", "-")),
        event.about_type.split(".")[2],
    )
    return "  ".join(cells)
