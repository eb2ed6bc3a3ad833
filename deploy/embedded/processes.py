"""Detached processes: started in a session of their own, found again later, never mistaken.

A process is known by its pid *and* its start time, so a recycled pid is never signalled. Every
process also carries the run directory in its environment (`LIANHU_STACK`): a process whose pid
file was never written, because its starter was killed at that very moment, is found by that mark.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from deploy.embedded.faults import Died
from deploy.embedded.steps import POLL_SECONDS, Deadline, Step

MARK = "LIANHU_STACK"
"""Environment variable that names the run directory a process belongs to."""

SAME_START_SECONDS = 2.0
"""psutil derives a start time from the boot time, which moves when the clock is set."""

LOGS_KEPT = 3
LINES_SHOWN = 15
KILLED_SECONDS = 5.0

# Children of this very process, held so that they can be reaped and are not warned about.
_children: dict[int, subprocess.Popen[bytes]] = {}


@dataclass(frozen=True)
class Account:
    """The user a process runs as, when it is not ours."""

    name: str
    uid: int
    gid: int


@dataclass(frozen=True)
class Record:
    """What a pid file holds."""

    pid: int
    started: float
    port: int

    @classmethod
    def read(cls, path: Path) -> Record | None:
        """The record in `path`, or None when there is none or it was never finished."""
        try:
            found = json.loads(path.read_text())
            return cls(int(found["pid"]), float(found["started"]), int(found["port"]))
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            return None

    def write(self, path: Path) -> None:
        """Write at once or not at all."""
        draft = path.with_suffix(".new")
        draft.write_text(json.dumps({"pid": self.pid, "started": self.started, "port": self.port}))
        draft.replace(path)

    def process(self) -> psutil.Process | None:
        """The live process this record speaks of; None when it ended or the pid is another's."""
        try:
            found = psutil.Process(self.pid)
            if abs(found.create_time() - self.started) > SAME_START_SECONDS:
                return None
            if found.status() == psutil.STATUS_ZOMBIE:
                return None
        except psutil.NoSuchProcess:
            return None
        return found


class Daemon:
    """One long-running process of a stack, by name.

    Files under the run directory: `pids/NAME.json`, `logs/NAME.log` (rotated at each start).
    """

    def __init__(self, run_dir: Path, name: str) -> None:
        self.run_dir = run_dir
        self.name = name
        self.record_path = run_dir / "pids" / f"{name}.json"
        self.log_path = run_dir / "logs" / f"{name}.log"

    def record(self) -> Record | None:
        """The record of the process if it is alive, else None."""
        found = Record.read(self.record_path)
        return found if found is not None and found.process() is not None else None

    def start(
        self,
        command: Sequence[str],
        *,
        port: int,
        environment: Mapping[str, str],
        directory: Path,
        account: Account | None = None,
    ) -> None:
        """Start the process in a session of its own; its output goes to the log file."""
        self.record_path.parent.mkdir(parents=True, exist_ok=True)
        rotate(self.log_path)
        _reap()
        with self.log_path.open("wb") as log:
            child = _spawn(
                command, self.run_dir, environment, directory, log=log.fileno(), account=account
            )
        _children[child.pid] = child
        with contextlib.suppress(psutil.NoSuchProcess):  # it may have ended already
            Record(child.pid, psutil.Process(child.pid).create_time(), port).write(self.record_path)

    def check_alive(self) -> None:
        """Raise `Died` with the last log lines when the process is not running."""
        if self.record() is None:
            raise Died(f"{self.name} ended while it was starting.{self.tail()}")

    def tail(self) -> str:
        """The last log lines, laid out to stand behind a sentence."""
        return tail(self.log_path)

    def send(self, number: signal.Signals) -> None:
        """Send a signal to the process; nothing happens when it is not running."""
        record = self.record()
        if record is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(record.pid, number)

    def stop(self, number: signal.Signals = signal.SIGTERM, grace: float = 10.0) -> bool:
        """Ask the process to end, wait `grace` seconds, then kill it. False: it was not running."""
        record = self.record()
        process = record.process() if record is not None else None
        if process is not None:
            end([process], number, grace)
        _reap()
        self.record_path.unlink(missing_ok=True)
        return process is not None


