"""E-mail and text messages at real receivers, which refuse, fall silent, or die half-way."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import socket
import sys
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from lianhu.contracts.vocabulary import Language
from lianhu.notify.channels import Outcome, Sending
from lianhu.notify.lines import Gateway, Mode, Relay
from lianhu.notify.outside import Email, Sms, Threads
from lianhu.notify.templates import Text
from tests import receivers as ends
from tests.notify_desk import CASE
from tests.receivers import Behaviour, Receivers
from tests.wire import until

NOTICE = "0f" * 16
HER_MAIL, HER_PHONE = "xiaohong@example.org", "+86 138 0013 8000"
TEXT = Text("温馨提示", "您好！您关注的事情有新的进展。\n本消息无须回复。")
SHORT = 0.5
"""Seconds of patience where the other end is meant to be silent."""


def sending(to: str, notice: str = NOTICE) -> Sending:
    return Sending(notice, {Language.ZH_CN: TEXT}, to)


def relay(port: int, mode: Mode = "insecure") -> Relay:
    return Relay(host="127.0.0.1", port=port, mode=mode, sender="通知 <notice@example.org>")


def email(port: int, seconds: float = 8.0, mode: Mode = "insecure") -> Email:
    return Email(relay(port, mode), seconds)


def sms(port: int, seconds: float = 8.0) -> Sms:
    return Sms(
        Gateway.model_validate({"url": f"http://127.0.0.1:{port}/sms/send", "token": "t0ken"}),
        seconds,
    )


@pytest.fixture
async def both() -> AsyncIterator[Receivers]:
    """Both receivers in this process."""
    async with ends.receivers() as found:
        yield found


@asynccontextmanager
async def another_process(book: Path, behaviour: Behaviour) -> AsyncIterator[tuple[int, int, int]]:
    """Both receivers in a process of their own: its id, the SMTP port, the HTTP port."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.receivers", "--book", str(book)),
        *("--behaviour", behaviour),
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    try:
        words = (await process.stdout.readline()).decode().split()
        yield process.pid, int(words[1]), int(words[3])
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


@asynccontextmanager
async def nobody() -> AsyncIterator[int]:
    """A port at which nobody listens, and which nobody else gets meanwhile."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]


@asynccontextmanager
async def mute() -> AsyncIterator[int]:
    """A port that takes connections and never says a word."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        yield listening.getsockname()[1]


async def test_an_e_mail_arrives_once_with_its_text_and_without_a_trace_of_who_we_are(
    both: Receivers,
) -> None:
    assert await email(both.smtp_port).send(sending(HER_MAIL)) == Outcome("done")
    (mail,) = both.received
    assert (mail.notice, mail.to, mail.subject) == (NOTICE, HER_MAIL, TEXT.subject)
    assert mail.text.replace("\r\n", "\n").strip() == TEXT.body
    assert both.asked == [HER_MAIL, HER_MAIL]  # once to ask, once with the message
    for word in ("lianhu", "apprise", CASE):
        assert word not in mail.raw.lower()


async def test_a_text_message_is_posted_with_the_notice_as_its_key(both: Receivers) -> None:
    assert await sms(both.http_port).send(sending(HER_PHONE)) == Outcome("done")
    (one,) = both.received
    head, _, body = one.raw.partition("\r\n\r\n")
    assert json.loads(body) == {"key": NOTICE, "to": HER_PHONE, "text": TEXT.body}
    assert head.startswith("POST /sms/send HTTP/1.1\r\n")
    assert f"Idempotency-Key: {NOTICE}" in head
    assert "Authorization: Bearer t0ken" in head


async def test_where_nobody_listens_the_attempt_has_surely_failed() -> None:
    async with nobody() as port:
        assert await email(port).send(sending(HER_MAIL)) == Outcome("failed", "relay-unreachable")
        assert await sms(port).send(sending(HER_PHONE)) == Outcome("failed", "gateway-unreachable")


async def test_a_relay_that_never_greets_has_surely_taken_nothing() -> None:
    async with mute() as port:
        said = await email(port, SHORT).send(sending(HER_MAIL))
    assert said == Outcome("failed", "relay-unreachable")


async def test_a_gateway_that_never_answers_may_have_taken_it() -> None:
    async with mute() as port:
        assert await sms(port, SHORT).send(sending(HER_PHONE)) == Outcome("unknown")


@pytest.mark.parametrize(
    ("behaviour", "final"), [(Behaviour.REFUSE, True), (Behaviour.DEFER, False)]
)
async def test_an_address_that_the_relay_does_not_take_has_surely_failed_for_good_or_for_now(
    both: Receivers, behaviour: Behaviour, final: bool
) -> None:
    both.behaviour = behaviour
    said = await email(both.smtp_port).send(sending(HER_MAIL))
    assert said == Outcome("failed", "address-refused", final=final)
    assert both.asked == [HER_MAIL]
    assert both.received == []


