"""The whole chain, monitored: its broker with the JMX agent, its database with an exporter."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from deploy.embedded import jars, ports, session
from deploy.embedded.session import Session
from tests.monitoring.asked import MONITORING

AGENT = "jmx_prometheus_javaagent-1.0.1.jar"
EXPORTER = "prometheus-postgres-exporter"


@dataclass(frozen=True)
class Monitored:
    """A running chain and where each part shows its metrics: job and service -> host:port."""

    chain: Session
    pages: dict[tuple[str, str | None], str]
    agent: str

    def start(self, name: str) -> None:
        """Start what was stopped, the broker with its exporter in it."""
        with within(self.agent):
            self.chain.start(name)


def needed(command: str, package: str) -> str:
    """The path of a command that a Debian package has; skips where it is not installed."""
    found = shutil.which(command)
    if found is None:
        pytest.skip(f"{command} is not here; Debian has it as the package {package}")
    return found


@contextmanager
def within(agent: str) -> Iterator[None]:
    """Java that starts here carries the agent; no other test's does."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JAVA_TOOL_OPTIONS", f"-javaagent:{agent}")
        yield


@pytest.fixture(scope="package")
def monitored() -> Iterator[Monitored]:
    """Started once for all tests here, so each leaves it as it found it."""
    broker, database = ports.pick_free(2)
    settings = MONITORING / "kafka" / "jmx-exporter.yml"
    agent = f"{jars.installed() / AGENT}={ports.HOST}:{broker}:{settings}"
    with ExitStack() as stack:
        with within(agent):
            chain = stack.enter_context(session(clock_movable=False))
        pages: dict[tuple[str, str | None], str] = {
            ("lianhu", replica.service): f"{ports.HOST}:{replica.port}"
            for replica in chain.replicas
        }
        pages["kafka", None] = f"{ports.HOST}:{broker}"
        exporter = _exporter(chain, database)
        if exporter is not None:
            pages["postgres", None] = f"{ports.HOST}:{database}"
        try:
            yield Monitored(chain, pages, agent)
        finally:
            if exporter is not None:
                exporter.terminate()
                exporter.wait()


def _exporter(chain: Session, port: int) -> subprocess.Popen[bytes] | None:
    """PostgreSQL's exporter, where it is installed."""
    command = shutil.which(EXPORTER)
    if command is None:
        return None
    log = Path(chain.run_dir, "postgres-exporter.log").open("wb")  # noqa: SIM115 - the process's
    with log:
        return subprocess.Popen(
            [
                command,
                f"--web.listen-address={ports.HOST}:{port}",
                # Debian's release asks for columns that PostgreSQL 17 moved elsewhere
                "--no-collector.bgwriter",
            ],
            env={**os.environ, "DATA_SOURCE_NAME": chain.stack.postgres.admin_dsn()},
            stdout=log,
            stderr=log,
        )
