"""Processor time by group of processes, and how many messages the services take at a time."""

from __future__ import annotations

import urllib.request
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from time import monotonic

import psutil

from deploy.embedded.session import Session

DRIVER, BROKER, DATABASE, OTHERS = "driver", "broker", "database", "others"
"""`OTHERS`: what all other processes of the machine took."""
_RECORDS = "lianhu_batch_records"


@dataclass(frozen=True)
class Reading:
    """Seconds of processor time so far, by group, at a moment of the monotonic clock."""

    at: float
    cpu: Mapping[str, float]

    def since(self, before: Reading) -> Reading:
        """What was used since; `at` is the seconds that passed."""
        used = {name: self.cpu[name] - before.cpu.get(name, 0.0) for name in self.cpu}
        return Reading(self.at - before.at, used)


class Meter:
    """Reads the processor time of a running chain; its services' processes must stay the same."""

    def __init__(self, session: Session) -> None:
        self._groups: dict[str, list[psutil.Process]] = {}
        for replica in session.replicas:
            group = self._groups.setdefault(replica.service, [])
            group.append(_process(session, replica.name))
        self._broker = _process(session, "kafka")
        self._database = _process(session, "postgres")
        self._driver = psutil.Process()

    def read(self) -> Reading:
        """Now. Costs a millisecond or two."""
        at = monotonic()
        cpu = {name: sum(map(_own, group)) for name, group in self._groups.items()}
        cpu[BROKER] = _own(self._broker)
        cpu[DATABASE] = _family(self._database)
        cpu[DRIVER] = _own(self._driver)
        cpu[OTHERS] = _machine() - sum(cpu.values())
        return Reading(at, cpu)


def services(cpu: Mapping[str, float]) -> dict[str, float]:
    """Of a reading, what is no more than the services'."""
    return {n: used for n, used in cpu.items() if n not in (DRIVER, BROKER, DATABASE, OTHERS)}


@dataclass(frozen=True)
class Batches:
    """Transactions of one service and the messages that were handled in them, as it counts them."""

    count: float
    messages: float


def batches(session: Session) -> dict[str, Batches]:
    """By service, since its start."""
    found: dict[str, Batches] = {}
    for replica in session.replicas:
        with urllib.request.urlopen(f"{session.url(replica.name)}/metrics") as answer:
            lines = [line.split() for line in answer.read().decode().splitlines()]
        said = {line[0]: float(line[1]) for line in lines if line[0].startswith(_RECORDS)}
        before = found.get(replica.service, Batches(0.0, 0.0))
        found[replica.service] = Batches(
            before.count + said[f"{_RECORDS}_count"], before.messages + said[f"{_RECORDS}_sum"]
        )
    return found


def ours(cpu: Mapping[str, float]) -> float:
    """All that the chain used: services, broker, database."""
    return sum(used for name, used in cpu.items() if name not in (DRIVER, OTHERS))


def _process(session: Session, name: str) -> psutil.Process:
    record = session.daemon(name).record()
    if record is None:
        raise RuntimeError(f"{name} does not run.")
    return psutil.Process(record.pid)


def _own(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def _family(process: psutil.Process) -> float:
    """With those of its children that live and those that have ended."""
    times = process.cpu_times()
    gone = times.children_user + times.children_system
    return float(times.user + times.system + gone) + _living(process.children())


def _living(children: Iterable[psutil.Process]) -> float:
    found = 0.0
    for child in children:
        try:
            found += _own(child)
        except psutil.NoSuchProcess:
            continue
    return found


def _machine() -> float:
    times = psutil.cpu_times()
    idle = times.idle + getattr(times, "iowait", 0.0) + getattr(times, "steal", 0.0)
    # a guest's time stands in the user's already
    guests = getattr(times, "guest", 0.0) + getattr(times, "guest_nice", 0.0)
    return float(sum(times) - idle - guests)
