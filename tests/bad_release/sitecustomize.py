"""A bad release of one service: its rules fall at 1 in n of other services' events.

Python reads this file first where PYTHONPATH leads here. No code of the services knows of it. The
release is bad for as long as a file `{service}` with the number n lies in the folder that the
environment names; it is looked for once, at the start of the process. Which events it falls at
follows from their ids, so the same ones fall each time they are tried.
"""

from __future__ import annotations

import os
import sys
from importlib import import_module
from pathlib import Path
from typing import Any
from zlib import crc32

FOLDER = "LIANHU_BAD_RELEASE"
"""Environment variable: where the file lies."""


class Bug(Exception):
    """What a release raises that nobody tried."""


def fall(service: str, every: int) -> None:
    """Wrap the rules of this service."""
    workflow = import_module(f"lianhu.{service}.workflow")
    whole = workflow.decide

    def decide(message: Any, *rest: Any) -> Any:
        if message.stream is not None and crc32(message.id.encode()) % every == 0:
            raise Bug
        return whole(message, *rest)

    workflow.decide = decide  # type: ignore[attr-defined]


if FOLDER in os.environ and "run" in sys.orig_argv:
    for argument in sys.orig_argv:
        service = argument.removeprefix("lianhu.")
        bad = Path(os.environ[FOLDER], service)
        if service != argument and bad.exists():
            fall(service, int(bad.read_text(encoding="ascii")))
