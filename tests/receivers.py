"""Those at the other end of the lines: an SMTP server and an SMS gateway that keep what they get.

Real servers, which can be told to behave badly: to refuse, to lose the connection in the middle of
a delivery, to hold it for ever. `python -m tests.receivers --smtp 2525 --http 8025 --book FILE`
runs both as a process of their own, `apart` from a program; each thing received is a line of JSON
in the book, written before it is answered, so that it stands there however the process ends.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import asdict, dataclass, field
from email import message_from_bytes, policy
from enum import StrEnum
from pathlib import Path

from aiosmtpd.smtp import SMTP, Envelope, Session


class Behaviour(StrEnum):
    """What a receiver does with what comes."""

    TAKE = "take"
    """Take it and say so."""
    REFUSE = "refuse"
    """Say no: 550 to a recipient, 503 to a post."""
    DEFER = "defer"
    """Say not now: 451 to a recipient, 503 to a post."""
    LOSE = "lose"
    """Take it, and drop the connection before saying so."""
    DROP = "drop"
    """Drop the connection when all of it has come, and forget it."""
    HOLD = "hold"
    """Take it and say nothing."""
    REDIRECT = "redirect"
    """Send a post elsewhere: to `elsewhere`."""


@dataclass(frozen=True, slots=True)
class Received:
    """One message as it came."""

    channel: str
    """`email` or `sms`."""
    notice: str
    """The notice's id, or what was in its place."""
    to: str
    subject: str
    text: str
    raw: str = field(repr=False)
    """All of it, headers included."""


@dataclass(slots=True)
class Receivers:
    """Both receivers, and what they have got."""

    book: Path | None = None
    behaviour: Behaviour = Behaviour.TAKE
    elsewhere: str = ""
    received: list[Received] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    """Addresses of which it was asked whether they are taken."""
    held: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when something is being held."""
    smtp_port: int = 0
    http_port: int = 0

    def of(self, notice: str) -> list[Received]:
        """What came under this id, doubles included."""
        return [one for one in self.received if one.notice == notice]

    def sms(self) -> dict[str, Received]:
        """What the gateway sends on: one message for each key, however often it was posted."""
        return {one.notice: one for one in self.received if one.channel == "sms"}

    def keep(self, one: Received) -> None:
        """Write it down."""
        self.received.append(one)
        if self.book is not None:
            with self.book.open("a", encoding="utf-8") as book:
                book.write(json.dumps(asdict(one), ensure_ascii=False) + "\n")


class _Mailbox:
    """What aiosmtpd asks about each message."""

    def __init__(self, receivers: Receivers) -> None:
        self._receivers = receivers

    async def handle_RCPT(  # noqa: N802 - aiosmtpd's name
        self, server: SMTP, session: Session, envelope: Envelope, to: str, options: list[str]
    ) -> str:
        self._receivers.asked.append(to)
        match self._receivers.behaviour:
            case Behaviour.REFUSE:
                return "550 5.1.1 no such mailbox"
            case Behaviour.DEFER:
                return "451 4.7.1 try again later"
            case _:
                envelope.rcpt_tos.append(to)
                return "250 OK"

    async def handle_DATA(  # noqa: N802 - aiosmtpd's name
        self, server: SMTP, session: Session, envelope: Envelope
    ) -> str:
        behaviour = self._receivers.behaviour
        if behaviour is not Behaviour.DROP:
            self._receivers.keep(_mail(envelope))
        if behaviour in (Behaviour.DROP, Behaviour.LOSE) and isinstance(
            server.transport, asyncio.WriteTransport
        ):
            server.transport.abort()
        if behaviour is Behaviour.HOLD:
            self._receivers.held.set()
            await asyncio.Event().wait()
        return "250 OK"


def _mail(envelope: Envelope) -> Received:
    raw = envelope.content if isinstance(envelope.content, bytes) else b""
    message = message_from_bytes(raw, policy=policy.default)
    return Received(
        channel="email",
        notice=str(message["X-Notice-Id"]),
        to=", ".join(envelope.rcpt_tos),
        subject=str(message["Subject"]),
        text=message.get_content(),
        raw=raw.decode("utf-8", "replace"),
    )


class _Gateway:
    """A gateway that is posted text messages."""

    def __init__(self, receivers: Receivers) -> None:
        self._receivers = receivers

    async def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection: one post."""
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            headers = dict(
                line.lower().split(": ", 1) for line in head.split("\r\n")[1:] if ": " in line
            )
            body = (await reader.readexactly(int(headers.get("content-length", "0")))).decode()
            await self._answer(writer, head, headers, body)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # a connection is also opened to see whether anybody is there
        finally:
            writer.close()

    async def _answer(
        self, writer: asyncio.StreamWriter, head: str, headers: dict[str, str], body: str
    ) -> None:
        behaviour = self._receivers.behaviour
        status, more = "200 OK", ""
        if behaviour in (Behaviour.TAKE, Behaviour.LOSE, Behaviour.HOLD):
            posted = json.loads(body)
            key = headers.get("idempotency-key", "")
            self._receivers.keep(
                Received("sms", key, posted["to"], "", posted["text"], f"{head}{body}")
            )
        match behaviour:
            case Behaviour.LOSE | Behaviour.DROP:
                writer.transport.abort()
                return
            case Behaviour.HOLD:
                self._receivers.held.set()
                await asyncio.Event().wait()
            case Behaviour.REFUSE | Behaviour.DEFER:
                status = "503 Service Unavailable"
            case Behaviour.REDIRECT:
                status, more = "307 Elsewhere", f"Location: {self._receivers.elsewhere}\r\n"
            case Behaviour.TAKE:
                pass
        writer.write(f"HTTP/1.1 {status}\r\n{more}Content-Length: 0\r\n\r\n".encode())
        await writer.drain()


