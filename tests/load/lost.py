"""One of three brokers is killed while reports come in: what was acknowledged is there, once.

`python -m tests.load lost`. The brokers are configured as `deploy/compose.three.yaml` has them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from time import monotonic, sleep

from confluent_kafka.admin import AdminClient

from deploy.embedded import session
from deploy.embedded.three import COUNT, ThreeBrokers
from lianhu.eventing.connection import Access
from tests.checker.collect import judge
from tests.checker.verdict import Verdict
from tests.demo.reports import HOTLINE
from tests.load.sending import Sending

SERVICES = ("intake", "mediation", "welfare", "notify")
BROKER = "kafka-2"
SECONDS = 180.0


@dataclass(frozen=True)
class Three:
    """A chain at three brokers, and a hand on one of them."""

    access: Callable[..., Access]
    """Of the administrator, or of the publisher that is named."""
    dsns: Mapping[str, str]
    kill: Callable[[], object]
    start: Callable[[], object]


def lost(say: Callable[[str], None]) -> Verdict:
    """The verdict of it. Raises TimeoutError when something did not come about."""
    with session(broker=ThreeBrokers, say=say) as running:
        chain = Three(
            running.access,
            {name: running.dsns(name).runtime for name in SERVICES},
            lambda: running.kill(BROKER),
            running.stack.kafka.start,
        )
        return one_killed(chain, say)


def one_killed(chain: Three, say: Callable[[str], None], before: int = 200) -> Verdict:
    """Reports come in, a broker is killed, as many again come in, it is back."""
    with Sending(chain.access(HOTLINE)) as sending:
        sending.until(before, "reports to be taken")
        chain.kill()
        say(f"{BROKER} is killed after {len(sending.taken)} reports")
        sending.until(len(sending.taken) + before, "two brokers to take reports")
        say(f"two brokers have taken {before} more")
    sending.are_cases(chain.access())
    say(f"each of {len(sending.taken)} reports is a case")
    chain.start()
    last = monotonic() + SECONDS
    while _least_in_step(chain.access()) != COUNT:
        if monotonic() > last:
            raise TimeoutError(f"{BROKER} is not in step after {SECONDS:.0f} s")
        sleep(0.2)
    say(f"{BROKER} is back, and every partition is kept three times again")
    return judge(chain.access(), chain.dsns, within=60)


def _least_in_step(access: Access) -> int:
    client = AdminClient({**access.librdkafka(), "log_level": 0})
    found = client.list_topics(timeout=10).topics.values()
    return min(len(part.isrs) for topic in found for part in topic.partitions.values())
