"""From a report to a text message and an e-mail, through all four services and real receivers."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from importlib.resources import files
from pathlib import Path

import pytest
import yaml

from deploy.embedded import session
from lianhu.jurisdiction import SHANGHAI
from tests import receivers
from tests.checker.collect import judge
from tests.demo.wire import Sender, Watcher

pytestmark = pytest.mark.timeout(240)

SERVICES = ("intake", "mediation", "welfare", "notify")
PLACE = {"division": "440304001019"}
QUARREL = {
    "channel": "hotline-12338",
    "narrative": "夫妻为了孩子上学的事情长期争吵，希望有人帮助调解。",
    "place": PLACE,
    "concerned": {"name": "钟离玉", "email": "yu.zhongli@example.org"},
    "safe_contact": {"allowed": ["email"], "language": "zh-Hant"},
}
VIOLENCE = {
    "channel": "hotline-12338",
    "narrative": "丈夫昨晚动手打伤了她。",
    "place": PLACE,
    "indicators": {"physical_violence": True, "injury": True},
    "concerned": {"name": "司空月", "phone": "13603018801"},
    "safe_contact": {"allowed": ["sms"]},
}
NOTHING_SAFE = {
    **VIOLENCE,
    "concerned": {"name": "公孙兰", "phone": "13603018802"},
    "safe_contact": {"allowed": []},
}


@pytest.fixture
def policy(tmp_path: Path) -> Path:
    """The shipped policy with its quiet hours half a day away, whenever this runs."""
    given = yaml.safe_load((files("lianhu.notify") / "policy.yaml").read_text(encoding="utf-8"))
    away = datetime.now(UTC).astimezone(SHANGHAI) + timedelta(hours=12)
    given["quiet"]["start"] = f"{away:%H:%M}"
    given["quiet"]["end"] = f"{away + timedelta(minutes=1):%H:%M}"
    file = tmp_path / "policy.yaml"
    file.write_text(yaml.safe_dump(given, allow_unicode=True), encoding="utf-8")
    return file


def test_people_are_told_by_their_safe_way_and_where_there_is_none_an_officer_is(
    tmp_path: Path, policy: Path
) -> None:
    book = tmp_path / "book"
    with receivers.apart(book) as (smtp, http):
        lines = {
            "LIANHU_NOTIFY_POLICY_FILE": str(policy),
            **receivers.lines_to(smtp, http),
        }
        with session(environment="test", extra=lines) as running:
            sender, watcher = Sender(running.bootstrap), Watcher(running.bootstrap, lambda _: None)
            try:
                for number, body in enumerate((QUARREL, VIOLENCE, NOTHING_SAFE)):
                    sender.report("hotline-futian", f"r-{number}", json.dumps(body).encode())
                sender.flush()
                watcher.until(
                    "three cases, two people told, one visit asked",
                    lambda found: (
                        len(found.cases) == 3
                        and len(receivers.read(book)) == 2
                        and any(case.all("visit-asked") for case in found.cases.values())
                    ),
                    90,
                )
            finally:
                watcher.close()
            dsns = {name: running.dsns(name).runtime for name in SERVICES}
            verdict = judge(running.bootstrap, dsns, within=20, received=book)
            assert verdict.ok, verdict.lines()
    told = {one.to: one for one in receivers.read(book)}
    assert told.keys() == {"yu.zhongli@example.org", "13603018801"}
    assert "已登記" in told["yu.zhongli@example.org"].subject
    neutral = told["13603018801"].text
    assert neutral.startswith("您好！")
    assert "440304" not in neutral
