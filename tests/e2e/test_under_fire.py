"""The short form of `make faults`: the sharpest faults strike a chain under load, one by one."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from deploy.embedded.services import ROOT, SERVICES
from deploy.embedded.stack import silent
from tests.faults.catalogue import SHARPEST
from tests.faults.fire import Fire
from tests.faults.ground import SHORT, ground
from tests.faults.points import INSIDE, OF_ALL, OF_EFFECTS
from tests.faults.report import write

SEED = 20260301

WRAPPED = """
from lianhu.eventing import batch, service
print(batch.Batch._lock.__module__, batch.Batch._lock.__code__.co_filename)
"""
RENAMED = """
from lianhu.eventing import batch
batch.Batch.lock = batch.Batch.{method}
del batch.Batch.{method}
from lianhu.eventing import service
"""


@pytest.mark.timeout(900)
def test_nothing_is_lost_doubled_or_out_of_order_while_the_sharpest_faults_strike(
    tmp_path: Path,
) -> None:
    with ground(SHORT, SEED, silent) as chain:
        fire = Fire(chain, print)
        fire.alone(SHARPEST, last=True)
        write(fire, tmp_path)
        assert fire.ok, (tmp_path / "faults.txt").read_text(encoding="utf-8")
        assert len(fire.lines) == len(SHARPEST)
        assert all(line.struck == 1 or line.not_here for line in fire.lines)
        # those that were not armed here are not lost either: somebody came by each of them
        everywhere = {(service, point) for service in SERVICES for point in OF_ALL}
        assert chain.points.passed() == everywhere | {("notify", point) for point in OF_EFFECTS}


def python(code: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """A process that is started as the services are under fire."""
    environment = {**os.environ, "PYTHONPATH": str(INSIDE), "LIANHU_FAULTS": str(folder)}
    command = [sys.executable, "-c", code]
    return subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )


def test_the_points_are_inside_once_the_engine_is_there(tmp_path: Path) -> None:
    done = python(WRAPPED, tmp_path)
    assert done.stdout.split()[-1] == str(INSIDE / "sitecustomize.py"), done.stderr


@pytest.mark.parametrize("method", ["_lock", "run"])
def test_a_point_whose_method_was_renamed_ends_the_process_at_its_start(
    tmp_path: Path, method: str
) -> None:
    done = python(RENAMED.format(method=method), tmp_path)
    assert done.returncode == 1
    assert "AttributeError" in done.stderr
