"""The services' databases and roles on a server, made by its administrator wherever it runs."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from deploy.embedded.faults import Died, StackFault
from deploy.embedded.place import PROGRAMS, SITE_PACKAGES

SQL_AND_SETTINGS = Path(__file__).parents[1] / "postgres"
"""Shared with the server of the deployment."""
PSQL = SITE_PACKAGES / PROGRAMS / "psql"

# One at a time: two that change the same line at once fail.
_CLOSED = """\
BEGIN;
SELECT pg_advisory_xact_lock(hashtext('lianhu databases'));
REVOKE ALL ON DATABASE postgres, template1 FROM PUBLIC;
COMMIT;
"""


@dataclass(frozen=True)
class Dsns:
    """How to reach one service's database: as itself, as its owner, as the administrator."""

    database: str
    runtime: str
    owner: str
    admin: str


def database_sql(name: str, password: str, owner_password: str) -> str:
    """What psql is told of one service's database; see the file for what it does.

    Names and passwords hold letters, digits and _ only.
    """
    return f"""\
\\set name {name}
\\set password {password}
\\set owner_password {owner_password}
{(SQL_AND_SETTINGS / "database.sql").read_text()}"""


def without_postgres() -> dict[str, str]:
    """Our environment without the variables that would lead a client of PostgreSQL elsewhere."""
    return {key: value for key, value in os.environ.items() if not key.startswith("PG")}


@dataclass(frozen=True)
class Databases:
    """A server at an address. `password`: a role's, which is made when it is first asked for."""

    host: str
    port: int
    admin: str
    password: Callable[[str], str]

    def create(self, names: Sequence[str]) -> Mapping[str, Dsns]:
        """Create services' databases and their two roles each, or bring them to order."""
        for name in names:
            if not re.fullmatch(r"[a-z][a-z0-9_]{0,40}", name):
                raise StackFault(f"{name!r} cannot be a database's name.")
        self.psql(
            _CLOSED
            + "".join(
                database_sql(name, self.password(name), self.password(f"{name}_owner"))
                for name in names
            )
        )
        return {name: self.dsns(name) for name in names}

    def dsns(self, name: str) -> Dsns:
        """The addresses of a service's database."""
        return Dsns(
            database=name,
            runtime=self.dsn(name, name),
            owner=self.dsn(f"{name}_owner", name),
            admin=self.dsn(self.admin, name),
        )

    def dsn(self, role: str, database: str) -> str:
        """The address of a database, as a role."""
        where = f"{self.host}:{self.port}/{database}"
        # No TLS on the loopback; some clients (the migrator's) would insist on it.
        password = quote(self.password(role), safe="")
        return f"postgresql://{role}:{password}@{where}?sslmode=disable"

    def psql(self, sql: str, database: str = "postgres") -> str:
        """Run SQL as the administrator; what it prints, unaligned. Raises `Died` on an error."""
        result = subprocess.run(
            [
                *(PSQL, "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1"),
                *("-h", self.host, "-p", str(self.port), "-U", self.admin, "-d", database),
                *("-f", "-"),
            ],
            input=sql,
            env={**without_postgres(), "PGPASSWORD": self.password(self.admin)},
            capture_output=True,
            text=True,
            check=False,
            start_new_session=True,
        )
        if result.returncode != 0:
            raise Died(f"postgres refused what was asked of it: {result.stderr.strip()}")
        return result.stdout
