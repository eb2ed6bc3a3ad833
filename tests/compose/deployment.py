"""The deployment of `deploy/compose.yaml`, started for a block of code, and a hand on all of it.

Whatever an operator has a verb for is done by that verb.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from secrets import token_hex
from tempfile import mkdtemp
from typing import Any

import httpx

from deploy import make_secrets
from deploy.airgap.__main__ import has_compose
from deploy.embedded import ports
from deploy.embedded.postgres import ADMIN as DATABASE_ADMIN
from deploy.embedded.services import ROOT, SERVICES
from lianhu.contracts.rights import ADMIN
from lianhu.eventing.connection import Access, Protocol, secret_of
from lianhu.eventing.users import password_file
from tests.demo.__main__ import Ground

DEPLOY = ROOT / "deploy"
FILES = (DEPLOY / "compose.yaml", ROOT / "tests" / "compose" / "watched.yaml")
THREE = DEPLOY / "compose.three.yaml"
PUBLIC_PORTS = ("LIANHU_PUBLIC_PORT", "LIANHU_PUBLIC_PORT_2", "LIANHU_PUBLIC_PORT_3")
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


def why_not() -> str | None:
    """Why the deployment cannot be started here, in a sentence; None: it can."""
    if shutil.which("docker") is None:
        return "no container engine is installed"
    if subprocess.run(["docker", "info"], capture_output=True, check=False).returncode != 0:
        return "no container engine runs"
    if not has_compose():
        return "Compose is not here: `make airgap` brings it"
    return None


def run(*command: str, seconds: float = MINUTE, **environment: str) -> str:
    """What a command prints. Raises `Failed` with what it said."""
    done = subprocess.run(
        command,
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
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
    files: tuple[Path, ...]
    public_ports: tuple[int, ...]
    """On which each broker is reached from outside."""
    ports: dict[str, int]
    replicas: Mapping[str, int]

    @property
    def secrets(self) -> Path:
        """The folder of secrets."""
        return self.folder / "secrets"

    @property
    def backup(self) -> Path:
        """The folder of base backups and of the log."""
        return self.folder / "backup"

    @cached_property
    def environment(self) -> dict[str, str]:
        """What `deploy/compose.yaml` leaves open, as an installation has it in `deploy/.env`."""
        return {
            "COMPOSE_FILE": os.pathsep.join(map(str, self.files)),
            "LIANHU_PROJECT": self.project,
            "LIANHU_SECRETS": str(self.secrets),
            "LIANHU_REGISTRY": str(self.folder / "registry"),
            "LIANHU_BACKUP": str(self.backup),
            "LIANHU_MONITORING": str(self.folder / "monitoring"),
            "LIANHU_SECRETS_GROUP": str(make_secrets.open_to_containers(self.secrets)),
            "LIANHU_CLUSTER_ID": make_secrets.cluster_id(),
            "LIANHU_ENVIRONMENT": "demo",
            "LIANHU_CLOCK_MOVABLE": "true",
            "LIANHU_PUBLIC_HOST": "127.0.0.1",
            **dict(zip(PUBLIC_PORTS, map(str, self.public_ports), strict=False)),
            **{f"LIANHU_{name}_PORT": str(port) for name, port in self.ports.items()},
            **{f"LIANHU_{one.upper()}_REPLICAS": str(n) for one, n in self.replicas.items()},
        }

    def compose(self, *arguments: str) -> str:
        """A command of Compose about this deployment."""
        return self.script("compose", *arguments)

    def script(self, name: str, *arguments: str) -> str:
        """What a script of `deploy/` prints."""
        command = ("sh", str(DEPLOY / f"{name}.sh"), *arguments)
        return run(*command, seconds=UP_SECONDS, **self.environment)

    def make(self, verb: str, **told: str) -> str:
        """What an operator's verb prints."""
        said = [f"{name}={value}" for name, value in told.items()]
        command = ("make", "--no-print-directory", "-C", str(ROOT), verb, *said)
        return run(*command, seconds=UP_SECONDS, **self.environment)

    def release(self, version: str) -> None:
        """There is another version of every image, the same as before, and from now on it counts.

        It is gone with the deployment.
        """
        for service in SERVICES:
            run("docker", "tag", f"lianhu/{service}:latest", f"lianhu/{service}:{version}")
        self.environment["LIANHU_VERSION"] = version

    def asked(self, expression: str) -> list[object]:
        """What Prometheus answers."""
        url = f"http://127.0.0.1:{self.ports['PROMETHEUS']}/api/v1/query"
        answer = httpx.get(url, params={"query": expression})
        found: list[object] = answer.json()["data"]["result"]
        return found

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

    def of(self, service: str) -> str:
        """The address of a replica."""
        return self.address(self.containers(service)[0])

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
            ",".join(f"127.0.0.1:{port}" for port in self.public_ports),
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
            dsns=self.dsns(),
            url=self.url,
            memory=self.memory,
        )

    def dsns(self) -> dict[str, str]:
        """The databases as their services have them; after a start they may be elsewhere."""
        return {name: self.dsn(name, name) for name in SERVICES}

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
def deployment(
    replicas: Mapping[str, int], *, three: bool = False, say: Callable[[str], Any] = print
) -> Iterator[Deployment]:
    """Up from nothing, with secrets of its own; gone with its data when the block ends.

    `three`: with so many brokers, one replica of a service that `replicas` does not name.
    """
    folder = Path(mkdtemp(prefix="lianhu-compose-"))
    names = ("NOTIFY", "PROMETHEUS", "ALERTMANAGER")
    free = ports.pick_free(len(PUBLIC_PORTS) + len(names))
    public, others = free[: len(PUBLIC_PORTS)], free[len(PUBLIC_PORTS) :]
    running = Deployment(
        folder,
        f"lianhu-{token_hex(4)}",
        (*FILES, THREE) if three else FILES,
        tuple(public) if three else (public[0],),
        dict(zip(names, others, strict=True)),
        replicas,
    )
    try:
        make_secrets.make(running.secrets, folder / "registry" / "publishers.yaml")
        group = make_secrets.open_to_containers(running.secrets)
        make_secrets.make_backups(running.backup, group)
        impatient(DEPLOY / "monitoring", folder / "monitoring")
        try:
            running.compose("up", "--detach", "--wait")
        except (Failed, subprocess.TimeoutExpired):
            say(running.compose("ps", "--all"))
            say(running.compose("logs", "--tail", "30"))
            raise
        yield running
    finally:
        try:
            running.compose("down", "--volumes", "--timeout", "20")
            if (version := running.environment.get("LIANHU_VERSION")) is not None:
                run("docker", "image", "rm", *(f"lianhu/{name}:{version}" for name in SERVICES))
        finally:
            shutil.rmtree(folder)
