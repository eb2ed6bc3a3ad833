"""Ports: the usual ones, the variables that change them, and who holds one that is taken."""

from __future__ import annotations

import os
import random
import socket
from collections.abc import Iterable, Mapping
from itertools import islice

import psutil

from deploy.embedded.faults import PortTaken, StackFault
from deploy.embedded.processes import mark_of

HOST = "127.0.0.1"

DEFAULTS: Mapping[str, int] = {
    "kafka": 9092,
    "kafka-controller": 9093,
    # 5432 is often taken by the machine's own PostgreSQL; ports from 32768 on may be handed to
    # any outgoing connection.
    "postgres": 15432,
    "intake": 8081,
    "mediation": 8082,
    "welfare": 8083,
    "notify": 8084,
}

# Below the range from which Linux picks the ports of outgoing connections, so that a process
# which is killed and started again finds its port free.
FREE_PORTS = range(20000, 32000)
AMONG = "LIANHU_FREE_PORTS"
"""Environment variable that narrows them, `20000-26000`: two that pick at once, each its own."""


def variable(name: str) -> str:
    """The environment variable that sets a port: `kafka` is `LIANHU_KAFKA_PORT`."""
    return f"LIANHU_{name.upper().replace('-', '_')}_PORT"


def from_environment(environment: Mapping[str, str]) -> dict[str, int]:
    """Every port of the stack: the usual one, or what its variable says."""
    ports = {}
    for name, usual in DEFAULTS.items():
        text = environment.get(variable(name)) or str(usual)
        if not text.isdecimal() or not 0 < int(text) < 65536:
            raise StackFault(f"{variable(name)} is {text!r}; it must be a port, 1 to 65535.")
        ports[name] = int(text)
    taken: dict[int, str] = {}
    for name, port in ports.items():
        if port in taken:
            raise StackFault(
                f"{name} and {taken[port]} would both use port {port}: "
                f"set {variable(name)} or {variable(taken[port])} to another one."
            )
        taken[port] = name
    return ports


def is_free(port: int) -> bool:
    """Whether a server could listen on this port of the loopback address now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


def answers(port: int) -> bool:
    """Whether somebody listens on this port of the loopback address."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.settimeout(1)
        return probe.connect_ex((HOST, port)) == 0


def check_free(wanted: Iterable[tuple[str, int]]) -> None:
    """Raise `PortTaken`, one sentence a port, when a port is held by somebody else."""
    sentences = [taken_sentence(name, port) for name, port in wanted if not is_free(port)]
    if sentences:
        raise PortTaken("\n".join(sentences))


def taken_sentence(name: str, port: int) -> str:
    """Which port, who has it as far as can be seen, and which variable moves ours."""
    return (
        f"Port {port}, which {name} needs, is in use{_by(port)}: "
        f"stop that, or set {variable(name)} to a free port."
    )


def _by(port: int) -> str:
    try:
        holders = {
            connection.pid
            for connection in psutil.net_connections(kind="tcp")
            if connection.status == psutil.CONN_LISTEN
            and connection.laddr
            and connection.laddr.port == port
            and connection.pid is not None
        }
        for pid in holders:
            process = psutil.Process(pid)
            stack = mark_of(process)
            of = f" of the stack in {stack}" if stack else ""
            return f" by {process.name()} (pid {pid}){of}"
    except (psutil.Error, OSError):
        return ""
    return ""


_handed_out: set[int] = set()


def pick_free(count: int) -> list[int]:
    """Ports that were free a moment ago, all different, and none that this process picked before.

    A port is picked long before its server listens; until then it looks free to the next who asks.
    """
    first, _, last = os.environ.get(AMONG, "").partition("-")
    among = range(int(first), int(last)) if first and last else FREE_PORTS
    # The start is random so that two runs rarely meet; nothing secret hangs on it.
    order = random.sample(among, k=len(among))
    free = (port for port in order if port not in _handed_out and is_free(port))
    found = list(islice(free, count))
    if len(found) < count:
        raise StackFault(f"{count} free ports could not be found on {HOST}.")
    _handed_out.update(found)
    return found
