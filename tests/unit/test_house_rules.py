"""The rules of the house that no other tool checks, over the source of libraries and services."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = sorted(
    path for top in ("libs", "services") for path in (ROOT / top).rglob("lianhu/**/*.py")
)
SERVICES = ("intake", "mediation", "welfare", "notify")
ROOMS = (
    "__init__.py",
    "__main__.py",
    "app.py",
    "policy.py",
    "policy.yaml",
    "settings.py",
    "migrations",
)
SQL = re.compile(r"\b(SELECT\b.+\bFROM|INSERT INTO|UPDATE\b.+\bSET|DELETE FROM|TRUNCATE)\b", re.S)
CLOCKS = {"now", "utcnow", "today", "time", "monotonic"}
LINES = 400


def called(path: Path) -> str:
    return str(path.relative_to(ROOT))


def strings(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """All string literals that are no docstrings."""
    docs = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docs:
            yield node.lineno, node.value


def clock_calls(tree: ast.AST) -> Iterator[int]:
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and node.func.attr in CLOCKS
            and isinstance(node.func.value, ast.Name)
            and node.func.value.id in ("datetime", "date", "time")
        ):
            yield node.lineno


@pytest.mark.parametrize("path", SOURCES, ids=called)
def test_a_file_says_what_it_is_about_and_is_about_one_thing(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.startswith('"""'), "its first line says which one thing it is about"
    assert len(text.splitlines()) <= LINES, "it wants to be two"


@pytest.mark.parametrize("path", SOURCES, ids=called)
def test_sql_stands_in_the_engine_and_in_stores_only(path: Path) -> None:
    if "eventing" in path.parts or path.name == "store.py":
        return
    tree = ast.parse(path.read_text(encoding="utf-8"))
    assert [line for line, text in strings(tree) if SQL.search(text)] == []


@pytest.mark.parametrize("path", SOURCES, ids=called)
def test_the_machine_s_clock_is_read_in_one_place(path: Path) -> None:
    if path.parts[-2:] == ("eventing", "clock.py"):
        return
    tree = ast.parse(path.read_text(encoding="utf-8"))
    assert list(clock_calls(tree)) == []


@pytest.mark.parametrize("service", SERVICES)
def test_every_service_has_the_same_rooms(service: str) -> None:
    home = ROOT / "services" / service / "lianhu" / service
    missing = [room for room in ROOMS if not (home / room).exists()]
    assert missing == []
    assert (home / "workflow.py").exists() or (home / "workflow" / "__init__.py").exists()


def test_the_rules_here_can_be_broken() -> None:
    tree = ast.parse('x = "SELECT a FROM b"\ny = datetime.now()')
    assert [line for line, text in strings(tree) if SQL.search(text)] == [1]
    assert list(clock_calls(tree)) == [2]
