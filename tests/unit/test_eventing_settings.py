"""What a service is told by its environment: checked at its start, and never echoed."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from lianhu.eventing.settings import EngineSettings, Environment
from lianhu.intake.settings import Settings as IntakeSettings
from lianhu.mediation.settings import Settings as MediationSettings
from lianhu.notify.settings import Settings as NotifySettings
from lianhu.welfare.settings import Settings as WelfareSettings

OF_SERVICES: dict[str, type[EngineSettings]] = {
    "LIANHU_INTAKE_": IntakeSettings,
    "LIANHU_MEDIATION_": MediationSettings,
    "LIANHU_NOTIFY_": NotifySettings,
    "LIANHU_WELFARE_": WelfareSettings,
}


@pytest.mark.parametrize("prefix", OF_SERVICES)
def test_production_refuses_a_clock_that_can_be_moved(
    monkeypatch: pytest.MonkeyPatch, prefix: str
) -> None:
    settings = OF_SERVICES[prefix]
    monkeypatch.delenv(f"{prefix}ENVIRONMENT", raising=False)
    monkeypatch.setenv(f"{prefix}CLOCK_MOVABLE", "true")
    with pytest.raises(ValidationError, match="time is not moved in production"):
        settings()  # nobody said where it runs: that is production
    monkeypatch.setenv(f"{prefix}ENVIRONMENT", "production")
    with pytest.raises(ValidationError, match="CLOCK_MOVABLE=false"):
        settings()
    for place in (Environment.DEMO, Environment.TEST):
        monkeypatch.setenv(f"{prefix}ENVIRONMENT", place)
        assert settings().clock_movable
    monkeypatch.setenv(f"{prefix}ENVIRONMENT", "production")
    monkeypatch.setenv(f"{prefix}CLOCK_MOVABLE", "false")
    assert not settings().clock_movable


@pytest.mark.parametrize("prefix", OF_SERVICES)
def test_a_service_reads_its_own_prefix_only(monkeypatch: pytest.MonkeyPatch, prefix: str) -> None:
    for other in OF_SERVICES:
        monkeypatch.setenv(f"{other}INSTANCE", other)
    monkeypatch.setenv("INSTANCE", "nobody")
    assert OF_SERVICES[prefix]().instance == prefix


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("environment", "staging"),
        ("database_url", "mysql://lianhu:geheim@db/intake"),
        ("http_port", 65536),
        ("batch_records", 0),
        ("batch_bytes", 0),
        ("batch_seconds", 0),
        ("pool_size", 2),
        ("limit_in_a_row", 0),
        ("limit_share", 0),
        ("limit_share", 1.5),
        ("effects_at_once", 0),
        ("poll_seconds", 0),
    ],
)
def test_a_value_that_makes_no_sense_stops_the_start_by_name(name: str, value: object) -> None:
    with pytest.raises(ValidationError) as wrong:
        EngineSettings(**{name: value})  # type: ignore[arg-type]
    (found,) = wrong.value.errors(include_input=False, include_url=False)
    assert found["loc"] == (name,)
    assert "geheim" not in str(wrong.value)


def test_what_was_read_is_not_changed_any_more() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        EngineSettings().clock_movable = True  # type: ignore[misc]


def test_the_owner_s_address_is_not_shown() -> None:
    settings = EngineSettings(migration_url="postgresql://owner:geheim@db/intake")
    assert "geheim" not in repr(settings)


SASL = {"kafka_protocol": "SASL_SSL", "kafka_user": "intake"}


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"kafka": "kafka:9092"}, "not spoken to over an open line"),
        ({"kafka": "127.0.0.1:9092,kafka-2:9092"}, "not spoken to over an open line"),
        (
            {**SASL, "kafka_protocol": "SASL_PLAINTEXT", "kafka_password": "x", "kafka": "k:1"},
            "not spoken to over an open line",
        ),
        (SASL, "needs KAFKA_USER and KAFKA_PASSWORD_FILE"),
        ({**SASL, "kafka_user": None, "kafka_password": "x"}, "needs KAFKA_USER"),
        ({"kafka_user": "intake"}, "KAFKA_PROTOCOL is not"),
        ({"kafka_password": "geheim"}, "KAFKA_PROTOCOL is not"),
    ],
)
def test_a_way_to_the_broker_that_is_open_or_half_named_stops_the_start(
    given: dict[str, str], why: str
) -> None:
    with pytest.raises(ValidationError, match=why) as wrong:
        EngineSettings(**given)  # type: ignore[arg-type]
    assert "geheim" not in str(wrong.value)


@pytest.mark.parametrize("kafka", ["localhost:9092", "127.0.0.2:1,127.0.0.1:2", "[::1]:9092"])
def test_the_broker_on_this_machine_may_be_spoken_to_openly(kafka: str) -> None:
    assert EngineSettings(kafka=kafka).access().arguments() == {"bootstrap_servers": kafka}


def test_a_renewed_password_is_read_anew_and_never_shown(tmp_path: Path) -> None:
    file = tmp_path / "intake.password"
    settings = EngineSettings(**SASL, kafka="kafka:9092", kafka_password_file=file)  # type: ignore[arg-type]
    access = settings.access()
    with pytest.raises(ValueError, match=r"cannot be read: intake\.password"):
        access.arguments()
    for word in ("geheim-1", "geheim-2"):
        file.write_text(f"{word}\n")
        assert access.arguments()["sasl_plain_password"] == word
        assert access.librdkafka()["sasl.password"] == word
    assert "geheim" not in repr(access) + repr(settings)
