"""What changes while a service runs: publishers who were registered, and a renewed master key."""

from __future__ import annotations

from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path

import pytest
from aiokafka import AIOKafkaProducer
from structlog.testing import capture_logs

from lianhu.contracts.intake import ReportAccepted
from lianhu.contracts.publishers import Publisher, Publishers
from lianhu.contracts.registering import register
from lianhu.contracts.vocabulary import Channel, PublisherKind
from lianhu.eventing.clock import Clock
from lianhu.eventing.envelope import Reader
from lianhu.eventing.house import House
from lianhu.eventing.journal import Row
from lianhu.eventing.metrics import Metrics
from lianhu.eventing.relay import Relay
from lianhu.eventing.renewal import Renewal
from lianhu.eventing.settings import EngineSettings
from lianhu.eventing.testing import public_record
from lianhu.privacy import BlindIndex, DataKey, MasterKey, MasterKeys
from tests.engine_toy import Toy

SCHOOL = Publisher(
    name="school-futian",
    kind=PublisherKind.REPORTING,
    unit="440304000000",
    channels=(Channel.SCHOOL,),
    title="福田区学校转办",
)
OFFICERS = SCHOOL.model_copy(
    update={"name": "officers-nanshan", "kind": PublisherKind.OFFICERS, "channels": ()}
)
TOPIC = "intake.reports.school-futian.v1"


class Running:
    """The parts of a running service that know publishers and keys."""

    def __init__(self, folder: Path) -> None:
        self.file, self.key_file = folder / "publishers.yaml", folder / "master.key"
        self.file.write_bytes((files("lianhu.contracts") / "publishers.yaml").read_bytes())
        MasterKey.generate().write(self.key_file)
        self.policies = 0
        self.hole = False
        self.house = House(
            name="intake",
            workflow=Toy(),
            states={},
            policy=0,
            settings=EngineSettings(publishers_file=self.file),
            publishers=Publishers.read(self.file),
            keys=MasterKeys.read(self.key_file),
            service_key=DataKey.new("service/intake"),
            index=BlindIndex(DataKey.new("index/persons")),
            epoch=1,
            clock=Clock(movable=True),
            metrics=Metrics(),
        )
        self.renewal = Renewal(self.house, self.policy, self.take)
        look, known = self.renewal.publishers, self.house.publishers
        self.reader = Reader("intake", known, self.house.clock, look)
        self.relay = Relay("intake", known, AIOKafkaProducer, self.house.metrics, 10, look)

    def policy(self) -> int:
        """Another one each time; or it has a hole."""
        if self.hole:
            raise ValueError("the policy names no treasury of 440305000000")
        self.policies += 1
        return self.policies

    def take(self, publishers: Publishers) -> None:
        self.reader.publishers = self.relay.publishers = publishers

    def faults(self) -> set[str]:
        """What is wrong with a report of the school."""
        record = public_record(TOPIC, "lianhu.intake.report-submitted.v1", b"{}")
        return {fault.slug for fault in self.reader.read(record).faults}

    def headers(self, publisher: str) -> set[str]:
        """What the headers of an answer to a publisher tell."""
        now = datetime(2026, 3, 2, tzinfo=UTC)
        row = Row(
            *("case/440304-2026-000001", 1, 1, "id", ReportAccepted.type_, now, "m-1", None, None),
            *(publisher, "{}", b"", 1),
        )
        (_, (topic, _, headers)) = self.relay.records(row, None)
        assert topic == f"intake.answers.{publisher}.v1"
        return {name for name, _ in headers}


@pytest.fixture
def running(tmp_path: Path) -> Running:
    return Running(tmp_path)


def test_a_message_of_one_who_was_registered_a_moment_ago_is_known(running: Running) -> None:
    assert "unknown-publisher" in running.faults()
    register(running.file, SCHOOL)
    assert "unknown-publisher" not in running.faults()
    assert running.house.publishers.get("school-futian") == SCHOOL
    assert running.house.policy == 1, "what the policy makes of publishers is made anew"


def test_an_answer_reveals_no_case_to_one_of_whom_nothing_is_known(running: Running) -> None:
    assert "ce_subject" not in running.headers("school-futian")
    assert "ce_subject" not in running.headers("officers-nanshan")
    register(running.file, SCHOOL)
    register(running.file, OFFICERS)
    assert "ce_subject" not in running.headers("school-futian")
    assert "ce_subject" in running.headers("officers-nanshan")


def test_a_registry_that_did_not_change_is_not_read_again(running: Running) -> None:
    running.renewal.publishers()
    running.faults()
    assert running.policies == 0


@pytest.mark.parametrize("hole", ["registry", "policy", "gone"])
def test_a_registry_with_a_hole_is_not_taken_and_the_service_goes_on(
    running: Running, hole: str
) -> None:
    before = running.house.publishers
    register(running.file, SCHOOL)
    match hole:
        case "registry":
            running.file.write_text("publishers: [{name: x1}]")
        case "policy":
            running.hole = True
        case _:
            running.file.unlink()
    with capture_logs() as logs:
        assert running.renewal.publishers() == before
        assert running.renewal.publishers() == before
    assert (running.house.publishers, running.house.policy) == (before, 0)
    said = [line for line in logs if line["log_level"] == "error"]
    assert len(said) == (0 if hole == "gone" else 1), "once, not at each look"


def test_a_renewed_master_key_is_current_without_a_restart(running: Running) -> None:
    MasterKey.generate().append(running.key_file)
    fresh = MasterKeys.read(running.key_file).current
    running.renewal._keys()
    assert running.house.keys.current == fresh
    running.key_file.write_text("half a li")
    with capture_logs() as logs:
        running.renewal._keys()
    assert [line["why"] for line in logs] == ["malformed"]
    assert running.house.keys.current == fresh
