"""Every secret that is renewed in operation is renewed by an operator's verb, while all runs."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from time import monotonic, sleep

import asyncpg
import pytest
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient
from pydantic import SecretStr

from deploy.embedded.services import SERVICES
from lianhu.eventing.connection import Access
from tests.checker.collect import judge
from tests.compose.deployment import Deployment, run
from tests.demo.reports import GRID, HOTLINE
from tests.load.sending import Sending
from tests.stranger import NotTaken, Stranger, answers, binary, dumped, report

pytestmark = [pytest.mark.compose, pytest.mark.long, pytest.mark.timeout(900)]

ACCEPTED = "lianhu.intake.report-accepted.v1"
SCHOOL = "school-futian"
PAUSE = 0.5
PATIENCE = 240.0
under_load = pytest.mark.usefixtures("load")


@pytest.fixture
def load(deployed: Deployment) -> Iterator[None]:
    """The hotline reports all the time; each report is a case in the end."""
    with Sending(deployed.access(HOTLINE), PAUSE) as sending:
        yield
    assert sending.taken
    sending.are_cases(deployed.access())


def as_it_is(known: Access) -> Access:
    """With the password that is in its file now."""
    secret = SecretStr(known.secret())
    return replace(known, password=lambda: secret)


def started(deployed: Deployment) -> dict[str, str]:
    """When each container of a service was started."""
    found = {}
    for service in SERVICES:
        for one in deployed.containers(service):
            found[one] = run("docker", "inspect", "--format", "{{.State.StartedAt}}", one)
    return found


def reported(access: Access, id_: str, channel: str) -> dict[str, str]:
    """A report by a publisher, and the answer that it reads itself."""
    data = dumped(report(channel=channel))
    Stranger(access).send(f"intake.reports.{access.user}.v1", data, binary(id_))
    (answer,) = answers(access, id_)
    assert answer["ce_type"] == ACCEPTED
    return answer


def let_in(access: Access) -> bool:
    asking = AdminClient({**access.librdkafka(), "log_level": 0})
    try:
        return bool(asking.list_topics(timeout=5).topics)
    except KafkaException:
        return False


@under_load
def test_a_publisher_is_registered(deployed: Deployment) -> None:
    before = started(deployed)
    told = deployed.make(
        "publisher",
        **{"NAME": SCHOOL, "KIND": "reporting", "UNIT": "440304000000", "TITLE": "福田区学校转办"},
        ARGS="--channel school",
    )
    assert f"{deployed.secrets}/kafka/passwords/{SCHOOL}.password" in told
    answer = reported(deployed.access(SCHOOL), "first", "school")
    assert json.loads(answer["body"]).keys() == {"receipt", "report"}
    stranger = Stranger(deployed.access(SCHOOL))
    with pytest.raises(NotTaken):
        stranger.send(f"intake.reports.{HOTLINE}.v1", dumped(report()), binary("not-mine"))
    assert started(deployed) == before


@under_load
def test_a_publisher_s_password(deployed: Deployment) -> None:
    before, old = started(deployed), as_it_is(deployed.access(GRID))
    open_before = Stranger(old)
    open_before.send(f"intake.reports.{GRID}.v1", dumped(report(channel="grid")), binary("g-1"))

    deployed.make("password", NAME=GRID)

    assert deployed.access(GRID).secret() != old.secret()
    assert not let_in(old)
    # what was open goes on with what it showed
    open_before.send(f"intake.reports.{GRID}.v1", dumped(report(channel="grid")), binary("g-2"))
    reported(deployed.access(GRID), "g-3", "grid")
    heard = answers(deployed.access(GRID), "g-1", "g-2")
    assert {answer["ce_type"] for answer in heard} == {ACCEPTED}
    assert started(deployed) == before


@under_load
def test_a_service_s_password(deployed: Deployment) -> None:
    before, old = started(deployed), as_it_is(deployed.access("mediation"))

    deployed.make("password", NAME="mediation")

    assert let_in(deployed.access("mediation"))
    assert not let_in(old)
    after = started(deployed)
    again = {name for name in after if after[name] != before[name]}
    assert again == set(deployed.containers("mediation"))


@under_load
async def test_a_service_s_password_at_the_database(deployed: Deployment) -> None:
    before, old = started(deployed), deployed.dsns()["welfare"]
    (deployed.secrets / "postgres" / "welfare").unlink()

    deployed.make("secrets")
    deployed.compose("run", "--rm", "postgres-roles")
    deployed.compose("restart", "welfare")
    deployed.compose("up", "--detach", "--wait", "--no-recreate")

    with pytest.raises(asyncpg.InvalidPasswordError):
        await asyncpg.connect(old)
    await (await asyncpg.connect(deployed.dsns()["welfare"])).close()
    after = started(deployed)
    assert {name for name in after if after[name] != before[name]} == {
        *deployed.containers("welfare")
    }


@under_load
def test_the_master_key(deployed: Deployment) -> None:
    before, file = started(deployed), deployed.secrets / "master.key"
    old = json.loads(file.read_text())["id"]

    told = deployed.make("master-key")

    assert len(file.read_text().splitlines()) == 2
    assert sum(map(int, re.findall(r"(\d+) data keys", told))) > 0
    # as the operator is told to: a key that was on its way to another service comes a little later
    last = monotonic() + PATIENCE
    while set(re.findall(r"(\d+) data keys", deployed.make("rewrap"))) != {"0"}:
        assert monotonic() < last, "something is still wrapped with the old master key"
        sleep(1)
    for service in SERVICES:
        listed = deployed.compose("exec", "-T", service, *command(service, "keys", "list"))
        first, second = listed.splitlines()[1:]
        assert first.split()[:2] == [old, "0"]
        assert second.split()[2] == "current"
        assert int(second.split()[1]) > 0
    assert started(deployed) == before


def command(service: str, *words: str) -> list[str]:
    """What an operator says to a running container."""
    return ["python", "-m", f"lianhu.{service}", *words]


def test_nothing_was_lost_or_doubled_by_any_of_it(deployed: Deployment) -> None:
    assert judge(deployed.access(), deployed.dsns(), within=60).findings == ()
    for service in SERVICES:
        told = deployed.compose("exec", "-T", service, *command(service, "journal", "verify"))
        assert told.endswith("0 faults\n")
