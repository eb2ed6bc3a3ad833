"""Apache Kafka as one KRaft node: broker and controller in one process, on the loopback only.

Ready after some three seconds. Data stay in the run directory from one start to the next.
"""

from __future__ import annotations

import logging
import os
import shutil
import signal
import tempfile
import uuid
from base64 import urlsafe_b64encode
from pathlib import Path
from types import TracebackType
from typing import Self

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from deploy.embedded import jars, ports
from deploy.embedded.classes import archive, keeping, sharing
from deploy.embedded.java import Java, find_java
from deploy.embedded.processes import Daemon, run_step
from deploy.embedded.services import Applying
from deploy.embedded.steps import Deadline, Step, together
from lianhu.contracts.rights import ADMIN
from lianhu.eventing.connection import Access

HEAP = "512m"
START_SECONDS = 90.0
STOP_SECONDS = 15.0

_silent = logging.getLogger("lianhu.deploy.kafka")
_silent.addHandler(logging.NullHandler())
_silent.propagate = False


def server_properties(
    data_dir: Path, port: int, controller_port: int, bind: str = ports.HOST
) -> str:
    """The node's configuration. Everything not named here is Kafka's own default.

    `bind`: where it listens for clients, who are told the loopback whatever that is.
    """
    return f"""\
# Written at each start by deploy/embedded/kafka.py; changes made here are lost.
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@{ports.HOST}:{controller_port}
listeners=PLAINTEXT://{bind}:{port},CONTROLLER://{ports.HOST}:{controller_port}
advertised.listeners=PLAINTEXT://{ports.HOST}:{port}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAINTEXT
log.dirs={data_dir}

# A topic exists because the contracts name it, never because somebody misspelt it.
auto.create.topics.enable=false

# One node: what a cluster keeps three times is kept once.
default.replication.factor=1
min.insync.replicas=1
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=4
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1

# A group of one member need not wait three seconds for a second.
group.initial.rebalance.delay.ms=0

num.network.threads=2
num.io.threads=4
log.cleaner.dedupe.buffer.size=16777216
"""


def log4j_properties() -> str:
    """Warnings and worse, to the standard output, which is the log file of this process."""
    return """\
status = error
appender.out.type = Console
appender.out.name = out
appender.out.target = SYSTEM_OUT
appender.out.layout.type = PatternLayout
appender.out.layout.pattern = %d{ISO8601} %-5p %c{1} %m%n
rootLogger.level = warn
rootLogger.appenderRef.out.ref = out
logger.server.name = kafka.server.KafkaRaftServer
logger.server.level = info
"""


def random_id() -> str:
    """As Kafka names a cluster; a first `-` would be an option to its tools."""
    return f"L{urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip('=')[1:]}"


