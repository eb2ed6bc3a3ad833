"""What may change while a service runs: the registry of publishers and the file of master keys."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import structlog

from lianhu.contracts.publishers import Publishers
from lianhu.eventing.house import House
from lianhu.privacy import KeyFileError

log = structlog.get_logger(__name__)

_Stamp = tuple[int, int, int]


class Renewal:
    """Looks at the files again, every so often and whenever somebody is not known.

    A registry with a hole is not taken: the service goes on with the one it has, and says so.
    """

    def __init__(
        self, house: House, policy: Callable[[], Any], take: Callable[[Publishers], None]
    ) -> None:
        self._house = house
        self._policy = policy
        self._take = take
        self._file = house.settings.publishers_file
        self._seen = _stamp(self._file)

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await asyncio.sleep(self._house.settings.poll_seconds)
            self.publishers()
            self._keys()

    def publishers(self) -> Publishers:
        """The registry as its file says now, or as it last said without a hole."""
        now = _stamp(self._file)
        if now is None or now == self._seen:
            return self._house.publishers
        self._seen = now
        try:
            # what follows from it in the policy changes with it, or neither does
            found, policy = Publishers.read(self._file), self._policy()
        except (ValueError, OSError) as error:
            log.error("the registry of publishers is not taken", why=str(error))
            return self._house.publishers
        self._house.publishers, self._house.policy = found, policy
        self._take(found)
        log.info("the registry of publishers was read anew", count=len(found))
        return found

    def _keys(self) -> None:
        try:
            if self._house.keys.renew():
                log.info("the master keys were read anew", current=self._house.keys.current.id)
        except KeyFileError as error:
            log.error("the master keys are not read anew", why=error.slug)


def _stamp(file: Path | None) -> _Stamp | None:
    """What a change of the file changes; None: it cannot be looked at, or is being replaced."""
    try:
        found = file.stat() if file is not None else None
    except OSError:
        return None
    return None if found is None else (found.st_mtime_ns, found.st_size, found.st_ino)
