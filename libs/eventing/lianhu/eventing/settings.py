"""What every service is told by its environment; a service's own class adds to it."""

from __future__ import annotations

from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Literal

from pydantic import Field, FilePath, PostgresDsn, SecretStr, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from lianhu.eventing.connection import Access, Protocol, reaches_beyond, secret_of


class Environment(StrEnum):
    """Where a service runs. Only outside production may time be moved."""

    DEMO = "demo"
    TEST = "test"
    PRODUCTION = "production"


class KafkaSettings(BaseSettings):
    """How the broker is reached, and by whom."""

    model_config = SettingsConfigDict(extra="ignore", frozen=True, hide_input_in_errors=True)

    kafka: str = "127.0.0.1:9092"
    """Bootstrap servers, `host:port` separated by commas."""
    kafka_protocol: Protocol = Protocol.PLAINTEXT
    """How it is spoken to; in production another machine by `SASL_SSL` only."""
    kafka_user: str | None = None
    """The user that the broker's ACLs know this service by."""
    kafka_password: SecretStr | None = None
    """The password itself; a file is better."""
    kafka_password_file: Path | None = None
    """A file with the password, read anew at each connection's making; wins over the value."""
    kafka_ca_file: FilePath | None = None
    """Who vouches for the broker, as PEM; without it those whom the system trusts."""
    publishers_file: FilePath | None = None
    """The registry of publishers; without it that of the demo. Read anew when it changes."""
    environment: Environment = Environment.PRODUCTION
    """Where it runs."""

    @model_validator(mode="after")
    def _the_broker_knows_us(self) -> KafkaSettings:
        named = self.kafka_user is not None
        secret = self.kafka_password is not None or self.kafka_password_file is not None
        if self.kafka_protocol is Protocol.PLAINTEXT:
            if named or secret:
                raise ValueError("KAFKA_USER or its password is set and KAFKA_PROTOCOL is not")
        elif not (named and secret):
            raise ValueError("KAFKA_PROTOCOL needs KAFKA_USER and KAFKA_PASSWORD_FILE")
        production = self.environment is Environment.PRODUCTION
        if production and not self.kafka_protocol.closed and reaches_beyond(self.kafka):
            raise ValueError("in production Kafka is not spoken to over an open line")
        return self

    def access(self) -> Access:
        """How the broker is reached. Raises ValueError where a secret's file cannot be read."""
        return Access(
            self.kafka,
            self.kafka_protocol,
            self.kafka_user,
            partial(secret_of, self.kafka_password_file, self.kafka_password),
            self.kafka_ca_file,
        )


class BrokerSettings(KafkaSettings):
    """What whoever makes users, rights and topics is told; prefix `LIANHU_BROKER_`."""

    model_config = SettingsConfigDict(env_prefix="LIANHU_BROKER_")

    passwords: Path | None = None
    """A folder with a file `<user>.password` for each user of the broker."""
    replication: int = Field(default=1, ge=1)
    """How many brokers keep each record. From three on all but one must have written it."""


class EngineSettings(KafkaSettings):
    """Settings of the engine. Each service sets its own prefix, e.g. `LIANHU_INTAKE_`."""

    database_url: PostgresDsn | None = None
    """The runtime role's DSN."""
    database_password_file: Path | None = None
    """A file with its password, read anew at each connection's making; wins over the DSN's."""
    migration_url: SecretStr | None = None
    """The owner role's DSN; used by `migrate` only."""
    migration_password_file: Path | None = None
    """A file with the owner's password; wins over the DSN's."""
    http_host: str = "127.0.0.1"
    """The address on which the service answers; in a container `0.0.0.0`."""
    http_port: int = Field(default=0, ge=0, le=65535)
    """Its port; 0: any that is free."""
    master_key_file: Path | None = None
    """The keys that wrap all data keys, a line each; the last is current. Read anew as it grows."""
    clock_movable: bool = False
    """Whether `clock advance` may move time; never in production."""
    instance: str = ""
    """A name for this replica that survives its restart; without one it is a plain group member."""
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"] = "INFO"
    """What is logged, from there on upwards."""

    batch_records: int = Field(default=500, ge=1, le=5000)
    """Messages that are handled in one transaction, at most."""
    batch_bytes: int = Field(default=8 * 1024 * 1024, ge=1)
    """Their bytes, at most."""
    batch_wait_ms: int = Field(default=100, ge=0)
    """How long messages gather before the broker is asked again; who was idle asks at once."""
    batch_seconds: float = Field(default=2.0, gt=0)
    """After how long a batch takes no further message in."""
    session_timeout_ms: int = Field(default=6000, ge=1000)
    """After how long of silence the broker gives a replica's partitions to another."""
    metadata_max_age_ms: int = Field(default=10_000, ge=1000)
    """After how long a new topic is found."""
    pool_size: int = Field(default=12, ge=3)
    """Connections to the database, at most."""
    relay_records: int = Field(default=2000, ge=1)
    """Journal rows that are published in one go."""
    relay_wait_ms: int = Field(default=20, ge=0)
    """How long rows gather before the next ones are published; who was idle publishes at once."""
    poll_seconds: float = Field(default=1.0, gt=0)
    """How often relay, deadlines and parked messages are looked at when nothing woke them."""
    awaiting_seconds: float = Field(default=30.0, ge=0)
    """How long a command waits for a case that is not known yet."""
    limit_in_a_row: int = Field(default=20, ge=1)
    """So many unexpected failures in a row, and the service stands still."""
    limit_window: int = Field(default=200, ge=1)
    """Of how many messages the share of failures is looked at."""
    limit_share: float = Field(default=0.2, gt=0, le=1)
    """Such a share of failures among them, and the service stands still."""
    refused_kept: int = Field(default=10_000, ge=0)
    """Refused messages that are kept for each public topic; the oldest go first."""
    refused_days: int = Field(default=90, ge=1)
    """How long refused messages are kept."""
    inbox_days: int = Field(default=60, ge=1)
    """How long public ids are remembered: several times the retention of any topic."""
    stalled_seconds: float = Field(default=900.0, gt=0)
    """After how long without movement a partition with waiting messages raises the alarm."""
    effects_at_once: int = Field(default=8, ge=1)
    """Calls outside that are under way at a time."""
    stop_seconds: float = Field(default=8.0, gt=0)
    """How long a stop waits for what is under way."""

    @model_validator(mode="after")
    def _time_stands_in_production(self) -> EngineSettings:
        if self.clock_movable and self.environment is Environment.PRODUCTION:
            raise ValueError("time is not moved in production: set CLOCK_MOVABLE=false")
        return self
