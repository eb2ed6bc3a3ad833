"""The demo's stories travel the deployment from outside, each publisher as itself."""

from __future__ import annotations

import json
import subprocess

import pytest

from tests import kcat as library
from tests.compose.deployment import Deployment
from tests.demo.__main__ import play
from tests.demo.reports import HOTLINE, REPORTS
from tests.demo.screen import Screen

pytestmark = [pytest.mark.compose, pytest.mark.timeout(900)]

SECONDS = 60


def test_the_verdict_is_that_of_the_demo(deployed: Deployment) -> None:
    verdict = play(Screen(), deployed.ground(), None)
    assert verdict.findings == ()
    # some stories send a report of their own
    assert verdict.counts["reports"] >= len(REPORTS)
    assert verdict.counts["delivered"] > 0


def kcat(deployed: Deployment, *arguments: str, given: str | None = None) -> str:
    """What kcat prints, as the hotline; the password by a file, not on the command line."""
    access = deployed.access(HOTLINE)
    settings = deployed.folder / "kcat.conf"
    settings.touch(mode=0o600)
    lines = {**access.librdkafka(), "partitioner": "murmur2_random"}
    settings.write_text("".join(f"{name}={value}\n" for name, value in lines.items()))
    done = subprocess.run(
        ["kcat", "-F", str(settings), *arguments],
        input=given,
        env=library.environment(deployed.folder),
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.skipif(not library.HERE, reason="kcat is not installed")
def test_a_publisher_needs_no_more_than_kcat(deployed: Deployment) -> None:
    told = dict(REPORTS[0][2])
    kcat(
        deployed,
        *("-P", "-t", f"intake.reports.{HOTLINE}.v1"),
        *("-H", "ce_specversion=1.0", "-H", "ce_id=by-kcat", "-H", f"ce_source={HOTLINE}"),
        *("-H", "ce_type=lianhu.intake.report-submitted.v1"),
        *("-H", "content-type=application/json"),
        given=json.dumps(told, ensure_ascii=False),
    )
    answers = f"intake.answers.{HOTLINE}.v1"
    for _ in range(SECONDS):
        # each time all there is, and half a second more for what is under way
        found = kcat(deployed, "-C", "-t", answers, "-o", "beginning", "-e", "-f", "%h %s\n")
        if mine := [line for line in found.splitlines() if "ce_causationid=by-kcat" in line]:
            break
    assert [line for line in mine if "ce_type=lianhu.intake.report-accepted.v1" in line]
