"""The deployment of `deploy/compose.yaml`, started for a block of code, and a hand on all of it."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from secrets import token_hex
from tempfile import mkdtemp
from typing import Any

from deploy import make_secrets
from deploy.airgap.__main__ import COMPOSE
from deploy.embedded import ports
from deploy.embedded.postgres import ADMIN as DATABASE_ADMIN
from deploy.embedded.services import ROOT, SERVICES
from lianhu.contracts.rights import ADMIN
from lianhu.eventing.connection import Access, Protocol, secret_of
from lianhu.eventing.users import password_file
from tests.demo.__main__ import Ground

FILES = (ROOT / "deploy" / "compose.yaml", ROOT / "tests" / "compose" / "watched.yaml")
MONITORING = ROOT / "deploy" / "monitoring"
UP_SECONDS = 600
MINUTE = 60
WAITS = {
    "scrape_interval": "5s",
    "scrape_timeout": "5s",
    "evaluation_interval": "5s",
    "refresh_interval": "5s",
    "for": "10s",
    "group_wait": "1s",
    "group_interval": "5s",
}
"""What the tests' monitoring has instead of the deployed."""


class Failed(RuntimeError):
    """A command of the engine failed; the message is what it said."""


def compose_command() -> list[str] | None:
    """The engine's own Compose, or the one of `make airgap`; None: neither is here."""
    if shutil.which("docker") is None:
        return None
    own = ["docker", "compose"]
    if subprocess.run([*own, "version"], capture_output=True, check=False).returncode == 0:
        return own
    return [str(COMPOSE)] if COMPOSE.exists() else None


def why_not() -> str | None:
    """Why the deployment cannot be started here, in a sentence; None: it can."""
    if shutil.which("docker") is None:
        return "no container engine is installed"
    if subprocess.run(["docker", "info"], capture_output=True, check=False).returncode != 0:
        return "no container engine runs"
    if compose_command() is None:
        return "Compose is not here: `make airgap` brings it"
    return None


def run(*command: str, seconds: float = MINUTE, **environment: str) -> str:
    """What a command prints. Raises `Failed` with what it said."""
    done = subprocess.run(
        command,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
        timeout=seconds,
    )
    if done.returncode != 0:
        raise Failed(f"{' '.join(command[-6:])}: {done.stderr.strip()[-3000:]}")
    return done.stdout


