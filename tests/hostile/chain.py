"""Wild records through real services and a real broker; the checker looks for the answers."""

from __future__ import annotations

from itertools import islice
from random import Random

import psutil

from deploy.embedded import session
from deploy.embedded.session import Session
from tests.checker.collect import judge
from tests.hostile.records import wild
from tests.stranger import NotTaken, Stranger

SERVICES = ("intake", "mediation", "welfare")
"""Those that a publisher may write to."""
_WITHIN = 150.0
"""Longer than a command waits for a case that is not known."""
_LARGEST = 300 * 1024 * 1024
"""Bytes that no service may reach."""


def through_the_chain(seed: int, count: int) -> list[str]:
    """Send so many, to all services together; a sentence for each that was not answered."""
    with session() as running:
        return struck(running, seed, count)


def struck(running: Session, seed: int, count: int) -> list[str]:
    """The same on a chain that runs."""
    stranger = Stranger(running.bootstrap, **{"message.max.bytes": 2 * 1024 * 1024})
    for service in SERVICES:
        for topic, value, headers in islice(wild(service, Random(seed)), count // len(SERVICES)):
            try:
                stranger.send(topic, value, [*headers])
            except NotTaken:
                continue  # the broker itself says no
    dsns = {name: running.dsns(name).runtime for name in ("notify", *SERVICES)}
    verdict = judge(running.bootstrap, dsns, _WITHIN)
    faults = [] if verdict.ok else [*verdict.lines()]
    for one in running.replicas:
        record = running.daemon(one.name).record()
        if record is None:
            faults.append(f"{one.name} ended")
        elif psutil.Process(record.pid).memory_info().rss > _LARGEST:
            faults.append(f"{one.name} has grown too large")
    return faults
