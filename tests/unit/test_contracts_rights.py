"""Who may do what at the broker follows from the registry, and nobody may anything else."""

from __future__ import annotations

from itertools import pairwise

import pytest

from lianhu.contracts import SERVICES
from lianhu.contracts.publishers import RESERVED, Publishers
from lianhu.contracts.rights import (
    ADMIN,
    BROKER,
    MONITOR,
    OPERATIONS,
    May,
    On,
    Right,
    group_of,
    rights,
    users,
)
from lianhu.contracts.topics import topics
from lianhu.contracts.vocabulary import PublisherKind

PUBLISHERS = Publishers.read()
ALL = rights(PUBLISHERS)


def may(user: str, what: May, on: On) -> set[str]:
    return {right.name for right in ALL if (right.user, right.may, right.on) == (user, what, on)}


def test_the_rights_of_one_of_each_are_these_and_no_others() -> None:
    assert may("notify", May.WRITE, On.TOPIC) == {"notify.events.v1", "notify.dead-letters.v1"}
    assert may("notify", May.READ, On.TOPIC) == {
        f"{source}.events.v1" for source in ("intake", "mediation", "welfare", "notify")
    }, "its own too: after a restore it may know more than the journal"
    assert {right for right in ALL if right.user == "hotline-futian"} == {
        Right("hotline-futian", May.WRITE, On.TOPIC, "intake.reports.hotline-futian.v1"),
        Right("hotline-futian", May.READ, On.TOPIC, "intake.answers.hotline-futian.v1"),
        Right("hotline-futian", May.READ, On.GROUP, "hotline-futian"),
        Right("hotline-futian", May.READ, On.GROUP, "hotline-futian.", prefixed=True),
    }
    assert may("treasury-futian", May.WRITE, On.TOPIC) == {"welfare.commands.treasury-futian.v1"}
    assert {right.may for right in ALL if right.user == MONITOR} == {May.DESCRIBE}
    assert may(OPERATIONS, May.READ, On.TOPIC) == {f"{name}.dead-letters.v1" for name in SERVICES}
    assert may(OPERATIONS, May.WRITE, On.TOPIC) == set()


def test_every_topic_has_one_writer_and_every_right_a_topic() -> None:
    names = {topic.name for topic in topics(PUBLISHERS)}
    writers: dict[str, list[str]] = {name: [] for name in names}
    for right in ALL:
        if right.on is On.TOPIC and right.user != MONITOR:
            assert not right.prefixed
            assert right.name in names
            if right.may is May.WRITE:
                writers[right.name].append(right.user)
    assert {name: who for name, who in writers.items() if len(who) != 1} == {}


def test_no_two_users_share_a_group() -> None:
    groups = sorted(
        (right.name, right.user) for right in ALL if right.on is On.GROUP and right.user != MONITOR
    )
    for (name, user), (longer, other) in pairwise(groups):
        assert user == other or name != longer
        if name.endswith("."):
            assert user == other or not longer.startswith(name)
    assert {group_of(name) for name in SERVICES} == {
        right.name for right in ALL if right.user in SERVICES and right.on is On.GROUP
    }


def test_a_service_may_read_whatever_may_be_written_to_it() -> None:
    for publisher in PUBLISHERS.each():
        for topic in publisher.writes():
            assert topic in may(topic.partition(".")[0], May.READ, On.TOPIC)
        for topic in publisher.reads():
            assert topic in may(topic.partition(".")[0], May.WRITE, On.TOPIC)


def test_everybody_with_a_right_has_a_password_and_the_administrator_no_right() -> None:
    assert {right.user for right in ALL} == set(users(PUBLISHERS)) - {ADMIN}
    assert BROKER not in users(PUBLISHERS)
    assert {ADMIN, BROKER, MONITOR, OPERATIONS, *SERVICES} == RESERVED


@pytest.mark.parametrize("name", ["admin", "broker", "monitor", "operations", "lianhu-intake"])
def test_nobody_registers_under_a_name_of_ours(name: str) -> None:
    one = PUBLISHERS.publishers[0].model_copy(update={"name": name})
    with pytest.raises(ValueError, match=f"one of our own names is no publisher's: {name}"):
        Publishers(publishers=(one,))


def test_registering_one_changes_its_own_rights_and_its_services_only() -> None:
    one = PUBLISHERS.publishers[0].model_copy(update={"name": "hotline-nanshan"})
    assert one.kind is PublisherKind.REPORTING
    more = rights(Publishers(publishers=(*PUBLISHERS.publishers, one))) - ALL
    assert {right.user for right in more} == {"hotline-nanshan", "intake"}
    assert all("hotline-nanshan" in right.name for right in more)
