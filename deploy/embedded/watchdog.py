"""Ends a session's stack when the process that held it was killed.

It holds the reading end of a pipe; the system closes the other end whatever way the holder ends.
`python -m deploy.embedded.watchdog RUN_DIR [--keep]`
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

from deploy.embedded import ports
from deploy.embedded.session import DONE
from deploy.embedded.stack import Stack, alone


def main(run_dir: Path, *, keep: bool) -> None:
    """Wait for the holder's word; without it, stop everything and delete what is temporary."""
    # Whoever ends the session's processes by a signal to all must not end this one first.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    if os.read(sys.stdin.fileno(), len(DONE)) == DONE:
        return
    stack = Stack(run_dir, ports.DEFAULTS)
    with alone(run_dir, patience=60.0):
        stack.down()
        if not keep:
            stack.remove()


if __name__ == "__main__":
    main(Path(sys.argv[1]), keep="--keep" in sys.argv[2:])