class Kafka:
    """A broker in a run directory. `with Kafka(folder, 9092) as kafka:` starts and stops it."""

    def __init__(self, run_dir: Path, port: int, controller_port: int | None = None) -> None:
        self.run_dir = run_dir.absolute()
        self.port = port
        self.controller_port = controller_port or ports.pick_free(1)[0]
        self.daemon = Daemon(self.run_dir, "kafka")
        self.home = self.run_dir / "kafka"

    @property
    def bootstrap(self) -> str:
        """The address clients are given: host:port."""
        return f"{ports.HOST}:{self.port}"

    def start(self) -> None:
        """Start and wait until metadata are served. Raises `Died`, `Missing` or `PortTaken`."""
        if self.daemon.record() is not None:
            together(self.starting())
            return
        ports.check_free(self.ports())
        try:
            together(self.starting())
        except BaseException:
            self.stop()
            raise

    def ports(self) -> list[tuple[str, int]]:
        """The ports it needs, by the names that `ports` knows."""
        return [("kafka", self.port), ("kafka-controller", self.controller_port)]

    def starting(self) -> Step:
        """The same as a step, to start it beside other things."""
        if self.daemon.record() is None:
            yield from self._format()
            self.daemon.start(
                self._java("kafka.Kafka", f"-Xmx{HEAP}", str(self.home / "server.properties")),
                port=self.port,
                environment=os.environ,
                directory=self.home,
            )
        yield from self._ready()

    def is_ready(self) -> bool:
        """Whether the broker answers a request for metadata and has a controller."""
        if not ports.answers(self.port):
            return False
        # Constructed anew each time: a client that failed once waits longer and longer.
        client = AdminClient(self.access().librdkafka(), logger=_silent)
        try:
            metadata = client.list_topics(timeout=2)
        except KafkaException:
            return False
        return bool(metadata.brokers) and metadata.controller_id >= 0

    def access(self, user: str = ADMIN) -> Access:
        """How `user` reaches it; this one asks nobody's name."""
        return Access(self.bootstrap)

    def known_as(self, user: str) -> dict[str, str]:
        """What a service is told, by the names of its settings, to speak to it as `user`."""
        return {"KAFKA": self.bootstrap}

    def applying(self, publishers: Path | None) -> Applying:
        """How its topics are made."""
        registry = ("--publishers", str(publishers)) if publishers else ()
        return Applying(("topics", "create", "--kafka", self.bootstrap, *registry), {})

    def stop(self) -> bool:
        """Stop in order; killed when it takes too long. False: it was not running."""
        return self.daemon.stop(signal.SIGTERM, STOP_SECONDS)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def _format(self) -> Step:
        """Write the configuration; lay out the storage when there is none."""
        data = self.home / "data"
        self.home.mkdir(parents=True, exist_ok=True)
        properties = self.home / "server.properties"
        properties.write_text(self._properties(data))
        (self.home / "log4j2.properties").write_text(log4j_properties())
        if (data / "meta.properties").exists():
            return
        if data.exists():  # left by a format that was cut short
            shutil.rmtree(data)
        yield from run_step(
            f"{self.daemon.name}-format",
            self._java(
                "kafka.tools.StorageTool",
                "-Xmx128m",
                *("format", "--cluster-id", self.cluster_id()),
                *("--config", str(properties)),
                *self._first_words(),
            ),
            run_dir=self.run_dir,
            environment=os.environ,
            directory=self.home,
            seconds=START_SECONDS,
        )

    def cluster_id(self) -> str:
        """By which its storage is known."""
        return random_id()

    def _properties(self, data: Path) -> str:
        return server_properties(data, self.port, self.controller_port)

    def _first_words(self) -> list[str]:
        """What the storage is told when it is laid out, besides its identity."""
        return []

    def _ready(self) -> Step:
        deadline = Deadline(START_SECONDS)
        while not self.is_ready():
            self.daemon.check_alive()
            deadline.check("kafka was not ready", self.daemon.tail())
            yield

    def java_options(self, java: Java) -> list[str]:
        """For a broker of minutes: the second compiler would take more than it gives back."""
        return ["-XX:TieredStopAtLevel=1", *sharing(java)]

    def _java(self, main: str, memory: str, *arguments: str) -> list[str]:
        folder = jars.installed()
        java = find_java()
        quiet = ["--sun-misc-unsafe-memory-access=allow"] if java.version >= 24 else []
        return [
            str(java.command),
            memory,
            *quiet,
            *self.java_options(java),
            "-Djava.awt.headless=true",
            f"-Dlog4j2.configurationFile={self.home / 'log4j2.properties'}",
            *("-classpath", f"{folder}/*", main, *arguments),
        ]


class LastingKafka(Kafka):
    """A broker as it is where it lasts: for what is measured."""

    def java_options(self, java: Java) -> list[str]:
        """Java's own choice of compilers."""
        return sharing(java)


def keep_classes() -> None:
    """Start a broker once and keep what it loads, so that others start in half the time.

    Nothing where that is there already.
    """
    kept = archive(find_java())
    if kept.exists():
        return
    with tempfile.TemporaryDirectory() as folder:
        draft = Path(folder, "classes")

        class Keeping(Kafka):
            def java_options(self, java: Java) -> list[str]:
                return [*Kafka.java_options(self, java), *keeping(draft)]

        with Keeping(Path(folder, "broker"), ports.pick_free(1)[0]):
            pass
        if draft.exists():
            shutil.move(draft, kept)
