"""Ctrl-C at any moment: exit code 130, nothing left running, nothing left lying about."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from deploy.embedded import ports
from deploy.embedded.place import Place
from deploy.embedded.processes import marked
from deploy.embedded.services import ROOT

pytestmark = [pytest.mark.long, pytest.mark.timeout(240)]

INTERRUPTED = 130


@pytest.fixture(autouse=True)
def _ctrl_c_is_heard() -> Iterator[None]:
    """Who runs tests in the background ignores it, and so would all that they start."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before or signal.SIG_DFL)


class Terminal:
    """A command in a process group of its own, as a shell starts it."""

    def __init__(self, arguments: list[str], environment: Mapping[str, str], errors: Path) -> None:
        self._errors = errors
        with errors.open("wb") as stderr:
            self.process = subprocess.Popen(
                [sys.executable, *arguments],
                cwd=ROOT,
                env={**os.environ, "PYTHONUNBUFFERED": "1", **environment},
                stdout=subprocess.PIPE,
                stderr=stderr,
                text=True,
                start_new_session=True,
            )

    def read_up_to(self, pattern: str) -> None:
        """Read what it prints until a line shows this."""
        assert self.process.stdout is not None
        read = []
        for line in self.process.stdout:
            read.append(line)
            if re.search(pattern, line):
                return
        pytest.fail(f"it ended and never said {pattern!r}:\n{''.join(read)}{self.said_wrong()}")

    def press_ctrl_c(self) -> int:
        """As the terminal does: to the whole group. The exit code."""
        os.killpg(self.process.pid, signal.SIGINT)
        self.process.communicate(timeout=90)
        return self.process.returncode

    def close(self) -> None:
        """Wait for its end and let go of its pipe, whether it was read to the end or not."""
        with self.process:
            pass

    def said_wrong(self) -> str:
        """Its standard error."""
        return self._errors.read_text()


@contextmanager
def terminal(
    arguments: list[str], environment: Mapping[str, str], folder: Path
) -> Iterator[Terminal]:
    """A command that does not outlive its test."""
    running = Terminal(arguments, environment, folder / "stderr")
    try:
        yield running
    finally:
        if running.process.poll() is None:
            running.process.kill()
        running.close()


def until(look: Callable[[], bool], why: str, seconds: float = 60.0) -> None:
    last = time.monotonic() + seconds
    while not look():
        assert time.monotonic() < last, f"waited {seconds:.0f} s in vain: {why}"
        time.sleep(0.05)


def carries(process: psutil.Process, name: str, value: str) -> bool:
    try:
        return process.environ().get(name) == value
    except (psutil.Error, OSError):
        return False


def running_with(folder: Path) -> list[str]:
    """Every process that was given this folder for its temporary files."""
    return [
        " ".join(process.cmdline())
        for process in psutil.process_iter()
        if carries(process, "TMPDIR", str(folder))
    ]


@pytest.mark.parametrize(
    "pattern",
    [
        pytest.param("the chain starts", id="at the very beginning"),
        pytest.param("postgres is ready", id="while Kafka comes up"),
        pytest.param("(intake|mediation|welfare|notify) is ready", id="while the services come up"),
        pytest.param("走访 visit", id="in the stories"),
    ],
)
def test_a_demo_that_is_interrupted_leaves_nothing(tmp_path: Path, pattern: str) -> None:
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    with terminal(["-m", "tests.demo"], {"TMPDIR": str(temporary)}, tmp_path) as demo:
        demo.read_up_to(pattern)
        run_dirs = [*temporary.glob("lianhu-*")]
        assert (demo.press_ctrl_c(), demo.said_wrong()) == (INTERRUPTED, "")
    # what is interrupted before it could clear up itself leaves that to its watchdog
    until(lambda: not running_with(temporary), "everything to end")
    until(lambda: not [*temporary.iterdir()], "the temporary folder to be empty")
    for run_dir in run_dirs:
        assert not [*marked(run_dir)]
        assert not Place(run_dir).data_dir.parent.exists()


def test_a_start_that_is_interrupted_is_taken_back_and_its_data_can_be_deleted(
    tmp_path: Path,
) -> None:
    run_dir = tmp_path / "run"
    free = zip(ports.DEFAULTS, ports.pick_free(len(ports.DEFAULTS)), strict=True)
    environment = {
        "LIANHU_RUN_DIR": str(run_dir),
        **{ports.variable(name): str(port) for name, port in free},
    }
    with terminal(["-m", "deploy.embedded", "up"], environment, tmp_path) as up:
        up.read_up_to("kafka is ready")
        assert [*marked(run_dir)]
        said = "Interrupted: what this command had started is stopped.\n"
        assert (up.press_ctrl_c(), up.said_wrong()) == (INTERRUPTED, said)
    assert not [*marked(run_dir)]
    assert run_dir.exists()
    with terminal(["-m", "deploy.embedded", "clean"], environment, tmp_path) as clean:
        clean.process.communicate(timeout=60)
        assert (clean.process.returncode, clean.said_wrong()) == (0, "")
    assert not run_dir.exists()
    assert not Place(run_dir).data_dir.parent.exists()
