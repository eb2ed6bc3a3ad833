"""The chain at the broker as it is deployed: each its own user, all secrets renewed while it runs.

No test stops the chain but for the one service that it says.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from importlib.resources import files
from pathlib import Path
from time import monotonic

import pytest
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient
from pydantic import SecretStr

from deploy.embedded import jars, session
from deploy.embedded.secured import SecuredKafka
from deploy.embedded.services import ROOT, readiness
from deploy.embedded.session import Session
from lianhu.eventing.users import make_password, password_file
from tests import kcat
from tests.checker.collect import judge
from tests.demo.book import Case
from tests.demo.reports import GRID, HOTLINE
from tests.demo.wire import Watcher
from tests.stranger import NotTaken, Stranger, answers, binary, dumped, report

pytestmark = [pytest.mark.long, pytest.mark.timeout(600)]

SERVICES = ("intake", "mediation", "welfare", "notify")
SECONDS = 120.0
ACCEPTED = "lianhu.intake.report-accepted.v1"


@dataclass
class Chain:
    """The running chain, and what the administrator sees of it."""

    running: Session
    registry: Path
    watcher: Watcher

    @property
    def kafka(self) -> SecuredKafka:
        kafka = self.running.stack.kafka
        assert isinstance(kafka, SecuredKafka)
        return kafka

    @property
    def pids(self) -> dict[str, int]:
        records = {name: self.running.daemon(name).record() for name in SERVICES}
        return {name: record.pid for name, record in records.items() if record is not None}

    def command(self, *arguments: str) -> None:
        """What the deployment's one-shot jobs run."""
        job = self.kafka.applying(self.registry)
        subprocess.run(
            [sys.executable, "-m", "lianhu.eventing", *arguments],
            env={**os.environ, **job.environment},
            check=True,
            timeout=SECONDS,
        )

    def operator(self, service: str, *arguments: str) -> str:
        """An operator's command of a service."""
        command, environment = self.running.stack.operator(service, arguments)
        return subprocess.run(
            command, env=environment, check=True, timeout=SECONDS, capture_output=True, text=True
        ).stdout

    def of_each(self, *arguments: str) -> list[str]:
        """An operator's command of every service, all at once."""
        with ThreadPoolExecutor(len(SERVICES)) as pool:
            return [*pool.map(lambda service: self.operator(service, *arguments), SERVICES)]

    def reported(self, publisher: str, id_: str) -> Case:
        """Send a report from outside, as the publisher itself; its case, once it was offered."""
        sender = Stranger(self.kafka.from_outside(publisher))
        data = report(channel="grid" if publisher == GRID else "hotline-12338")
        sender.send(f"intake.reports.{publisher}.v1", dumped(data), binary(id_))

        def offered() -> Case | None:
            case = self.watcher.book.case_of(publisher, id_)
            return case if case is not None and case.last("case-offered") else None

        return self.watcher.until(f"{id_} to be a case", lambda _: offered(), SECONDS)


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chain]:
    registry = tmp_path_factory.mktemp("registry") / "publishers.yaml"
    registry.write_bytes((files("lianhu.contracts") / "publishers.yaml").read_bytes())
    with session(broker=SecuredKafka, publishers=registry) as running:
        watcher = Watcher(running.access(), lambda _: None)
        try:
            yield Chain(running, registry, watcher)
        finally:
            watcher.close()


def until_settled(chain: Chain) -> None:
    """Wrap anew until no service has anything left to wrap."""
    last = monotonic() + 2 * SECONDS
    chain.watcher.to_the_end()
    while set(chain.of_each("keys", "rewrap")) != {"0 data keys are wrapped anew\n"}:
        assert monotonic() < last, "something is still wrapped with the old master key"


def test_a_report_from_outside_travels_through_all_four_services(chain: Chain) -> None:
    case = chain.reported(HOTLINE, "secured-1")
    (answer,) = answers(chain.kafka.from_outside(HOTLINE), "secured-1")
    assert answer["ce_type"] == ACCEPTED
    assert case.last("case-offered")