@pytest.mark.parametrize("address", ["小红@example.org", "no address", "a@b@c", ""])
async def test_an_address_that_no_e_mail_can_go_to_fails_before_anybody_is_asked(
    both: Receivers, address: str
) -> None:
    said = await email(both.smtp_port).send(sending(address))
    assert said == Outcome("failed", "address-not-usable", final=True)
    assert both.asked == []


async def test_a_relay_without_a_closed_line_is_told_nothing_where_one_is_asked_for(
    both: Receivers,
) -> None:
    said = await email(both.smtp_port, mode="starttls").send(sending(HER_MAIL))
    assert said == Outcome("failed", "relay-refused")
    assert both.asked == []


@pytest.mark.parametrize("behaviour", [Behaviour.LOSE, Behaviour.DROP])
async def test_a_connection_that_breaks_after_the_data_leaves_an_e_mail_unknown(
    both: Receivers, behaviour: Behaviour
) -> None:
    both.behaviour = behaviour
    assert await email(both.smtp_port).send(sending(HER_MAIL)) == Outcome("unknown")
    assert len(both.of(NOTICE)) == (behaviour is Behaviour.LOSE)


async def test_a_relay_that_falls_silent_after_the_data_leaves_an_e_mail_unknown(
    both: Receivers,
) -> None:
    both.behaviour = Behaviour.HOLD
    assert await email(both.smtp_port, SHORT).send(sending(HER_MAIL)) == Outcome("unknown")
    assert len(both.of(NOTICE)) == 1


@pytest.mark.parametrize("behaviour", [Behaviour.LOSE, Behaviour.DROP, Behaviour.REFUSE])
async def test_a_text_message_of_unknown_fate_is_posted_again_and_goes_out_once(
    both: Receivers, behaviour: Behaviour
) -> None:
    channel = sms(both.http_port)
    both.behaviour = behaviour
    assert await channel.send(sending(HER_PHONE)) == Outcome("unknown")
    both.behaviour = Behaviour.TAKE
    assert await channel.send(sending(HER_PHONE)) == Outcome("done")
    assert [*both.sms()] == [NOTICE]
    assert len(both.of(NOTICE)) == 1 + (behaviour is Behaviour.LOSE)


async def test_a_post_is_not_sent_on_to_where_the_gateway_points(both: Receivers) -> None:
    async with ends.receivers() as other:
        both.behaviour = Behaviour.REDIRECT
        both.elsewhere = f"http://127.0.0.1:{other.http_port}/"
        assert await sms(both.http_port).send(sending(HER_PHONE)) == Outcome("unknown")
        assert other.received == []


@pytest.mark.parametrize("by", ["email", "sms"])
async def test_a_receiver_that_is_killed_in_the_middle_of_a_delivery_leaves_it_unknown(
    tmp_path: Path, by: str
) -> None:
    book = tmp_path / "book"
    async with another_process(book, Behaviour.HOLD) as (pid, smtp_port, http_port):
        channel = email(smtp_port) if by == "email" else sms(http_port)
        to = HER_MAIL if by == "email" else HER_PHONE
        attempt = asyncio.create_task(channel.send(sending(to)))

        async def held() -> bool:
            return len(ends.read(book)) == 1

        await until(held, "the message is in the book")
        assert not attempt.done()
        os.kill(pid, signal.SIGKILL)
        assert await attempt == Outcome("unknown")
    (one,) = ends.read(book)
    assert (one.channel, one.notice, one.to) == (by, NOTICE, to)


def test_settings_with_which_no_e_mail_could_be_sent_stop_the_start() -> None:
    with pytest.raises(ValueError, match="cannot be sent with these settings"):
        Email(Relay(host="127.0.0.1", port=25, mode="insecure", sender="nobody"))


async def test_many_at_once_arrive_each_once(both: Receivers) -> None:
    notices = [f"{number:032x}" for number in range(24)]
    mail, text = email(both.smtp_port), sms(both.http_port)
    said = await asyncio.gather(
        *(mail.send(sending(HER_MAIL, notice)) for notice in notices),
        *(text.send(sending(HER_PHONE, notice)) for notice in notices),
    )
    assert set(said) == {Outcome("done")}
    assert all(len(both.of(notice)) == 2 for notice in notices)


async def test_nothing_that_is_logged_names_an_address(
    both: Receivers, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    for behaviour in (Behaviour.TAKE, Behaviour.REFUSE, Behaviour.DROP):
        both.behaviour = behaviour
        await email(both.smtp_port).send(sending(HER_MAIL))
        await sms(both.http_port).send(sending(HER_PHONE))
    ours = [r.getMessage() for r in caplog.records if not r.name.startswith("mail.")]
    assert not [line for line in ours if "xiaohong" in line or "0013" in line]


async def test_an_attempt_that_never_got_its_turn_has_surely_failed_and_one_that_did_may_not() -> (
    None
):
    threads, free = Threads("test", at_once=1, most_seconds=SHORT), threading.Event()

    def stuck() -> Outcome:
        free.wait(30)
        return Outcome("done")

    try:
        first, second = await asyncio.gather(threads.run(stuck), threads.run(stuck))
    finally:
        free.set()
    assert first == Outcome("unknown")
    assert second == Outcome("failed", "channel-busy")
