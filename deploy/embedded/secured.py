"""The broker as it is deployed: nobody speaks to it without a name, nobody may what is not written.

The same configuration as in a container (`deploy/kafka/server.properties`), on the loopback only.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from deploy.embedded import ports
from deploy.embedded.kafka import Kafka
from deploy.embedded.processes import Daemon
from deploy.embedded.services import ROOT, Applying
from deploy.embedded.steps import Step
from deploy.kafka.certificates import CA_CERTIFICATE, make_authority, make_broker
from lianhu.contracts.publishers import Publishers
from lianhu.contracts.rights import ADMIN, users
from lianhu.eventing.connection import Access, Protocol, secret_of
from lianhu.eventing.users import make_password, password_file

TEMPLATE = ROOT / "deploy" / "kafka" / "server.properties"
SESSION_MS = "3600000"
"""After how long a system outside must show its password again."""
HOSTS = (ports.HOST, "localhost")


def filled(template: str, values: Mapping[str, str]) -> str:
    """The template with a value for every @NAME@; KeyError names one that has none."""
    return re.sub(r"@([A-Z_]+)@", lambda found: values[found[1]], template)


@dataclass(frozen=True)
class Node:
    """Where a broker stands among others."""

    number: int = 1
    brokers: int = 1
    cluster_id: str | None = None
    """The one that all of them are laid out with; None: a random one."""

    @property
    def name(self) -> str:
        """How the process is called."""
        return "kafka" if self.number == 1 else f"kafka-{self.number}"


ALONE = Node()


class SecuredKafka(Kafka):
    """A broker with passwords, certificates and rights; its secrets lie in the run directory."""

    def __init__(
        self, run_dir: Path, port: int, controller_port: int | None = None, node: Node = ALONE
    ) -> None:
        super().__init__(run_dir, port, controller_port)
        self.node = node
        self.voters = f"{node.number}@{ports.HOST}:{self.controller_port}"
        self.daemon = Daemon(self.run_dir, node.name)
        self.home = self.run_dir / node.name
        self.public_port, self.brokers_port = ports.pick_free(2)
        self.secrets = self.run_dir / "secrets" / "kafka"
        self._words = self.secrets / f"{node.name}.first-words"

    @property
    def ca_file(self) -> Path:
        """Who vouches for the broker."""
        return self.secrets / CA_CERTIFICATE

    @property
    def passwords(self) -> Path:
        """The folder of passwords, a file for each user."""
        return self.secrets / "passwords"

    @property
    def outside(self) -> str:
        """The address that systems outside are given: host:port."""
        return f"{ports.HOST}:{self.public_port}"

    def access(self, user: str = ADMIN) -> Access:
        """How `user` reaches it from inside."""
        return self._access(user, self.bootstrap)

    def from_outside(self, user: str) -> Access:
        """How `user` reaches it as a system outside does."""
        return self._access(user, self.outside)

    def _access(self, user: str, bootstrap: str) -> Access:
        return Access(
            bootstrap,
            Protocol.SASL_SSL,
            user,
            lambda: secret_of(password_file(self.passwords, user), None),
            self.ca_file,
        )

    def known_as(self, user: str) -> dict[str, str]:
        """The settings of a service."""
        return {
            "KAFKA": self.bootstrap,
            "KAFKA_PROTOCOL": Protocol.SASL_SSL.value,
            "KAFKA_USER": user,
            "KAFKA_PASSWORD_FILE": str(password_file(self.passwords, user)),
            "KAFKA_CA_FILE": str(self.ca_file),
        }

    def starting(self) -> Step:
        """The same as a step; what the storage was told at first does not stay."""
        try:
            yield from super().starting()
        finally:
            self._words.unlink(missing_ok=True)

    def applying(self, publishers: Path | None) -> Applying:
        """How its users, rights and topics are made; whoever has no password yet is given one."""
        for user in users(Publishers.read(publishers)):
            make_password(self.passwords, user)
        told = {
            **self.known_as(ADMIN),
            "PASSWORDS": str(self.passwords),
            "REPLICATION": str(self.node.brokers),
        }
        if publishers is not None:
            told["PUBLISHERS_FILE"] = str(publishers)
        environment = {f"LIANHU_BROKER_{name}": value for name, value in told.items()}
        return Applying(("broker", "apply"), environment)

    def make_secrets(self) -> None:
        """What it needs before its first start; what is there stays."""
        make_authority(self.secrets)
        make_broker(self.secrets, HOSTS)
        make_password(self.passwords, ADMIN)

    def ports(self) -> list[tuple[str, int]]:
        """Those of every listener."""
        more = [("kafka-public", self.public_port), ("kafka-brokers", self.brokers_port)]
        return [*super().ports(), *more]

    def _properties(self, data: Path) -> str:
        self.make_secrets()
        return filled(
            TEMPLATE.read_text(),
            {
                "NODE_ID": str(self.node.number),
                "VOTERS": self.voters,
                "DATA": str(data),
                "SECRETS": str(self.secrets),
                "BIND": ports.HOST,
                "HOST": ports.HOST,
                "PUBLIC_HOST": ports.HOST,
                "SERVICES_PORT": str(self.port),
                "PUBLISHERS_PORT": str(self.public_port),
                "PUBLIC_PORT": str(self.public_port),
                "BROKERS_PORT": str(self.brokers_port),
                "CONTROLLER_PORT": str(self.controller_port),
                "REPLICATION": str(self.node.brokers),
                "MIN_ISR": str(max(self.node.brokers - 1, 1)),
                "COORDINATORS": "4",
                "SESSION_MS": SESSION_MS,
            },
        )

    def cluster_id(self) -> str:
        """That of all its brokers."""
        return self.node.cluster_id or super().cluster_id()

    def _first_words(self) -> list[str]:
        """The administrator's password, by a file: a command line is open to all."""
        password = self.access().secret()
        self._words.touch(mode=0o600)
        self._words.write_text(f"--add-scram\nSCRAM-SHA-512=[name={ADMIN},password={password}]\n")
        return [f"@{self._words}"]