def test_a_publisher_is_registered_while_everything_runs(chain: Chain) -> None:
    before = chain.pids
    told = {"kind": "reporting", "unit": "440304000000", "title": "福田区学校转办"}
    options = [word for name, value in told.items() for word in (f"--{name}", value)]
    chain.command(
        *("publishers", "add", "school-futian", *options, "--channel", "school"),
        *("--file", str(chain.registry)),
    )
    make_password(chain.kafka.passwords, "school-futian")
    chain.command("broker", "apply")
    access = chain.kafka.from_outside("school-futian")
    data = report(channel="school")
    Stranger(access).send("intake.reports.school-futian.v1", dumped(data), binary("first"))
    (answer,) = answers(access, "first")
    assert answer["ce_type"] == ACCEPTED
    assert "ce_subject" not in answer, "a reporting system is told of no case"
    assert json.loads(answer["body"]).keys() == {"receipt", "report"}
    with pytest.raises(NotTaken):
        Stranger(access).send(f"intake.reports.{HOTLINE}.v1", dumped(data), binary("not-mine"))
    assert chain.pids == before


def test_a_publisher_that_is_struck_off_is_let_in_no_more_and_the_others_go_on(
    chain: Chain,
) -> None:
    before, whole = chain.pids, chain.registry.read_text(encoding="utf-8")
    access = chain.kafka.from_outside("school-futian")
    chain.registry.write_text(whole[: whole.index("  - name: school-futian")], encoding="utf-8")
    chain.command("broker", "apply")
    with pytest.raises(KafkaException):
        AdminClient({**access.librdkafka(), "log_level": 0}).list_topics(timeout=5)
    # intake had its topic among those that it reads, and may read it no more
    for number in range(3):
        chain.reported(HOTLINE, f"after-the-strike-{number}")
        chain.reported(GRID, f"after-the-strike-{number}")
    assert chain.pids == before
    assert readiness(chain.running.replicas[0].port).status == 200


def test_a_publisher_s_password_is_renewed_while_everything_runs(chain: Chain) -> None:
    before = chain.pids
    known = chain.kafka.from_outside(GRID)
    secret = SecretStr(known.secret())
    old = replace(known, password=lambda: secret)
    open_before = Stranger(old)
    open_before.send(f"intake.reports.{GRID}.v1", dumped(report(channel="grid")), binary("g-1"))
    chain.command("passwords", "renew", GRID, "--folder", str(chain.kafka.passwords))
    chain.command("broker", "apply")
    assert chain.kafka.from_outside(GRID).secret() != old.secret()
    asking = AdminClient({**old.librdkafka(), "log_level": 0})
    with pytest.raises(KafkaException):
        asking.list_topics(timeout=5)
    sender = Stranger(chain.kafka.from_outside(GRID))
    sender.send(f"intake.reports.{GRID}.v1", dumped(report(channel="grid")), binary("g-2"))
    heard = answers(chain.kafka.from_outside(GRID), "g-1", "g-2")
    assert {answer["ce_type"] for answer in heard} == {ACCEPTED}
    assert chain.pids == before


def test_a_service_s_password_is_renewed_and_it_loses_nothing(chain: Chain) -> None:
    before = chain.pids
    chain.command("passwords", "renew", "mediation", "--folder", str(chain.kafka.passwords))
    chain.command("broker", "apply")
    chain.reported(HOTLINE, "between")  # its open sessions go on with what they showed
    chain.running.stop("mediation")
    sender = Stranger(chain.kafka.from_outside(HOTLINE))
    sender.send(f"intake.reports.{HOTLINE}.v1", dumped(report()), binary("meanwhile"))
    chain.running.start("mediation")
    chain.watcher.until(
        "what came meanwhile to be offered",
        lambda book: (case := book.case_of(HOTLINE, "meanwhile")) and case.last("case-offered"),
        SECONDS,
    )
    after = chain.pids
    assert {name for name in SERVICES if after[name] != before[name]} == {"mediation"}


