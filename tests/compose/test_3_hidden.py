"""Secrets and what people told are nowhere they do not belong: each place is searched."""

from __future__ import annotations

import asyncio
import base64
import json
import subprocess
import tarfile
import urllib.request
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import IO

import pytest
from ahocorasick_rs import BytesAhoCorasick

from deploy.embedded.services import SERVICES
from deploy.environment import folder_of
from deploy.kafka.certificates import CA_CERTIFICATE
from tests.compose.deployment import Deployment, run
from tests.leaks.chain import Chain, search
from tests.leaks.pages import pages_of

pytestmark = [pytest.mark.compose, pytest.mark.timeout(600)]

BLOCK = 1 << 22
LONGEST = 512
PRIVATE = ("/secrets/", ".password", "master.key", "ca.key", "broker.pem", "/.env")


class Needles:
    """The secrets of some folders, in the ways they may be written."""

    def __init__(self, folders: Iterable[Path]) -> None:
        self.names: list[str] = []
        patterns: list[bytes] = []
        for folder in folders:
            for path in sorted(folder.rglob("*")):
                if path.is_file() and path.name != CA_CERTIFICATE:
                    for word in words(path.read_bytes()):
                        for written in {word, base64.b64encode(word), word.hex().encode()}:
                            self.names.append(path.name)
                            patterns.append(written)
        self._automaton = BytesAhoCorasick(patterns)

    def found(self, data: bytes) -> set[str]:
        """The names of the secrets in it."""
        hits = self._automaton.find_matches_as_indexes(data, overlapping=True)
        return {self.names[number] for number, _, _ in hits}

    def in_stream(self, read: Iterator[bytes]) -> set[str]:
        """The same of what comes in blocks; one that lies across two is found too."""
        found: set[str] = set()
        kept = b""
        for block in read:
            found |= self.found(kept + block)
            kept = block[-LONGEST:]
        return found


def words(content: bytes) -> Iterator[bytes]:
    """What of a secret's file is secret: each line of some length, but for a certificate's."""
    secret = True
    for line in content.splitlines():
        if b"CERTIFICATE" in line:
            secret = b"END" in line
        elif secret and len(line) >= 16 and not line.startswith(b"-----"):
            yield line.strip()


def packed(*command: str) -> Iterator[tuple[tarfile.TarInfo, IO[bytes]]]:
    """The files of what the engine packs, one after the other."""
    with subprocess.Popen(["docker", *command], stdout=subprocess.PIPE) as packing:
        assert packing.stdout is not None
        with tarfile.open(fileobj=packing.stdout, mode="r|") as archive:
            for member in archive:
                content = archive.extractfile(member) if member.isfile() else None
                if content is not None:
                    yield member, content
        # an archive ends with zeros, and how many of them were read depends on its size
        assert not packing.stdout.read().strip(b"\0")
    assert packing.returncode == 0


@pytest.fixture(scope="module")
def needles(deployed: Deployment) -> Needles:
    """Of this deployment, and of the one of `make secrets` where there is one."""
    found = Needles([deployed.secrets, folder_of("LIANHU_SECRETS")])
    assert {"master.key", "broker.pem", "intake", "admin.password"} <= set(found.names)
    return found


def test_the_search_finds_a_secret_that_is_there(deployed: Deployment, needles: Needles) -> None:
    password = (deployed.secrets / "postgres" / "intake").read_bytes()
    assert needles.found(b"x" + password + b"x") == {"intake"}
    halves = [b"x" * 9 + password[:20], password[20:] + b"x"]
    assert needles.in_stream(iter(halves)) == {"intake"}
    key = (deployed.secrets / "master.key").read_bytes().split()[-1]
    assert needles.found(base64.b64encode(key)) <= {"master.key"}


def test_no_secret_is_in_what_the_engine_tells(deployed: Deployment, needles: Needles) -> None:
    looked = 0
    for what, told in deployed.inspected():
        assert needles.found(told.encode()) == set(), what
        looked += 1
    assert looked > len(SERVICES)


def test_no_secret_is_in_a_log(deployed: Deployment, needles: Needles, tmp_path: Path) -> None:
    for path in deployed.logs(tmp_path / "logs").iterdir():
        assert needles.found(path.read_bytes()) == set(), path.name


def test_no_secret_is_in_a_metric(deployed: Deployment, needles: Needles) -> None:
    pages = {name: pages_of(deployed.url(name)) for name in SERVICES}
    for name, found in pages.items():
        for path, body in found:
            assert needles.found(body) == set(), f"{name} {path}"
    prometheus = f"http://127.0.0.1:{deployed.ports['PROMETHEUS']}/api/v1/status/config"
    with urllib.request.urlopen(prometheus, timeout=10) as answer:
        assert needles.found(answer.read()) == set()
    exporter = f"http://{deployed.of('postgres-exporter')}:9187/metrics"
    with urllib.request.urlopen(exporter, timeout=10) as answer:
        assert needles.found(answer.read()) == set()


def test_no_process_of_a_container_has_a_secret_in_its_environment(
    deployed: Deployment, needles: Needles
) -> None:
    for container in deployed.containers():
        state = run("docker", "inspect", "--format", "{{.State.Pid}}", container).strip()
        if state != "0":
            environ = Path(f"/proc/{state}/environ")
            try:
                told = environ.read_bytes() + environ.with_name("cmdline").read_bytes()
            except PermissionError:
                pytest.skip("only root may look into the containers' processes")
            assert needles.found(told) == set(), container


def test_no_secret_is_in_a_layer_of_an_image(deployed: Deployment, needles: Needles) -> None:
    images = sorted(
        {
            run("docker", "inspect", "--format", "{{.Image}}", one).strip()
            for one in deployed.containers()
        }
    )
    layers = 0
    for member, content in packed("save", *images):
        blocks = iter(partial(content.read, BLOCK), b"")
        assert needles.in_stream(blocks) == set(), member.name
        layers += 1
    assert layers > len(images)


def test_no_file_of_secrets_is_in_a_service_s_image(deployed: Deployment) -> None:
    for service in SERVICES:
        # mount points of secrets are there as empty files
        found = [
            member.name
            for member, _ in packed("export", f"{deployed.project}-{service}-1")
            if member.size and any(part in f"/{member.name}" for part in PRIVATE)
        ]
        assert found == []


def test_what_people_told_is_on_their_own_topics_only(deployed: Deployment, tmp_path: Path) -> None:
    logs = deployed.logs(tmp_path / "logs")
    for number, (what, told) in enumerate(deployed.inspected()):
        (logs / f"inspect-{number}-{what.split()[0]}.json").write_text(json.dumps(told))
    chain = Chain(
        kafka=deployed.access(),
        databases=deployed.databases(),
        logs=logs,
        pages={name: deployed.url(name) for name in SERVICES},
    )
    found = asyncio.run(search(chain))
    assert found.sent > 0
    assert found.leaks == []
