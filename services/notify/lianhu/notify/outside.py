"""E-mail and text messages, through the library apprise; what is surely not sent is found before.

Apprise says yes or no and swallows why. So each channel first does what can have no effect (to
connect; to ask the relay whether it takes this address) and says `failed` of that alone. Once the
message was handed to apprise, a no is `unknown`: the relay may have taken it and the answer got
lost. Apprise's own retries, redirects and files are off.
"""

from __future__ import annotations

import asyncio
import logging
import smtplib
import socket
import ssl
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from urllib.parse import urlsplit

from apprise import AppriseAsset, NotifyFormat, NotifyType, PersistentStoreMode
from apprise.exception import AppriseImproperlyConfigured

from lianhu.contracts.vocabulary import Language, NoticeChannel
from lianhu.notify.channels import Outcome, Sending
from lianhu.notify.lines import Gateway, Relay
from lianhu.notify.templates import Text

with warnings.catch_warnings():
    # apprise's encryption, which is not used, imports a module that Python 3.13 drops. Only these
    # two of its many services are loaded.
    warnings.simplefilter("ignore", DeprecationWarning)
    from apprise.plugins.custom_json import NotifyJSON
    from apprise.plugins.email import NotifyEmail

# What apprise and its parts log names addresses.
logging.getLogger("apprise").setLevel(logging.CRITICAL + 1)

AT_ONCE = 8
"""Messages that one channel sends at the same time; a slow relay holds up itself only."""
_EXCHANGE_SECONDS = 8.0
_ANSWER_SECONDS = 20.0
PATIENCE_SECONDS = 90.0
"""Until an attempt's outcome is given up here; the policy's `answer_within` must be longer."""


def _asset() -> AppriseAsset:
    return AppriseAsset(
        app_id="notice",
        storage_mode=PersistentStoreMode.MEMORY,
        default_service_retry=0,
        http_redirects=False,
    )


class Threads:
    """Calls that block, so many at once, each bounded in time."""

    def __init__(
        self, name: str, at_once: int = AT_ONCE, most_seconds: float = PATIENCE_SECONDS
    ) -> None:
        self._pool = ThreadPoolExecutor(at_once, thread_name_prefix=name)
        self._most_seconds = most_seconds

    async def run(self, call: Callable[[], Outcome]) -> Outcome:
        """How it ended; `failed` in the end only where it surely never began."""
        work = self._pool.submit(call)
        try:
            async with asyncio.timeout(self._most_seconds):
                return await asyncio.wrap_future(work)
        except TimeoutError:
            return Outcome("failed", "channel-busy") if work.cancelled() else Outcome("unknown")


class Email:
    """Through an SMTP relay. A second sending is a second e-mail."""

    name = NoticeChannel.EMAIL
    idempotent = False

    def __init__(self, relay: Relay, exchange_seconds: float = _EXCHANGE_SECONDS) -> None:
        """Raises ValueError for settings with which nothing could ever be sent."""
        self._relay = relay
        self._seconds = exchange_seconds
        try:
            self._sender(relay.address, "")
        except AppriseImproperlyConfigured as fault:
            raise ValueError("e-mail cannot be sent with these settings") from fault
        self._threads = Threads("email")

    async def send(self, sending: Sending) -> Outcome:
        """`failed` only for what happened before the text was handed over."""
        return await self._threads.run(lambda: self._send(sending))

    def _send(self, sending: Sending) -> Outcome:
        to = sending.to
        sender = self._sender(to, sending.notice) if to.isascii() else None
        # apprise drops what it takes for no address, and writes to the sender if none is left
        if sender is None or [address for _, address in sender.targets] != [to]:
            return Outcome("failed", "address-not-usable", final=True)
        if (refused := self._ask(to)) is not None:
            return refused
        return _handed_over(sender, _text(sending))

    def _sender(self, to: str, notice: str) -> NotifyEmail:
        relay = self._relay
        return NotifyEmail(  # type: ignore[no-untyped-call]
            asset=_asset(),
            secure=relay.mode != "insecure",
            host=relay.host,
            smtp_host=relay.host,
            port=relay.port,
            secure_mode=relay.mode,
            user=relay.user,
            password=None if relay.password is None else relay.password.get_secret_value(),
            from_addr=relay.sender,
            targets=[to],
            headers={"X-Notice-Id": notice},
            format="text",
            cto=self._seconds,
        )

    def _ask(self, to: str) -> Outcome | None:
        """Whether the relay would take a message for this address; nothing is sent by asking."""
        try:
            relay = self._connect()
        except (OSError, smtplib.SMTPException) as error:
            return Outcome("failed", _refusal(error))
        try:
            for code, reason in (
                (relay.mail(self._relay.address)[0], "sender-refused"),
                (relay.rcpt(to)[0], "address-refused"),
                (relay.rset()[0], "relay-refused"),
            ):
                if not 200 <= code < 300:
                    return Outcome("failed", reason, final=code >= 500)
        except (OSError, smtplib.SMTPException) as error:
            return Outcome("failed", _refusal(error))
        finally:
            with suppress(OSError, smtplib.SMTPException):
                relay.quit()
        return None

    def _connect(self) -> smtplib.SMTP:
        at, context = self._relay, ssl.create_default_context()
        if at.mode == "ssl":
            relay: smtplib.SMTP = smtplib.SMTP_SSL(
                at.host, at.port, timeout=self._seconds, context=context
            )
        else:
            relay = smtplib.SMTP(at.host, at.port, timeout=self._seconds)
        try:
            relay.ehlo_or_helo_if_needed()
            if at.mode == "starttls":
                relay.starttls(context=context)
                relay.ehlo()
            if at.user and at.password is not None:
                relay.login(at.user, at.password.get_secret_value())
        except BaseException:
            relay.close()
            raise
        return relay


