"""A small file system under one folder of the database, so that it can be full and nothing else.

It is a tmpfs, mounted over the folder with the folder's own content in it, and taken away again
with what has become of that content. So whoever uses the folder is stopped at both ends.
"""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

_PIECE = 64 * 1024
_BALLAST = "ballast"


class NotHere(Exception):
    """This machine does not let us make the fault; the message says why."""


@dataclass(frozen=True)
class SmallDisk:
    """The folder, while it is a file system of its own."""

    folder: Path

    def fill(self) -> None:
        """Take all the room that is left, to the last byte."""
        with (self.folder / _BALLAST).open("ab", buffering=0) as file:
            for piece in (_PIECE, 1):
                try:
                    while file.write(b"\0" * piece):
                        pass
                except OSError as error:
                    if error.errno != errno.ENOSPC:
                        raise

    @property
    def is_full(self) -> bool:
        """Whether it was filled and not freed again."""
        return (self.folder / _BALLAST).exists()

    def free(self) -> None:
        """Give it back."""
        (self.folder / _BALLAST).unlink()


def check_mounting() -> None:
    """Raises `NotHere` with the reason where no file system can be mounted."""
    if os.geteuid() != 0:
        raise NotHere("a small file system is mounted by root only")
    with TemporaryDirectory() as name:
        _mount(Path(name), "size=64k")
        _run("umount", name)


@contextmanager
def small_disk(folder: Path, room: int) -> Iterator[SmallDisk]:
    """The folder on a file system of its own with so many bytes of room.

    Nobody uses it at the beginning and at the end of the block.
    """
    disk = SmallDisk(folder)
    aside = folder.parent.with_name(f"{folder.name}-aside")
    used = int(_run("du", "--summarize", "--block-size=1", str(folder)).split()[0])
    owner = folder.stat()
    folder.rename(aside)
    folder.mkdir()
    try:
        _mount(folder, f"size={used + room},uid={owner.st_uid},gid={owner.st_gid},mode=0700")
        try:
            _move(aside, folder)
            yield disk
        finally:
            if disk.is_full:
                disk.free()
            _move(folder, aside)
            _run("umount", str(folder))
    finally:
        folder.rmdir()
        aside.rename(folder)


def _move(one: Path, other: Path) -> None:
    """All that a folder holds, owners and times with it."""
    _run("cp", "--archive", f"{one}/.", str(other))
    for path in one.iterdir():
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()


def _mount(folder: Path, options: str) -> None:
    try:
        _run("mount", "-t", "tmpfs", "-o", options, "none", str(folder))
    except (OSError, subprocess.CalledProcessError) as error:
        said = getattr(error, "stderr", None) or str(error)
        raise NotHere(f"a small file system cannot be mounted: {said.strip()}") from None


def _run(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout
