"""Writes one more publisher into a registry's file, and leaves what stands there as it is."""

from __future__ import annotations

from pathlib import Path

import yaml

from lianhu.contracts.publishers import Publisher, Publishers


def register(path: Path, one: Publisher) -> None:
    """Add `one` at the end; comments and order stay. ValueError when the whole would not do.

    The file changes in one move: whoever reads it meanwhile reads the old one or the new one.
    """
    meant = Publishers(publishers=(*Publishers.read(path).publishers, one))
    draft = path.with_name(f"{path.name}.new")
    try:
        draft.write_text(_with(path.read_text(encoding="utf-8"), one), encoding="utf-8")
        if Publishers.read(draft) != meant:
            raise ValueError(f"{path.name} is no plain list that one more could be added to")
        draft.chmod(path.stat().st_mode & 0o777)
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


def _with(text: str, one: Publisher) -> str:
    told = one.model_dump(mode="json", exclude_defaults=True)
    entry = yaml.safe_dump([told], allow_unicode=True, sort_keys=False, width=1000)
    return text.rstrip("\n") + "\n" + "".join(f"  {line}\n" for line in entry.splitlines())
