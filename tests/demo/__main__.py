"""`python -m tests.demo`: start the chain, let reports travel it, show, check, stop."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from deploy.embedded import StackFault, ports, session
from deploy.embedded.session import Session
from lianhu.eventing.connection import Access
from tests import receivers
from tests.checker.collect import judge
from tests.checker.topics import Unreadable
from tests.checker.verdict import Verdict
from tests.demo import stories, words
from tests.demo.book import Book, Case, Happened
from tests.demo.chain import Office, guarded, relief
from tests.demo.clock import Clock
from tests.demo.own import read_reports
from tests.demo.reports import LATER, REPORTS, Report
from tests.demo.screen import Screen
from tests.demo.wire import Sender, Unexpected, Watcher
from tests.leaks import search
from tests.leaks.__main__ import chain_of

SERVICES = ("intake", "mediation", "welfare", "notify")
_WITHIN = 20.0
INTERRUPTED = 130
BOOK = "received.jsonl"
"""In the run directory: what those outside received."""
FEW = 40
"""Reports whose every step can be read on a screen."""


def built_in(reports: tuple[Report, ...]) -> list[tuple[str, str, bytes]]:
    """The demo's own reports, as they are sent."""
    return [
        (publisher, id_, json.dumps(body, ensure_ascii=False).encode())
        for publisher, id_, body in reports
    ]


class Teller:
    """Says what happens, event by event; of many reports only how far they are."""

    def __init__(self, screen: Screen, reports: int) -> None:
        self._screen = screen
        self._reports = reports
        self._answered = 0

    def __call__(self, happened: Happened) -> None:
        if self._reports > FEW:
            self._count(happened)
        elif not happened.answer and (line := words.say(happened.name, happened.data)):
            self._screen.say(f"{happened.data['case']}  {line}")

    def _count(self, happened: Happened) -> None:
        if happened.answer:
            self._answered += 1
            if self._answered == self._reports or not self._answered % 100:
                self._screen.say(f"{self._answered} of {self._reports} answered")


def send(sender: Sender, watcher: Watcher, reports: list[tuple[str, str, bytes]]) -> None:
    """Send all and wait until each is answered."""
    sent = [sender.report(publisher, id_, body) for publisher, id_, body in reports]
    sender.flush()
    for one in sent:
        if one.error:
            raise Unexpected(f"Kafka did not take {one.id} of {one.publisher}: {one.error}.")

    def answered(book: Book) -> bool:
        # what has no id that can be read is answered by its place
        return all(
            any(book.answers_to(one.publisher, one.id))
            or any(book.answers_to(one.publisher, one.place))
            for one in sent
        )

    seconds = 60.0 + len(sent) / 20
    watcher.until("every report to be answered", answered, seconds)
    watcher.until(
        "every case to be offered",
        lambda book: all(case.last("case-offered") for case in book.cases.values()),
        seconds,
    )


def three_stories(screen: Screen, sender: Sender, watcher: Watcher, clock: Clock) -> None:
    """The three stories, and a few other cases that end early."""
    desk = stories.Desk(sender, watcher)
    screen.title("一 在社区化解 settled in its community")
    stories.settled(desk, watcher, stories.case_of(watcher, "story-1"))
    for report in ("r-05", "r-06", "r-14"):
        stories.refused_by_a_party(desk, stories.case_of(watcher, report))
    third = stories.case_of(watcher, "story-3")
    screen.title("三 按时受理 accepted in time")
    stories.accepted_only(desk, third)
    screen.title("二 无人受理，逐级上报 nobody accepts: it climbs")
    stories.nobody_accepts(screen, watcher, clock, stories.case_of(watcher, "story-2"))
    screen.title("三 未按时办结，上报 not concluded in time: it climbs too")
    stories.not_concluded(screen, watcher, clock, third)


def ended(case: Case) -> str:
    """How a case stands at the end."""
    if (concluded := case.last("case-concluded")) is not None:
        closed = "，结案" if case.last("case-closed") else ""
        return words.OUTCOMES[concluded.data["outcome"]] + closed
    if case.last("case-overdue") is not None:
        return "市级超期，点名"
    newest = [
        event.name for event in case.events if event.name in ("case-accepted", "case-escalated")
    ]
    return "办理中" if newest and newest[-1] == "case-accepted" else "待受理"


def count(screen: Screen, book: Book) -> None:
    """How many cases of each category and risk."""
    found = Counter(
        (case.opened.data["category"], case.opened.data["risk"]) for case in book.cases.values()
    )
    rows = [
        (name, *(str(found[category, risk] or "") for risk in words.RISKS))
        for category, name in words.CATEGORIES.items()
        if any(found[category, risk] for risk in words.RISKS)
    ]
    screen.table(("件数 cases", *words.RISKS.values()), rows)


@dataclass(frozen=True)
class Ground:
    """A running chain, as the demo needs it."""

    kafka: str | Access
    """For who reads everything."""
    publishers: str | Callable[[str], Access]
    """For who sends."""
    dsns: Mapping[str, str]
    url: Callable[[str], str]
    """A service's HTTP address."""
    memory: Callable[[], Iterable[tuple[str, int]]]
    """Each process and how many bytes it takes."""
    received: Path | None = None
    """The book of those outside, where they keep one."""


