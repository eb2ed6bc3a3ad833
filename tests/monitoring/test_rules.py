"""Prometheus' and Alertmanager's own checkers have nothing to say against our files."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.monitoring.asked import ALERTMANAGER, PROMETHEUS, RULE_TESTS
from tests.monitoring.conftest import needed


def said(*command: str) -> tuple[int, str]:
    """Its exit status and all that it printed."""
    done = subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    return done.returncode, done.stdout


def test_prometheus_takes_the_configuration_and_every_rule() -> None:
    status, text = said(needed("promtool", "prometheus"), "check", "config", str(PROMETHEUS))
    assert status == 0, text
    assert "FAILED" not in text


@pytest.mark.parametrize("path", RULE_TESTS, ids=lambda path: path.stem)
def test_the_rules_do_what_their_tests_say(path: Path) -> None:
    status, text = said(needed("promtool", "prometheus"), "test", "rules", str(path))
    assert status == 0, text


@pytest.mark.parametrize(
    ("labels", "receiver"),
    [
        (("audience=district-duty", "severity=critical"), "district-duty"),
        (("audience=district-duty", "severity=warning"), "district-duty"),
        (("audience=operations", "severity=critical"), "operations-now"),
        (("audience=operations", "severity=warning"), "operations"),
    ],
)
def test_an_alert_reaches_those_for_whom_it_is(labels: tuple[str, ...], receiver: str) -> None:
    amtool = needed("amtool", "prometheus-alertmanager")
    status, text = said(amtool, "check-config", str(ALERTMANAGER))
    assert status == 0, text
    status, text = said(
        amtool, "config", "routes", "test", f"--config.file={ALERTMANAGER}", *labels
    )
    # above it may stand a warning about an address that is not asked
    assert (status, text.split()[-1]) == (0, receiver)