class Sms:
    """Through an HTTP gateway, which must tell doubles apart by the header `Idempotency-Key`.

    The body is `{"key": …, "to": …, "text": …}`, in JSON; any answer 2xx means it is taken.
    """

    name = NoticeChannel.SMS
    idempotent = True

    def __init__(self, gateway: Gateway, answer_seconds: float = _ANSWER_SECONDS) -> None:
        self._gateway = gateway
        self._seconds = answer_seconds
        self._threads = Threads("sms")

    async def send(self, sending: Sending) -> Outcome:
        """`failed` only where no connection was had."""
        return await self._threads.run(lambda: self._send(sending))

    def _send(self, sending: Sending) -> Outcome:
        if not sending.to:
            return Outcome("failed", "address-not-usable", final=True)
        at = urlsplit(self._gateway.url)
        port = at.port or (443 if at.scheme == "https" else 80)
        try:
            socket.create_connection((at.hostname or "", port), _EXCHANGE_SECONDS).close()
        except OSError:
            return Outcome("failed", "gateway-unreachable")
        headers = {"Idempotency-Key": sending.notice}
        if self._gateway.token is not None:
            headers["Authorization"] = f"Bearer {self._gateway.token.get_secret_value()}"
        sender = NotifyJSON(  # type: ignore[no-untyped-call]
            asset=_asset(),
            secure=at.scheme == "https",
            host=at.hostname,
            port=port,
            fullpath=at.path or "/",
            headers=headers,
            # apprise's own fields are renamed, or left out where they are given no new name
            payload={
                "message": "text",
                "title": "",
                "version": "",
                "attachments": "",
                "type": "",
                "key": sending.notice,
                "to": sending.to,
            },
            cto=_EXCHANGE_SECONDS,
            rto=self._seconds,
        )
        return _handed_over(sender, Text("", _text(sending).body))


def _handed_over(sender: NotifyEmail | NotifyJSON, text: Text) -> Outcome:
    try:
        taken = sender.notify(
            body=text.body,
            title=text.subject,
            notify_type=NotifyType.INFO,
            body_format=NotifyFormat.TEXT,
        )
    except Exception:  # noqa: BLE001 - what it raises may show the address
        return Outcome("unknown")
    return Outcome("done") if taken else Outcome("unknown")


def _text(sending: Sending) -> Text:
    """A person is written to in one language; a unit's officers in the first of theirs."""
    return sending.texts.get(Language.ZH_CN) or next(iter(sending.texts.values()))


def _refusal(error: Exception) -> str:
    """A slug; the error itself may name the address."""
    lost = isinstance(error, OSError) and not isinstance(error, smtplib.SMTPException)
    gone = isinstance(error, smtplib.SMTPServerDisconnected | smtplib.SMTPConnectError)
    return "relay-unreachable" if lost or gone else "relay-refused"
