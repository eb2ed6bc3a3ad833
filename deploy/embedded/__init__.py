"""The whole chain on one machine, with no container engine: Kafka, PostgreSQL, four services.

`python -m deploy.embedded up` from the project's root, or `session()` from a test or the demo.
"""

from deploy.embedded.databases import Dsns
from deploy.embedded.faults import StackFault
from deploy.embedded.kafka import Kafka
from deploy.embedded.postgres import Postgres
from deploy.embedded.session import Session, session

__all__ = ["Dsns", "Kafka", "Postgres", "Session", "StackFault", "session"]
