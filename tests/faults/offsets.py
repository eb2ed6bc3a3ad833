"""Makes the services' groups forget how far they have read."""

from __future__ import annotations

from time import monotonic, sleep

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from deploy.embedded.services import SERVICES
from tests.demo.wire import Unexpected

_SECONDS = 40.0
"""A group is empty once the session of its last member has timed out."""


def forget_offsets(bootstrap: str) -> None:
    """Delete all groups; the services are stopped. They begin at the beginning then."""
    admin = AdminClient({"bootstrap.servers": bootstrap, "log_level": 0})
    waiting = [f"lianhu-{service}" for service in SERVICES]
    last = monotonic() + _SECONDS
    while waiting:
        if monotonic() > last:
            raise Unexpected(f"{', '.join(waiting)} could not be deleted in {_SECONDS:.0f} s.")
        answers = admin.delete_consumer_groups(waiting)
        waiting = [name for name, future in answers.items() if not _deleted(future.exception())]
        sleep(0.2)


def _deleted(error: BaseException | None) -> bool:
    if error is None:
        return True
    if isinstance(error, KafkaException) and error.args[0].name() == "NON_EMPTY_GROUP":
        return False
    raise error