def ground_of(running: Session) -> Ground:
    """The embedded chain."""
    return Ground(
        running.bootstrap,
        running.bootstrap,
        {name: running.dsns(name).runtime for name in SERVICES},
        running.url,
        lambda: [(state.name, state.memory) for state in running.stack.status()],
        running.run_dir / BOOK,
    )


def show(screen: Screen, ground: Ground, book: Book) -> None:
    """The table per case, what was refused, and what a unit finds on its screen."""
    rows = []
    for case in sorted(book.cases.values(), key=lambda each: each.number):
        opened = case.opened
        length = max(event.time for event in case.events) - opened.time
        rows.append(
            (
                case.number,
                case.report,
                words.CHANNELS[opened.data["channel"]],
                words.CATEGORIES[opened.data["category"]],
                words.RISKS[opened.data["risk"]],
                words.unit(opened.data["unit"]),
                words.LEVELS[case.level],
                ended(case),
                words.span(length),
            )
        )
    screen.table(
        ("个案 case", "报告 report", "来源", "类别", "风险", "首办单位", "层级", "结果", "历时"),
        rows,
    )
    if len(rows) > FEW:
        count(screen, book)
    refused = [
        (
            told,
            answer.data["message"] or answer.data["position"],
            f"{fault['path'] or '/'} {fault['slug']}",
        )
        for told, answer in book.answers
        if answer.name == "message-refused"
        for fault in answer.data["faults"]
    ]
    if refused:
        screen.table(("退回 refused", "报告 report", "原因 fault"), refused)
    first = next(iter(book.cases.values()), None)
    if first is not None:
        url = f"{ground.url('notify')}/in-app?unit={first.opened.data['unit']}&limit=1"
        with urllib.request.urlopen(url, timeout=10) as answer:
            for notice in json.load(answer):
                screen.plain(f"\n站内消息 on the unit's screen: {notice['zh-CN']['subject']}")
    _outside(screen, [] if ground.received is None else receivers.read(ground.received))
    for name in SERVICES:
        with urllib.request.urlopen(f"{ground.url(name)}/metrics", timeout=10) as answer:
            lines = answer.read().decode().splitlines()
        handled = sum(
            float(line.rsplit(" ", 1)[1])
            for line in lines
            if line.startswith("lianhu_messages_handled_total{")
        )
        screen.plain(f"{name}: {handled:.0f} messages handled")
    for name, memory in ground.memory():
        screen.plain(f"{name}: {memory // 2**20} MiB")


def play(screen: Screen, ground: Ground, mine: list[tuple[str, str, bytes]] | None) -> Verdict:
    """The reports and the stories on a running chain, or some reports of one's own; the verdict."""
    sending = built_in(REPORTS) if mine is None else mine
    sender = Sender(ground.publishers)
    watcher = Watcher(ground.kafka, Teller(screen, len(sending)))
    try:
        screen.title("报告 reports")
        send(sender, watcher, sending)
        if mine is None:
            send(sender, watcher, built_in(LATER))
            clock, office = Clock(ground.dsns), Office(sender, watcher)
            guarded(screen, office, watcher)
            three_stories(screen, sender, watcher, clock)
            relief(screen, office, watcher, clock)
        verdict = judge(ground.kafka, ground.dsns, _WITHIN, received=ground.received)
        show(screen, ground, watcher.to_the_end())
    finally:
        watcher.close()
    screen.title("核对 verdict")
    for line in verdict.lines():
        screen.plain(line)
    return verdict


def _outside(screen: Screen, received: list[receivers.Received]) -> None:
    """What people got, and how little it says to somebody who is protected."""
    ways = Counter(one.channel for one in received)
    if ways:
        screen.plain(f"people were told: {ways['email']} by e-mail, {ways['sms']} by text message")
    for text in sorted({one.text.strip() for one in received if one.channel == "sms"}):
        screen.plain(f"短信 a text message: {text}")


def main(
    reports: Annotated[Path | None, typer.Option(help="reports of your own, a JSON a line")] = None,
) -> None:
    """The whole chain from nothing to a verdict; exit code 0 when the promise was kept."""
    try:
        screen = Screen()
        mine = read_reports(reports) if reports is not None else None
        screen.say("── 启动 the chain starts")
        smtp, http = ports.pick_free(2)
        lines = receivers.lines_to(smtp, http)
        with (
            session(
                environment="demo", clock_movable=True, extra=lines, say=screen.stack
            ) as running,
            receivers.apart(running.run_dir / BOOK, smtp, http),
        ):
            verdict = play(screen, ground_of(running), mine)
            leaks = asyncio.run(search(chain_of(running.stack)))
            for line in leaks.lines():
                screen.plain(line)
            kept = verdict.ok and leaks.ok
            screen.say("verdict: kept" if kept else "verdict: BROKEN")
    except (Unexpected, Unreadable, StackFault) as fault:
        print(f"demo: {fault}", file=sys.stderr)
        raise SystemExit(1) from None
    except KeyboardInterrupt:
        raise SystemExit(INTERRUPTED) from None
    raise SystemExit(0 if kept else 1)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    os.environ.setdefault("PYTHONUNBUFFERED", "1")
    typer.run(main)
