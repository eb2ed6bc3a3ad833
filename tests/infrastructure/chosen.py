"""Which ground it is: LIANHU_TEST_INFRA says it in a word, `embedded` where it says nothing."""

from __future__ import annotations

import os
from contextlib import AbstractContextManager

from deploy.embedded import StackFault
from tests.infrastructure import addresses, embedded
from tests.infrastructure.ground import Infrastructure

INFRA = "LIANHU_TEST_INFRA"
WORDS = ("embedded", "containers", "addresses")


def word() -> str:
    """The word. Raises `StackFault` on any other."""
    told = os.environ.get(INFRA) or WORDS[0]
    if told not in WORDS:
        raise StackFault(f"{INFRA} is {told!r}; it must be one of {', '.join(WORDS)}.")
    return told


def check(workers: int) -> None:
    """Raise `StackFault` with a sentence where so many workers cannot stand on the chosen one."""
    match word():
        case "containers":
            from tests.infrastructure import containers

            containers.check()
        case "addresses":
            addresses.check(workers)


def chosen() -> AbstractContextManager[Infrastructure]:
    """The ground, for as long as the tests run."""
    match word():
        case "containers":
            # what speaks to an engine is loaded only where one is wanted
            from tests.infrastructure import containers

            return containers.ground()
        case "addresses":
            return addresses.ground()
    return embedded.ground()
