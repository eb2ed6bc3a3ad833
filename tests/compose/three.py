"""`python -m tests.compose.three`: the deployment with three brokers, one killed under load."""

from __future__ import annotations

import sys
from time import sleep

from tests.compose.deployment import Deployment, deployment, why_not
from tests.load.lost import BROKER, Three, one_killed

BROKERS = 3
LOOKS = 30


def main() -> int:
    """0 when nothing was lost or doubled."""
    if (reason := why_not()) is not None:
        print(f"It cannot be tried here: {reason}.", file=sys.stderr)
        return 1
    with deployment({}, three=True) as running:
        print(f"three brokers run; {scraped(running)} of them are looked at", flush=True)
        chain = Three(
            running.access,
            running.dsns(),
            lambda: running.compose("kill", BROKER),
            lambda: running.compose("start", BROKER),
        )
        verdict = one_killed(chain, lambda line: print(line, flush=True))
    for line in verdict.lines():
        print(line)
    return 0 if verdict.ok else 1


def scraped(running: Deployment) -> int:
    """How many brokers Prometheus reaches; it takes some seconds to find them."""
    for _ in range(LOOKS):
        if (found := len(running.asked('up{job="kafka"} == 1'))) == BROKERS:
            break
        sleep(1)
    return found


if __name__ == "__main__":
    sys.exit(main())
