"""Brings a broker's users and rights to what the registry says, no more and no less.

By confluent-kafka: the engine's own client cannot make users and rights.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from confluent_kafka import KafkaException
from confluent_kafka.admin import (
    AclBinding,
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ResourcePatternType,
    ResourceType,
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialDeletion,
    UserScramCredentialUpsertion,
)

from lianhu.contracts.faults import Transient
from lianhu.contracts.publishers import Publishers
from lianhu.contracts.rights import May, On, Right, rights, users
from lianhu.eventing.connection import Access, secret_of
from lianhu.eventing.users import password_file

_SECONDS = 20.0
ITERATIONS = 4096
"""Of the hash of a password. The passwords are random; more would only make each login slower."""

# librdkafka calls the cluster by the name of a broker
_RESOURCES = {
    On.TOPIC: ResourceType.TOPIC,
    On.GROUP: ResourceType.GROUP,
    On.CLUSTER: ResourceType.BROKER,
}
_OPERATIONS = {
    May.READ: AclOperation.READ,
    May.WRITE: AclOperation.WRITE,
    May.DESCRIBE: AclOperation.DESCRIBE,
}
_EVERYTHING = AclBindingFilter(
    ResourceType.ANY,
    None,  # type: ignore[arg-type]
    ResourcePatternType.ANY,
    None,  # type: ignore[arg-type]
    None,  # type: ignore[arg-type]
    AclOperation.ANY,
    AclPermissionType.ANY,
)

_silent = logging.getLogger("lianhu.eventing.broker")
_silent.addHandler(logging.NullHandler())
_silent.propagate = False


class Unanswered(Transient):
    """The broker did not answer, or did not do what it was asked."""

    slug = "broker-unanswered"


@dataclass(frozen=True, slots=True, order=True)
class Difference:
    """Something at the broker that is not as the registry says."""

    kind: str
    """`user`, `right` or `topic`."""
    what: str


class Broker:
    """A running broker, spoken to by its administrator."""

    def __init__(self, access: Access) -> None:
        self._client = AdminClient(access.librdkafka(), logger=_silent)

    def differences(self, publishers: Publishers) -> list[Difference]:
        """Users and rights that are missing, and those that nobody wrote down."""
        bindings, meant = self.bindings(), {_binding(right) for right in rights(publishers)}
        there, wanted = self.users(), set(users(publishers))
        return sorted(
            [
                *(Difference("user", f"{name} is missing") for name in wanted - set(there)),
                *(Difference("user", f"{name} is not registered") for name in set(there) - wanted),
                *(Difference("right", f"{_said(one)} is missing") for one in meant - bindings),
                *(Difference("right", f"{_said(one)} is not written") for one in bindings - meant),
            ]
        )

    def apply(self, publishers: Publishers, passwords: Path) -> None:
        """Make what is missing, take away what is not written down.

        The rights first: a user whom nobody registered any more is without them before it is gone.
        Raises ValueError when a password's file is not there.
        """
        wanted = users(publishers)
        known = {name: self._password(passwords, name) for name in wanted}
        bindings, meant = self.bindings(), {_binding(right) for right in rights(publishers)}
        self._take(bindings - meant)
        self._give(meant - bindings)
        there = self.users()
        self.set_passwords(known)
        self._forget({name: how for name, how in there.items() if name not in known})

    def set_passwords(self, passwords: Mapping[str, str]) -> None:
        """Let these users in with these passwords; a session that is open stays open."""
        info = ScramCredentialInfo(ScramMechanism.SCRAM_SHA_512, ITERATIONS)
        _all(
            self._client.alter_user_scram_credentials(
                [
                    UserScramCredentialUpsertion(name, info, password.encode())
                    for name, password in passwords.items()
                ],
                request_timeout=_SECONDS,
            ).values()
        )

    def users(self) -> dict[str, list[Any]]:
        """Who has a password, with the mechanisms it is known by.

        Ask for `bindings` first: whom the broker refuses this question, the client ends with its
        whole process (librdkafka 2.16).
        """
        found = _one(self._client.describe_user_scram_credentials(request_timeout=_SECONDS))
        return {
            name: [info.mechanism for info in described.scram_credential_infos]
            for name, described in found.items()
        }

    def bindings(self) -> set[AclBinding]:
        """Every right that the broker knows."""
        return set(_one(self._client.describe_acls(_EVERYTHING, request_timeout=_SECONDS)))

    def _give(self, bindings: Iterable[AclBinding]) -> None:
        if new := [*bindings]:
            _all(self._client.create_acls(new, request_timeout=_SECONDS).values())

    def _take(self, bindings: Iterable[AclBinding]) -> None:
        if old := [_exactly(binding) for binding in bindings]:
            _all(self._client.delete_acls(old, request_timeout=_SECONDS).values())

    def _forget(self, found: Mapping[str, list[Any]]) -> None:
        gone = [
            UserScramCredentialDeletion(name, mechanism)
            for name, mechanisms in found.items()
            for mechanism in mechanisms
        ]
        # the broker takes one mechanism of a user at a time
        for deletion in gone:
            _all(
                self._client.alter_user_scram_credentials(
                    [deletion], request_timeout=_SECONDS
                ).values()
            )

    def _password(self, folder: Path, user: str) -> str:
        found = secret_of(password_file(folder, user), None)
        if found is None or not found.get_secret_value():
            raise ValueError(f"the password's file of {user} is empty")
        return found.get_secret_value()


def _binding(right: Right) -> AclBinding:
    return AclBinding(
        _RESOURCES[right.on],
        right.name,
        ResourcePatternType.PREFIXED if right.prefixed else ResourcePatternType.LITERAL,
        f"User:{right.user}",
        "*",
        _OPERATIONS[right.may],
        AclPermissionType.ALLOW,
    )


def _exactly(binding: AclBinding) -> AclBindingFilter:
    return AclBindingFilter(
        binding.restype,
        binding.name,
        binding.resource_pattern_type,
        binding.principal,
        binding.host,
        binding.operation,
        binding.permission_type,
    )


def _said(binding: AclBinding) -> str:
    may = "may" if binding.permission_type is AclPermissionType.ALLOW else "may not"
    more = "…" if binding.resource_pattern_type is ResourcePatternType.PREFIXED else ""
    kind = "cluster" if binding.restype is ResourceType.BROKER else _word(binding.restype)
    host = "" if binding.host == "*" else f" from {binding.host}"
    who = binding.principal.removeprefix("User:")
    return f"{who} {may} {_word(binding.operation)} {kind} {binding.name}{more}{host}"


def _word(value: object) -> str:
    return str(getattr(value, "name", value)).lower()


def _one(future: Any) -> Any:
    try:
        return future.result(_SECONDS)
    except KafkaException as error:
        raise Unanswered(error.args[0].str()) from None


def _all(futures: Iterable[Future[Any]]) -> None:
    for future in futures:
        _one(future)
