"""`make secrets`: every secret of the deployment that is missing, random, as files.

    deploy/secrets/master.key             wraps all data keys: without it nothing can be read again
    deploy/secrets/postgres/ROLE          passwords of the database's roles
    deploy/secrets/kafka/passwords/USER.password, ca.crt, broker.pem, ca.key
    deploy/secrets/grafana/admin

What is there stays. Beside them: `deploy/registry/publishers.yaml`, the registry of publishers,
the demo's until a city writes its own, and in `deploy/.env` which group may read the secrets, and
by which id the brokers of one cluster know each other. And `deploy/backup`, for base backups and
the archive of the database's log. LIANHU_SECRETS, LIANHU_REGISTRY and LIANHU_BACKUP name other
folders, in the environment or in `deploy/.env`.
"""

from __future__ import annotations

import os
import secrets
import sys
import uuid
from base64 import urlsafe_b64encode
from importlib.resources import files
from pathlib import Path

from deploy.embedded.postgres import ADMIN as DATABASE_ADMIN
from deploy.embedded.services import SERVICES
from deploy.embedded.stack import make_master_key
from deploy.environment import folder_of, remember, said
from deploy.kafka.certificates import CA_KEY, make_authority, make_broker
from lianhu.contracts.publishers import Publishers
from lianhu.contracts.rights import users
from lianhu.eventing.users import make_password

MONITOR = "lianhu_monitor"
GROUP = 10001
"""The group that every container is in; made by root, the files are its own."""


def main() -> int:
    """Make what is missing, and say how much."""
    own = folder_of("LIANHU_SECRETS")
    made = make(own, folder_of("LIANHU_REGISTRY") / "publishers.yaml")
    group = open_to_containers(own)
    make_backups(folder_of("LIANHU_BACKUP"), group)
    if "LIANHU_SECRETS_GROUP" not in os.environ:
        remember({"LIANHU_SECRETS_GROUP": str(group)})
    if said("LIANHU_CLUSTER_ID") is None:
        remember({"LIANHU_CLUSTER_ID": cluster_id()})
    print(f"{made} secrets were made; what was there stays.")
    return 0


def make(folder: Path, registry: Path) -> int:
    """Every secret that is missing; how many files were made."""
    before = set(folder.rglob("*"))
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not registry.exists():
        registry.parent.mkdir(parents=True, exist_ok=True)
        registry.write_bytes((files("lianhu.contracts") / "publishers.yaml").read_bytes())
    make_master_key(folder / "master.key")
    for role in (DATABASE_ADMIN, MONITOR, *roles()):
        _make(folder / "postgres" / role)
    _make(folder / "grafana" / "admin")
    for user in users(Publishers.read(registry)):
        make_password(folder / "kafka" / "passwords", user)
    make_authority(folder / "kafka")
    outside = said("LIANHU_PUBLIC_HOST") or "localhost"
    make_broker(
        folder / "kafka", ("kafka", "kafka-2", "kafka-3", "localhost", "127.0.0.1", outside)
    )
    return sum(path.is_file() for path in set(folder.rglob("*")) - before)


def roles() -> list[str]:
    """The two of each service's database."""
    return [role for service in SERVICES for role in (service, f"{service}_owner")]


def open_to_containers(folder: Path) -> int:
    """Let one group read what containers need, and on this machine nobody else; that group.

    The folder itself is closed to all but its owner; a container is given files out of it.
    """
    group = GROUP if os.geteuid() == 0 else os.getegid()
    folder.chmod(0o700)
    for path in folder.rglob("*"):
        if path.name == CA_KEY:
            path.chmod(0o600)
            continue
        os.chown(path, -1, group)
        path.chmod(0o750 if path.is_dir() else 0o640)
    return group


def make_backups(folder: Path, group: int) -> None:
    """The folder in which the database's container writes its backups, closed to all others."""
    folder.mkdir(parents=True, exist_ok=True)
    os.chown(folder, -1, group)
    folder.chmod(0o770)


def cluster_id() -> str:
    """As Kafka writes one; a first `-` would be an option of its tools."""
    return f"L{urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip('=')[1:]}"


def _make(path: Path) -> None:
    """A password of letters and digits, since it also stands in addresses and in SQL."""
    if path.exists():
        return
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_name(f"{path.name}.new")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(secrets.token_hex(24))
    draft.replace(path)


if __name__ == "__main__":
    sys.exit(main())
