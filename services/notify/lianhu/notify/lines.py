"""The lines out of the house: the relay for e-mail and the gateway for text messages."""

from __future__ import annotations

from email.utils import parseaddr
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr

Mode = Literal["insecure", "starttls", "ssl"]


class Relay(BaseModel):
    """An SMTP relay."""

    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)

    host: str
    port: int
    mode: Mode
    sender: str
    """The From of every e-mail, an address or `name <address>`; it must not say who we are."""
    user: str | None = None
    password: SecretStr | None = None

    @property
    def address(self) -> str:
        """The address alone."""
        return parseaddr(self.sender)[1]


class Gateway(BaseModel):
    """An HTTP gateway for text messages."""

    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)

    url: str
    token: SecretStr | None = None


class Lines(BaseModel):
    """What this house can send by besides the units' screens; None: not configured."""

    model_config = ConfigDict(frozen=True)

    relay: Relay | None = Field(default=None, repr=False)
    gateway: Gateway | None = Field(default=None, repr=False)
