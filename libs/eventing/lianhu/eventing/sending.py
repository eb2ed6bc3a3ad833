"""What the Kafka client hears when it writes to a connection that is closed.

Between a connection's end and the word of it our event loop (uvloop) raises RuntimeError to whoever
writes; the standard one is silent. The client (aiokafka 0.14, its issue 1038) knows neither: the
task that renews what it knows of the brokers ended by it, nobody was told, and whoever asked for
news of them waited for ever: a consumer outside its group, beside a broker that answers.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import wraps
from typing import Any

import structlog
from aiokafka.client import AIOKafkaClient
from aiokafka.conn import AIOKafkaConnection, CloseReason
from aiokafka.errors import KafkaConnectionError

from lianhu.eventing.errors import written_too_late

log = structlog.get_logger(__name__)

SEND = AIOKafkaConnection.send
SEND_TOKEN = AIOKafkaConnection._send_sasl_token
RENEW = AIOKafkaClient._md_synchronizer
"""As the client has them."""

_PAUSE = 0.5
"""Seconds until the brokers are asked again after an error that nobody expected."""


def telling(send: Callable[..., Any]) -> Callable[..., Any]:
    """The client's `send`: a connection that is closed is closed for the client, too, and said."""

    @wraps(send)
    def sent(connection: Any, *given: Any, **more: Any) -> Any:
        try:
            return send(connection, *given, **more)
        except RuntimeError as error:
            if not written_too_late(error):
                raise
            connection.close(reason=CloseReason.CONNECTION_BROKEN, exc=error)
            raise KafkaConnectionError("written to a connection that is closed") from error

    return sent


def lasting(renew: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """The client's task that renews what it knows: no error ends it, and each is logged."""

    @wraps(renew)
    async def renewed(client: Any) -> None:
        while True:
            try:
                await renew(client)
            except Exception as error:
                log.error("the brokers were not asked for their topics", exc_info=error)
                await asyncio.sleep(_PAUSE)

    return renewed


def install() -> None:
    """Have every connection and every client of this process do so."""
    AIOKafkaConnection.send = telling(SEND)
    AIOKafkaConnection._send_sasl_token = telling(SEND_TOKEN)
    AIOKafkaClient._md_synchronizer = lasting(RENEW)