@asynccontextmanager
async def receivers(
    smtp_port: int = 0,
    http_port: int = 0,
    book: Path | None = None,
    behaviour: Behaviour = Behaviour.TAKE,
) -> AsyncIterator[Receivers]:
    """Both on these ports of this machine, or on free ones, until the end of the block."""
    found = Receivers(book, behaviour)
    loop = asyncio.get_running_loop()
    mailbox = _Mailbox(found)
    smtp = await loop.create_server(
        lambda: SMTP(mailbox, hostname="mail.example.org", loop=loop), "127.0.0.1", smtp_port
    )
    connections: set[asyncio.Task[None]] = set()

    def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = loop.create_task(_Gateway(found).connected(reader, writer))
        connections.add(task)
        task.add_done_callback(connections.discard)

    http = await asyncio.start_server(connected, "127.0.0.1", http_port)
    found.smtp_port = smtp.sockets[0].getsockname()[1]
    found.http_port = http.sockets[0].getsockname()[1]
    try:
        yield found
    finally:
        smtp.close()
        http.close()
        for task in connections:
            task.cancel()
        await asyncio.gather(*connections, return_exceptions=True)


@contextmanager
def apart(book: Path, smtp: int = 0, http: int = 0) -> Iterator[tuple[int, int]]:
    """Both in a process of their own, which ends with the block and with this process; the ports.

    A Ctrl-C that is meant for this process does not reach it.
    """
    places = ["--smtp", str(smtp), "--http", str(http), "--book", str(book)]
    with subprocess.Popen(
        [sys.executable, "-m", "tests.receivers", "--while-fed", *places],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        assert process.stdout is not None
        try:
            _, mail, _, texts = process.stdout.readline().split()
            yield int(mail), int(texts)
        finally:
            process.kill()


def lines_to(smtp: int, http: int) -> dict[str, str]:
    """Notify's settings by which it reaches receivers on these ports."""
    return {
        "LIANHU_NOTIFY_SMTP_HOST": "127.0.0.1",
        "LIANHU_NOTIFY_SMTP_PORT": str(smtp),
        "LIANHU_NOTIFY_SMTP_MODE": "insecure",
        "LIANHU_NOTIFY_SMTP_FROM": "notice@example.org",
        "LIANHU_NOTIFY_SMS_URL": f"http://127.0.0.1:{http}/sms",
    }


def read(book: Path) -> list[Received]:
    """What a process of receivers has got so far."""
    if not book.exists():
        return []
    return [Received(**json.loads(line)) for line in book.read_text(encoding="utf-8").splitlines()]


async def _run(options: argparse.Namespace) -> None:
    async with receivers(
        options.smtp, options.http, options.book, Behaviour(options.behaviour)
    ) as both:
        print(f"smtp {both.smtp_port} http {both.http_port}", flush=True)
        if options.while_fed:
            fed = asyncio.StreamReader()
            loop = asyncio.get_running_loop()
            await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(fed), sys.stdin)
            await fed.read()
        else:
            await asyncio.Event().wait()


def main() -> int:
    """Until the process is ended."""
    parser = argparse.ArgumentParser(prog="python -m tests.receivers", description=__doc__)
    parser.add_argument("--smtp", type=int, default=0, help="port; 0: a free one, printed")
    parser.add_argument("--http", type=int, default=0, help="port; 0: a free one, printed")
    parser.add_argument("--book", type=Path, help="where each message is written down")
    parser.add_argument("--behaviour", default="take", choices=[*Behaviour])
    parser.add_argument("--while-fed", action="store_true", help="until standard input ends")
    try:
        asyncio.run(_run(parser.parse_args()))
    except KeyboardInterrupt:
        return 0
    return 0


if __name__ == "__main__":
    sys.exit(main())
