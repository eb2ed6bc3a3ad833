"""The catalogue of metrics: every metric that a service exports, in one place.

Labels are few and bounded; no label ever holds an id, a name or a text.
"""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.gc_collector import GCCollector
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
_PROMISED = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)
_SIZES = (1, 2, 5, 10, 25, 50, 100, 250, 500, 1000)


class Metrics:
    """The metrics of one service, in a registry of their own."""

    def __init__(self) -> None:
        registry = CollectorRegistry()
        self.registry = registry
        ProcessCollector(registry=registry)
        PlatformCollector(registry=registry)
        GCCollector(registry=registry)

        # what came in
        self.handled = Counter(
            "lianhu_messages_handled",
            "Messages handled, by topic kind and what became of them",
            ["source", "outcome"],
            registry=registry,
        )
        self.refused = Counter(
            "lianhu_messages_refused",
            "Public messages refused, by the slug of their first fault",
            ["publisher", "slug"],
            registry=registry,
        )
        self.public_seconds = Histogram(
            "lianhu_public_message_seconds",
            "From the broker's append of a public message to the commit of what became of it first",
            ["kind", "outcome"],
            buckets=_PROMISED,
            registry=registry,
        )
        for kind in ("report", "command"):
            for outcome in ("handled", "parked", "refused", "duplicate"):
                # from nothing to one is no increase that Prometheus sees; from zero to one it is
                self.public_seconds.labels(kind, outcome)
        self.duplicates = Counter(
            "lianhu_messages_duplicate", "Messages seen before", ["source"], registry=registry
        )
        self.gaps = Counter(
            "lianhu_sequence_gaps",
            "Events that came before one that is missing",
            ["source"],
            registry=registry,
        )
        self.forks = Counter(
            "lianhu_sequence_forks",
            "Events whose sequence number was seen with another hash",
            ["source"],
            registry=registry,
        )
        self.batch_seconds = Histogram(
            "lianhu_batch_seconds",
            "From a batch's first statement to its commit",
            buckets=_SECONDS,
            registry=registry,
        )
        self.batch_records = Histogram(
            "lianhu_batch_records", "Messages in a batch", buckets=_SIZES, registry=registry
        )
        self.retries = Counter(
            "lianhu_batch_retries", "Batches tried again, by cause", ["cause"], registry=registry
        )
        self.limit_hit = Gauge(
            "lianhu_limit_hit",
            "1 while too many messages fail and the service stands still",
            registry=registry,
        )

        # the consumer
        self.partitions = Gauge(
            "lianhu_partitions_assigned", "Partitions this replica reads", registry=registry
        )
        self.rebalances = Counter(
            "lianhu_rebalances", "Changes of the assignment", registry=registry
        )
        self.commit_failures = Counter(
            "lianhu_offset_commit_failures",
            "Offsets that could not be committed; their messages are told again and do nothing",
            registry=registry,
        )
        self.lag = Gauge(
            "lianhu_partition_lag_records",
            "Records not handled yet",
            ["topic", "partition"],
            registry=registry,
        )
        self.behind = Gauge(
            "lianhu_partition_behind_seconds",
            "Age of the last record handled where others wait; 0 where none waits",
            ["topic", "partition"],
            registry=registry,
        )
        self.unread = Gauge(
            "lianhu_partitions_unread",
            "Partitions with waiting messages in which nothing moved for too long",
            registry=registry,
        )

        self.topics_missing = Gauge(
            "lianhu_topics_missing",
            "Topics that this service cannot do without and the broker does not have",
            registry=registry,
        )
        self.database_seen = Gauge(
            "lianhu_database_answered_timestamp_seconds",
            "When the database last answered this replica, Unix time",
            registry=registry,
        )
        self.broker_seen = Gauge(
            "lianhu_broker_answered_timestamp_seconds",
            "When the broker last answered this replica as the leader, Unix time",
            registry=registry,
        )

        # the journal and what leaves
        self.journal_rows = Counter(
            "lianhu_journal_rows", "Rows appended to the journal", ["type"], registry=registry
        )
        self.relayed = Counter(
            "lianhu_relay_records", "Records acknowledged by the broker", registry=registry
        )
        self.relay_failures = Counter(
            "lianhu_relay_failures", "Publishing attempts that broke off", registry=registry
        )
        self.outbox_rows = Gauge(
            "lianhu_outbox_rows", "Journal rows not published yet", registry=registry
        )
        self.outbox_age = Gauge(
            "lianhu_outbox_age_seconds",
            "How long the relay has had something to publish without moving",
            registry=registry,
        )
        self.leader = Gauge(
            "lianhu_leader", "1 in the replica that relays and fires deadlines", registry=registry
        )

        # waiting
        self.parked = Gauge(
            "lianhu_parked_messages", "Parked messages, by reason", ["reason"], registry=registry
        )
        self.parked_age = Gauge(
            "lianhu_parked_oldest_seconds",
            "Age of the oldest parked message, by reason",
            ["reason"],
            registry=registry,
        )
        self.deadlines_fired = Counter(
            "lianhu_deadlines_fired", "Deadlines that were answered", ["kind"], registry=registry
        )
        self.deadline_lag = Gauge(
            "lianhu_deadline_lag_seconds",
            "How long the earliest due deadline has been waiting",
            registry=registry,
        )

        # personal data
        self.unsealed = Counter(
            "lianhu_values_unsealed",
            "Closed values that were opened",
            ["purpose"],
            registry=registry,
        )

        # calls outside
        self.effects = Counter(
            "lianhu_effects", "Calls outside, by outcome", ["outcome"], registry=registry
        )
        self.effects_waiting = Gauge(
            "lianhu_effects_waiting", "Calls outside not ended yet", registry=registry
        )
        self.effects_dropped = Counter(
            "lianhu_effects_deferred",
            "Calls left to their deadline because too many were waiting",
            registry=registry,
        )

    def forget(self) -> None:
        """The lead is lost: what only the leader knows is another replica's to show."""
        for labelled in (self.lag, self.behind, self.parked, self.parked_age):
            labelled.clear()
        gauges = (self.unread, self.outbox_rows, self.outbox_age, self.deadline_lag, self.leader)
        for gauge in gauges:
            gauge.set(0)