@dataclass(frozen=True)
class Deployment:
    """One running deployment. Its secrets and its registry lie in `folder`, and nowhere else."""

    folder: Path
    project: str
    public_port: int
    ports: dict[str, int]

    @property
    def secrets(self) -> Path:
        """The folder of secrets."""
        return self.folder / "secrets"

    @cached_property
    def environment(self) -> dict[str, str]:
        """What `deploy/compose.yaml` leaves open."""
        return {
            "LIANHU_PROJECT": self.project,
            "LIANHU_SECRETS": str(self.secrets),
            "LIANHU_REGISTRY": str(self.folder / "registry"),
            "LIANHU_MONITORING": str(self.folder / "monitoring"),
            "LIANHU_SECRETS_GROUP": str(make_secrets.open_to_containers(self.secrets)),
            "LIANHU_CLUSTER_ID": make_secrets.cluster_id(),
            "LIANHU_ENVIRONMENT": "demo",
            "LIANHU_CLOCK_MOVABLE": "true",
            "LIANHU_PUBLIC_HOST": "127.0.0.1",
            "LIANHU_PUBLIC_PORT": str(self.public_port),
            **{f"LIANHU_{name}_PORT": str(port) for name, port in self.ports.items()},
        }

    def compose(self, *arguments: str, seconds: float = MINUTE) -> str:
        """A command of Compose about this deployment."""
        command = compose_command()
        if command is None:
            raise Failed("Compose is not here")
        files = [part for file in FILES for part in ("-f", str(file))]
        return run(*command, *files, *arguments, seconds=seconds, **self.environment)

    def containers(self, service: str | None = None) -> list[str]:
        """The names of its containers, those that ended too."""
        about = ["--all", "--format", "{{.Name}}", *([service] if service else [])]
        return self.compose("ps", *about).split()

    def address(self, container: str) -> str:
        """The address of a container on the network that has no way out."""
        networks = json.loads(
            run("docker", "inspect", "--format", "{{json .NetworkSettings.Networks}}", container)
        )
        return str(networks[f"{self.project}_inside"]["IPAddress"])

    def of(self, service: str, number: int = 1) -> str:
        """The address of a replica."""
        return self.address(f"{self.project}-{service}-{number}")

    def url(self, service: str) -> str:
        """The HTTP address of a service."""
        return f"http://{self.of(service)}:8080"

    def dsn(self, role: str, database: str) -> str:
        """The address of a database, as a role."""
        password = (self.secrets / "postgres" / role).read_text()
        return f"postgresql://{role}:{password}@{self.of('postgres')}:5432/{database}"

    def access(self, user: str = ADMIN) -> Access:
        """As whom and how the broker is reached from outside."""
        password = password_file(self.secrets / "kafka" / "passwords", user)
        return Access(
            f"127.0.0.1:{self.public_port}",
            Protocol.SASL_SSL,
            user,
            partial(secret_of, password, None),
            self.secrets / "kafka" / "ca.crt",
        )

    def ground(self) -> Ground:
        """For the demo: each publisher as itself, over the listener for publishers."""
        return Ground(
            kafka=self.access(),
            publishers=self.access,
            dsns={name: self.dsn(name, name) for name in SERVICES},
            url=self.url,
            memory=self.memory,
        )

    def databases(self) -> dict[str, str]:
        """The databases as their administrator, who sees every table."""
        return {name: self.dsn(DATABASE_ADMIN, name) for name in SERVICES}

    def memory(self) -> list[tuple[str, int]]:
        """What each container takes, in bytes."""
        units = {"B": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}
        told = run("docker", "stats", "--no-stream", "--format", "{{.Name}} {{.MemUsage}}")
        found = []
        for line in told.splitlines():
            name, used, *_ = line.split()
            number = used.rstrip("BiKMG")
            if name.startswith(f"{self.project}-"):
                found.append((name, int(float(number) * units[used.removeprefix(number)])))
        return sorted(found)

    def inspected(self) -> Iterator[tuple[str, str]]:
        """All that the engine tells of its containers, networks and volumes."""
        label = f"label=com.docker.compose.project={self.project}"
        for kind, listing in (
            ("container", ["ps", "--all", "--quiet"]),
            ("network", ["network", "ls", "--quiet"]),
            ("volume", ["volume", "ls", "--quiet"]),
        ):
            for one in run("docker", *listing, "--filter", label).split():
                yield f"{kind} {one}", run("docker", "inspect", "--type", kind, one)

    def logs(self, folder: Path) -> Path:
        """Every container's log as a file in this folder."""
        folder.mkdir(exist_ok=True)
        for container in self.containers():
            with (folder / f"{container}.log").open("wb") as file:
                command = ["docker", "logs", container]
                subprocess.run(command, stdout=file, stderr=subprocess.STDOUT, check=True)
        return folder


def impatient(source: Path, target: Path) -> None:
    """The monitoring as it is deployed, but that it looks every 5 s and waits for nothing long."""
    shutil.copytree(source, target)
    for path in [*(target / "prometheus").rglob("*.yml"), *(target / "alertmanager").glob("*.yml")]:
        text = path.read_text(encoding="utf-8")
        for name, short in WAITS.items():
            text = re.sub(rf"(?m)^(\s*(?:- )?{name}: )\S+$", rf"\g<1>{short}", text)
        path.write_text(text, encoding="utf-8")
    # a container's account reads it, whoever made it
    for path in [target, *target.rglob("*")]:
        path.chmod(0o755 if path.is_dir() else 0o644)


@contextlib.contextmanager
def deployment(*scale: str, say: Callable[[str], Any] = print) -> Iterator[Deployment]:
    """Up from nothing, with secrets of its own; gone with its data when the block ends."""
    folder = Path(mkdtemp(prefix="lianhu-compose-"))
    names = ("NOTIFY", "PROMETHEUS", "ALERTMANAGER")
    public, *others = ports.pick_free(1 + len(names))
    running = Deployment(
        folder, f"lianhu-{token_hex(4)}", public, dict(zip(names, others, strict=True))
    )
    try:
        make_secrets.make(running.secrets, folder / "registry" / "publishers.yaml")
        impatient(MONITORING, folder / "monitoring")
        arguments = [part for one in scale for part in ("--scale", one)]
        try:
            running.compose("up", "--detach", "--wait", *arguments, seconds=UP_SECONDS)
        except (Failed, subprocess.TimeoutExpired):
            say(running.compose("ps", "--all"))
            say(running.compose("logs", "--tail", "30"))
            raise
        yield running
    finally:
        try:
            running.compose("down", "--volumes", "--timeout", "20", seconds=UP_SECONDS)
        finally:
            shutil.rmtree(folder)
