"""How a ground is chosen, what it says where it cannot be had, and what may stand on it."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from deploy import environment
from deploy.embedded import StackFault
from deploy.embedded.services import ROOT
from tests import conftest
from tests.infrastructure import addresses, chosen
from tests.infrastructure.containers import KAFKA, image

MARKED = [
    path
    for path in sorted((ROOT / "tests").rglob("test_*.py"))
    if "mark.infra" in path.read_text(encoding="utf-8") and path != Path(__file__)
]
SERVERS = {"Kafka", "Postgres", "SecuredKafka", "session"}


@pytest.mark.parametrize(
    ("told", "sentence"),
    [
        (
            {chosen.INFRA: "fog"},
            "LIANHU_TEST_INFRA is 'fog'; it must be one of embedded, containers, addresses.",
        ),
        (
            {chosen.INFRA: "containers", "DOCKER_HOST": "unix:///nowhere/engine.sock"},
            "LIANHU_TEST_INFRA=containers needs a container engine, and none answers here",
        ),
        (
            {chosen.INFRA: "addresses", addresses.KAFKA: "broker:9092", addresses.POSTGRES: ""},
            "LIANHU_TEST_INFRA=addresses needs LIANHU_TEST_POSTGRES.",
        ),
    ],
    ids=["unknown-word", "no-engine", "no-address"],
)
def test_where_the_ground_cannot_be_had_no_test_begins(told: dict[str, str], sentence: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-k", "nothing", str(Path(__file__))],
        cwd=ROOT,
        env={**os.environ, **told},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == pytest.ExitCode.USAGE_ERROR
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr


def test_nothing_said_is_the_embedded_stack(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(chosen.INFRA, "")
    assert chosen.word() == "embedded"
    monkeypatch.delenv(chosen.INFRA)
    assert chosen.word() == "embedded"


def test_images_are_those_of_the_deployment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(KAFKA, raising=False)
    monkeypatch.setattr(environment, "read", dict)
    assert image(KAFKA).startswith("apache/kafka:")
    monkeypatch.setattr(environment, "read", lambda: {KAFKA: "stand-in:1"})
    assert image(KAFKA) == "stand-in:1"
    monkeypatch.setenv(KAFKA, "mine:2")
    assert image(KAFKA) == "mine:2"
    with pytest.raises(StackFault, match="names no image"):
        image("LIANHU_IMAGE_NOTHING")


def test_each_worker_has_a_broker_of_its_own() -> None:
    assert [addresses.broker_of("a:1 b:2", worker, 2) for worker in (0, 1)] == ["a:1", "b:2"]
    with pytest.raises(StackFault, match="2 workers run side by side and need a broker each"):
        addresses.broker_of("a:1,b:2", 0, 2)


def test_a_server_is_known_by_its_url() -> None:
    found = addresses.server_at("postgresql://root:a%2Fb@db:5433/")
    assert (found.host, found.port, found.admin) == ("db", 5433, "root")
    assert found.password("root") == "a/b"
    assert found.dsn("root", "x") == "postgresql://root:a%2Fb@db:5433/x?sslmode=disable"
    assert found.password("other") == found.password("other") != found.password("another")
    assert addresses.server_at("postgresql://root@db").port == 5432


@pytest.mark.parametrize(
    "url",
    ["mysql://root:hush@db", "postgresql://db:hush", "postgresql://root:hush@db:port", "hush"],
)
def test_a_url_that_is_none_is_refused_without_its_password(url: str) -> None:
    with pytest.raises(StackFault, match="must be postgresql://") as caught:
        addresses.server_at(url)
    assert "hush" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_what_stands_on_the_ground_must_be_marked() -> None:
    def item(mark: object) -> object:
        names = ["make_database", "infrastructure"]
        return SimpleNamespace(fixturenames=names, get_closest_marker=lambda _: mark)

    with pytest.raises(pytest.fail.Exception, match="mark it `infra`"):
        conftest.pytest_runtest_setup(item(None))  # type: ignore[arg-type]
    conftest.pytest_runtest_setup(item(pytest.mark.infra))  # type: ignore[arg-type]


@pytest.mark.parametrize("path", MARKED, ids=lambda path: path.name)
def test_what_is_marked_starts_no_server_of_its_own(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    imported = {
        alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("deploy.embedded")
        for alias in node.names
    }
    assert not imported & SERVERS
    assert path.parent.name not in {"e2e", "monitoring", "compose"}
