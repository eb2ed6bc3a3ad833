"""What was measured of whole lives, as tables for a person and as JSON."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from rich.table import Table

from tests.load import meter
from tests.load.idle import Idle
from tests.load.lives import Lives, Window
from tests.load.money import Money
from tests.load.replicas import Replicas


def of_lives(found: Lives) -> Iterator[Table]:
    """Rates, what a life costs, and how long it takes.

    Read: messages from topics; written: rows of the journal; in one: messages in a transaction.
    """
    title = f"Lives ({found.script}) on {found.processors} processors: "
    rate = "no rate was kept" if found.sustained is None else f"{found.sustained}/s sustained"
    climbed = Table("begun/s", "kept", "begun", "ended", "under way", "p50", "p99", "busy")
    climbed.title = title + rate
    for one in found.climbed:
        climbed.add_row(
            f"{one.rate:.1f}",
            "yes" if one.kept else "no",
            str(one.started),
            str(one.completed),
            f"{one.under_way[0]} → {one.under_way[-1]}",
            _seconds(one.whole.p50),
            _seconds(one.whole.p99),
            f"{sum(one.cores.values()):.2f}" + ", also by others" * one.disturbed,
        )
    yield climbed
    if found.best is not None:
        yield _cost(found, found.best)
    calm = Table("begun/s", "", "p50", "p95", "p99", "max", title="How long a life takes")
    for one in found.calm:
        for name, spread in (("first notice", one.noticed), ("whole life", one.whole)):
            shown = (spread.p50, spread.p95, spread.p99, spread.greatest)
            calm.add_row(f"{one.rate:.1f}", name, *map(_seconds, shown))
    yield calm


def _cost(found: Lives, best: Window) -> Table:
    shown = Table("", "µs CPU a life", "processors", "read", "written", "transactions", "in one")
    shown.title = f"What a life costs at {best.rate}/s"
    for name, used in best.cpu.items():
        read, rows = (known.get(name) for known in (found.messages, found.rows))
        shown.add_row(
            name,
            f"{used:,.0f}",
            f"{best.cores[name]:.2f}",
            "" if read is None else f"{read:.1f}",
            "" if rows is None else f"{rows:.1f}",
            f"{best.batches[name]:.1f}" if name in best.batches else "",
            f"{best.together[name]:.1f}" if name in best.together else "",
        )
    shown.add_row(
        "services, broker, database",
        f"{best.chain_cpu:,.0f}",
        f"{meter.ours(best.cores):.2f}",
        f"{sum(found.messages.values()):.1f}",
        f"{sum(found.rows.values()):.1f}",
        f"{sum(best.batches.values()):.1f}",
        "",
    )
    return shown


def of_money(found: Money) -> Table:
    """The stages of lives with relief."""
    shown = Table("", "seconds", "ms CPU a life", title=f"{found.lives} whole lives with relief")
    for one in found.stages:
        shown.add_row(one.name, f"{one.seconds:.1f}", f"{meter.ours(one.cpu) / 1000:,.1f}")
    shown.add_row("all of it", "", f"{found.chain_cpu / 1000:,.1f}")
    return shown


def of_idle(found: Idle) -> Table:
    """From a report to its first notice."""
    window = found.window
    shown = Table("", "p50", "p95", "p99", "max")
    shown.title = (
        f"Report to first notice at {window.rate:.0f} reports/s "
        f"({window.noticed.count} of them, {'kept' if found.kept else 'NOT kept'}, "
        f"{sum(window.cores.values()):.2f} processors busy{', also by others' * window.disturbed})"
    )
    spread = window.noticed
    at = (spread.p50, spread.p95, spread.p99, spread.greatest)
    shown.add_row("first notice", *map(_seconds, at))
    return shown


def of_replicas(found: Sequence[Replicas]) -> Table:
    """A row for each count of processes."""
    shown = Table("", "messages/s", "µs mediation", "µs database", "µs broker", "machine busy")
    shown.title = "Mediation in several processes, the same commands"
    for one in found:
        shown.add_row(
            str(one.count),
            f"{one.rate:,.0f}",
            f"{one.cpu['mediation']:,.0f}",
            f"{one.cpu[meter.DATABASE]:,.0f}",
            f"{one.cpu[meter.BROKER]:,.0f}",
            f"{100 * one.busy:.0f} %",
        )
    return shown


def report(found: Lives | Money | Idle | Sequence[Replicas]) -> Mapping[str, Any]:
    """The same as JSON."""
    if isinstance(found, (Lives, Money, Idle)):
        return asdict(found)
    return {"replicas": [asdict(one) for one in found]}


def _seconds(one: float) -> str:
    return f"{one * 1000:,.0f} ms" if one < 10 else f"{one:,.1f} s"
