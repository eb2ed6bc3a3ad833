"""What notify is told by its environment, with the prefix `LIANHU_NOTIFY_`."""

from __future__ import annotations

from email.utils import parseaddr
from pathlib import Path
from urllib.parse import urlsplit

from pydantic import Field, FilePath, SecretStr, model_validator
from pydantic_settings import SettingsConfigDict

from lianhu.eventing.connection import secret_of
from lianhu.eventing.settings import EngineSettings, Environment
from lianhu.notify.lines import Gateway, Lines, Mode, Relay

_HERE = ("127.0.0.1", "::1", "localhost")


class Settings(EngineSettings):
    """The engine's settings, where a district's own policy and texts lie, and the lines out.

    Without `smtp_host` there is no e-mail, without `sms_url` no text message: notices that would
    go that way are suppressed with the reason `channel-not-configured`. Secrets come from the
    environment or, better, from a file.
    """

    model_config = SettingsConfigDict(env_prefix="LIANHU_NOTIFY_")

    policy_file: FilePath | None = None
    """A policy.yaml instead of the one that is shipped."""
    templates_folder: Path | None = None
    """A folder with `zh-CN/`, `zh-Hant/` and `en/` instead of the one that is shipped."""
    directory_file: Path | None = None
    """The units' duty contacts, see directory.yaml; without one there are none."""

    smtp_host: str | None = None
    """The relay for e-mail; without it none is sent."""
    smtp_port: int = Field(default=587, ge=1, le=65535)
    """Its port."""
    smtp_mode: Mode = "starttls"
    """How the line to it is closed."""
    smtp_from: str | None = None
    """The From of every e-mail. To a person at risk it must say nothing of the sender."""
    smtp_user: str | None = None
    """As whom; without it nobody is named."""
    smtp_password: SecretStr | None = None
    """The password itself; a file is better."""
    smtp_password_file: Path | None = None
    """A file with the password; wins over the value."""

    sms_url: str | None = None
    """Where a text message is posted; see `outside.Sms` for what the gateway must promise."""
    sms_token: SecretStr | None = None
    """The token itself; a file is better."""
    sms_token_file: Path | None = None
    """A file with the token; wins over the value."""

    effects_at_once: int = Field(default=32, ge=1)
    """More than both lines out can hold up together, so that cards are still opened."""

    @model_validator(mode="after")
    def _lines_fit(self) -> Settings:
        production = self.environment is Environment.PRODUCTION
        if self.smtp_host is not None:
            if "@" not in parseaddr(self.smtp_from or "")[1]:
                raise ValueError("SMTP_HOST is set and SMTP_FROM gives no address")
            if production and self.smtp_mode == "insecure" and self.smtp_host not in _HERE:
                raise ValueError("in production e-mail is not sent over an open line")
        if self.sms_url is not None:
            at = urlsplit(self.sms_url)
            if at.scheme not in ("http", "https") or not at.hostname:
                raise ValueError("SMS_URL is no http or https address")
            if production and at.scheme == "http" and at.hostname not in _HERE:
                raise ValueError("in production text messages are not sent over an open line")
        return self

    def lines(self) -> Lines:
        """The lines out that are configured. Raises ValueError for a secret's missing file."""
        relay = gateway = None
        if self.smtp_host is not None and self.smtp_from is not None:
            relay = Relay(
                host=self.smtp_host,
                port=self.smtp_port,
                mode=self.smtp_mode,
                sender=self.smtp_from,
                user=self.smtp_user,
                password=secret_of(self.smtp_password_file, self.smtp_password),
            )
        if self.sms_url is not None:
            gateway = Gateway(
                url=self.sms_url, token=secret_of(self.sms_token_file, self.sms_token)
            )
        return Lines(relay=relay, gateway=gateway)