def test_the_master_key_is_renewed_while_everything_runs(chain: Chain) -> None:
    earlier = chain.reported(HOTLINE, "before-the-key")
    before, file = chain.pids, chain.running.master_key
    (old,) = file.read_text().splitlines()
    chain.command("master-key", "renew", str(file))
    chain.reported(HOTLINE, "after-the-key")
    # as the operator is told to: a key that was on its way to another service comes a little later
    until_settled(chain)
    chain.reported(HOTLINE, "after-the-wrapping")
    until_settled(chain)
    for told in chain.of_each("keys", "list"):
        first, second = told.splitlines()[1:]
        assert first.split()[:2] == [json.loads(old)["id"], "0"]
        assert second.split()[2] == "current"
        assert int(second.split()[1]) > 0
    assert chain.pids == before

    whole = file.read_text()
    file.write_text(whole.removeprefix(f"{old}\n"))
    for told in chain.of_each("journal", "verify"):
        assert told.endswith("0 faults\n")
    chain.running.stop("intake")
    chain.running.start("intake")
    chain.reported(HOTLINE, "without-the-old-key")
    assert earlier.last("case-offered")


def example(language: str) -> str:
    """The program that stands in the documentation."""
    text = (ROOT / "docs" / "publishing.md").read_text(encoding="utf-8")
    (found,) = re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    return str(found)


def run_example(
    chain: Chain, folder: Path, command: list[str], id_: str, **more: str
) -> subprocess.CompletedProcess[str]:
    """Run it as somebody outside would who was given what the documentation says."""
    given = {
        "KAFKA": chain.kafka.outside,
        "CA": str(chain.kafka.ca_file),
        "NAME": HOTLINE,
        "PASSWORD_FILE": str(password_file(chain.kafka.passwords, HOTLINE)),
        "ID": id_,
    }
    return subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, **given, **more},
        capture_output=True,
        text=True,
        check=False,
        timeout=2 * SECONDS,
    )


def test_the_python_program_of_the_documentation_does_what_it_says(
    chain: Chain, tmp_path: Path
) -> None:
    (tmp_path / "report.py").write_text(example("python"), encoding="utf-8")
    command = [sys.executable, "report.py"]
    ended = run_example(chain, tmp_path, command, "by-python")
    assert (ended.returncode, ended.stdout[:10]) == (0, "accepted: "), ended.stderr
    ended = run_example(chain, tmp_path, command, "by-python-2", CHANNEL="pigeon")
    assert (ended.returncode, ended.stdout) == (0, "refused: /channel enum\n"), ended.stderr


@pytest.mark.skipif(not kcat.HERE, reason="kcat is not on this machine")
def test_the_kcat_lines_of_the_documentation_do_what_they_say(chain: Chain, tmp_path: Path) -> None:
    library = {"LD_LIBRARY_PATH": kcat.environment(tmp_path)["LD_LIBRARY_PATH"]}
    ended = run_example(chain, tmp_path, ["sh", "-ec", example("sh")], "by-kcat", **library)
    assert ended.returncode == 0, ended.stderr
    assert ACCEPTED in ended.stdout, "the answers that were there before"
    (answer,) = answers(chain.kafka.from_outside(HOTLINE), "by-kcat")
    assert answer["ce_type"] == ACCEPTED
    assert (tmp_path / "lianhu.conf").stat().st_mode & 0o77 == 0


@pytest.mark.skipif(shutil.which("javac") is None, reason="no Java compiler is on this machine")
def test_the_java_program_of_the_documentation_does_what_it_says(
    chain: Chain, tmp_path: Path
) -> None:
    (tmp_path / "Report.java").write_text(example("java"), encoding="utf-8")
    command = ["java", "-cp", f"{jars.installed()}/*", "Report.java"]
    ended = run_example(chain, tmp_path, command, "by-java")
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.startswith(f"{ACCEPTED} {{"), ended.stdout


def test_nothing_was_lost_or_doubled_by_any_of_it(chain: Chain) -> None:
    dsns = {name: chain.running.dsns(name).runtime for name in SERVICES}
    verdict = judge(chain.running.access(), dsns, within=30)
    assert verdict.ok, str(verdict)
