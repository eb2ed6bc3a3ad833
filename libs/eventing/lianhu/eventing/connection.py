"""How the broker is reached: address, protocol, user and whom to trust, for every Kafka client."""

from __future__ import annotations

import ipaddress
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from pydantic import SecretStr

MECHANISM = "SCRAM-SHA-512"


class Protocol(StrEnum):
    """What is spoken on a listener. The users of the last two are known by SCRAM-SHA-512."""

    PLAINTEXT = "PLAINTEXT"
    SASL_PLAINTEXT = "SASL_PLAINTEXT"
    SASL_SSL = "SASL_SSL"

    @property
    def closed(self) -> bool:
        """Nobody on the way reads it."""
        return self is Protocol.SASL_SSL


def _none() -> None:
    return None


@dataclass(frozen=True, slots=True)
class Access:
    """Where the broker is and as whom it is spoken to. The password is never shown by `repr`."""

    bootstrap: str
    protocol: Protocol = Protocol.PLAINTEXT
    user: str | None = None
    password: Callable[[], SecretStr | None] = _none
    """Asked anew for each client that is made, so that the next one has a renewed password."""
    ca_file: Path | None = None
    """Who vouches for the broker; None: those whom the system trusts."""

    def tls(self) -> ssl.SSLContext | None:
        """What the broker's certificate is checked by; None on an open line."""
        return ssl.create_default_context(cafile=self.ca_file) if self.protocol.closed else None

    def secret(self) -> str:
        """The password itself; empty without one."""
        found = self.password()
        return "" if found is None else found.get_secret_value()

    def arguments(self) -> dict[str, Any]:
        """For a consumer, a producer or an admin client of aiokafka."""
        found: dict[str, Any] = {"bootstrap_servers": self.bootstrap}
        if self.protocol is not Protocol.PLAINTEXT:
            found |= {
                "security_protocol": self.protocol.value,
                "sasl_mechanism": MECHANISM,
                "sasl_plain_username": self.user,
                "sasl_plain_password": self.secret(),
                "ssl_context": self.tls(),
            }
        return found

    def librdkafka(self) -> dict[str, Any]:
        """For a client of confluent-kafka."""
        found: dict[str, Any] = {"bootstrap.servers": self.bootstrap}
        if self.protocol is not Protocol.PLAINTEXT:
            found |= {
                "security.protocol": self.protocol.value,
                "sasl.mechanism": MECHANISM,
                "sasl.username": self.user,
                "sasl.password": self.secret(),
            }
        if self.protocol.closed and self.ca_file is not None:
            found["ssl.ca.location"] = str(self.ca_file)
        return found


def access(kafka: str | Access) -> Access:
    """An address alone is an open line to it."""
    return kafka if isinstance(kafka, Access) else Access(kafka)


def reaches_beyond(bootstrap: str) -> bool:
    """Whether any of the servers is another machine."""
    return not all(_is_here(server.strip()) for server in bootstrap.split(","))


def _is_here(server: str) -> bool:
    host = server.rpartition(":")[0].strip("[]")
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def secret_of(file: Path | None, value: SecretStr | None) -> SecretStr | None:
    """A secret out of its file, or the value where none is named; ValueError: not readable."""
    if file is None:
        return value
    try:
        return SecretStr(file.read_text(encoding="utf-8").strip())
    except OSError as error:
        raise ValueError(f"a secret's file cannot be read: {file.name}") from error
