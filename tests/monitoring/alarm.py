"""The real Prometheus and the real Alertmanager on loopback, with our rules made impatient.

Rules, routes and inhibitions are those that are deployed; only addresses and waits are others:
a scrape each second, and two seconds of `for`.
"""

from __future__ import annotations

import json
import subprocess
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import yaml

from deploy.embedded import ports
from tests.monitoring.asked import ALERTMANAGER, PROMETHEUS, RULES

Pages = Mapping[tuple[str, str | None], str]


@dataclass
class Calls:
    """What a receiver was told, oldest first: audience path, state, labels."""

    told: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)

    def heard(self, path: str, status: str, **labels: str) -> bool:
        """Whether an alert with these labels arrived there in this state."""
        return any(
            (where, state) == (path, status) and labels.items() <= known.items()
            for where, state, known in list(self.told)
        )


@contextmanager
def receiver() -> Iterator[tuple[Calls, int]]:
    """A webhook receiver and its port."""
    calls = Calls()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            for alert in body["alerts"]:
                calls.told.append((self.path, alert["status"], alert["labels"]))
            self.send_response(200)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name
            pass

    server = ThreadingHTTPServer((ports.HOST, 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield calls, server.server_port
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def impatient_rules(folder: Path) -> None:
    """The deployed rules, each `for` two seconds."""
    for path in RULES:
        rules = yaml.safe_load(path.read_text(encoding="utf-8"))
        for group in rules["groups"]:
            group["interval"] = "1s"
            for rule in group["rules"]:
                if "for" in rule:
                    rule["for"] = "2s"
        (folder / path.name).write_text(yaml.safe_dump(rules, allow_unicode=True))


def prometheus_config(folder: Path, pages: Pages, alertmanager: int) -> Path:
    """The deployed configuration with other addresses."""
    config = yaml.safe_load(PROMETHEUS.read_text(encoding="utf-8"))
    config["global"] = {"scrape_interval": "1s", "scrape_timeout": "1s"}
    config["rule_files"] = [str(folder / path.name) for path in RULES]
    target = f"{ports.HOST}:{alertmanager}"
    config["alerting"]["alertmanagers"] = [{"static_configs": [{"targets": [target]}]}]
    config["scrape_configs"] = [
        {
            "job_name": job,
            "static_configs": [
                {"targets": [address], "labels": {} if service is None else {"service": service}}
                for (of, service), address in pages.items()
                if of == job
            ],
        }
        for job in dict.fromkeys(job for job, _ in pages)
    ]
    found = folder / "prometheus.yml"
    found.write_text(yaml.safe_dump(config))
    return found


def alertmanager_config(folder: Path, receiver_port: int) -> Path:
    """The deployed routes to a receiver of ours, without waits."""
    config = yaml.safe_load(ALERTMANAGER.read_text(encoding="utf-8"))
    _hasten(config["route"])
    for one in config["receivers"]:
        for hook in one["webhook_configs"]:
            hook["url"] = hook["url"].replace("alerts:9095", f"{ports.HOST}:{receiver_port}")
    found = folder / "alertmanager.yml"
    found.write_text(yaml.safe_dump(config))
    return found


def _hasten(route: dict[str, Any]) -> None:
    for name in ("group_wait", "group_interval"):
        if name in route:
            route[name] = "1s"
    for below in route.get("routes", ()):
        _hasten(below)


@contextmanager
def process(log: Path, *command: str) -> Iterator[None]:
    """A process for as long as a block of code, killed if it does not end when asked."""
    with log.open("wb") as out, subprocess.Popen(command, stdout=out, stderr=out) as running:
        try:
            yield
        finally:
            running.terminate()
            try:
                running.wait(20)
            except subprocess.TimeoutExpired:
                running.kill()