def run_step(
    name: str,
    command: Sequence[str],
    *,
    run_dir: Path,
    environment: Mapping[str, str],
    directory: Path,
    seconds: float,
    account: Account | None = None,
) -> Step:
    """Run a command that ends by itself (a format, a migration); its output goes to a log.

    Raises `Died` when it fails or takes too long. Closing the step kills it.
    """
    log_path = run_dir / "logs" / f"{name}.log"
    rotate(log_path)
    deadline = Deadline(seconds)
    with log_path.open("wb") as log:
        child = _spawn(command, run_dir, environment, directory, log=log.fileno(), account=account)
    try:
        while (code := child.poll()) is None:
            deadline.check(f"{name} did not end", tail(log_path))
            yield
        if code != 0:
            raise Died(f"{name} failed (exit code {code}).{tail(log_path)}")
    finally:
        if child.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL)
            child.wait()


def end(processes: Sequence[psutil.Process], number: signal.Signals, grace: float) -> None:
    """End processes and whatever they started: `number`, at most `grace` seconds, SIGKILL."""
    family = list(processes)
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            family.extend(process.children(recursive=True))
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.send_signal(number)
            process.send_signal(signal.SIGCONT)  # a paused process hears nothing else
    for process in _outlast(family, grace):
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    _outlast(family, KILLED_SECONDS)
    _reap()


def _reap() -> None:
    """Take note of our own children that ended, however they did."""
    for pid, child in list(_children.items()):
        if child.poll() is not None:
            del _children[pid]


def _outlast(processes: Iterable[psutil.Process], seconds: float) -> list[psutil.Process]:
    """Those that still run after `seconds`; returns as soon as none does.

    One that has ended but was not yet taken note of by its parent (a zombie) runs no more.
    """
    last = time.monotonic() + seconds
    alive = [process for process in processes if _runs(process)]
    while alive and time.monotonic() < last:
        time.sleep(POLL_SECONDS)
        alive = [process for process in alive if _runs(process)]
    return alive


def _runs(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def marked(run_dir: Path) -> Iterator[psutil.Process]:
    """Every live process that carries the mark of this run directory, but this one."""
    for process in psutil.process_iter():
        if process.pid != os.getpid() and mark_of(process) == str(run_dir):
            yield process


def family_of(daemons: Iterable[Daemon]) -> set[int]:
    """The pids of these daemons and of whatever they started."""
    pids = set()
    for daemon in daemons:
        record = daemon.record()
        process = record.process() if record is not None else None
        if process is not None:
            pids.add(process.pid)
            with contextlib.suppress(psutil.NoSuchProcess):
                pids.update(child.pid for child in process.children(recursive=True))
    return pids


def mark_of(process: psutil.Process) -> str | None:
    """The run directory of the stack a process belongs to, as far as we may look."""
    try:
        return process.environ().get(MARK)
    except (psutil.Error, OSError):
        return None


def tail(log_path: Path, lines: int = LINES_SHOWN) -> str:
    """The last lines of a log, laid out to stand behind a sentence; empty when it is empty."""
    try:
        found = log_path.read_text(errors="replace").splitlines()[-lines:]
    except FileNotFoundError:
        return ""
    if not found:
        return f" Its log is empty: {log_path}"
    return "\n".join([f" Its log ({log_path}) ends:", *(f"    {line}" for line in found)])


def rotate(log_path: Path) -> None:
    """Keep the last few logs as NAME.log.1, .2, .3 and begin a new one."""
    log_path.parent.mkdir(parents=True, exist_ok=True)
    for number in range(LOGS_KEPT, 0, -1):
        older = log_path if number == 1 else log_path.with_suffix(f".log.{number - 1}")
        if older.exists():
            older.replace(log_path.with_suffix(f".log.{number}"))


def _spawn(
    command: Sequence[str],
    run_dir: Path,
    environment: Mapping[str, str],
    directory: Path,
    *,
    log: int,
    account: Account | None,
) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        command,
        cwd=directory,
        env={**environment, MARK: str(run_dir)},
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=subprocess.STDOUT,
        start_new_session=True,
        user=None if account is None else account.uid,
        group=None if account is None else account.gid,
        extra_groups=None if account is None else [],
    )
