"""What events and their words are called on the screen, zh-CN first."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

from lianhu.jurisdiction import SHANGHAI, Divisions

UNITS = Divisions.shenzhen()

CHANNELS = {
    "hotline-12338": "12338",
    "hotline-other": "其他热线",
    "walk-in": "来访",
    "letter": "来信",
    "online": "网络",
    "robot": "机器人",
    "public-opinion": "舆情",
    "court": "法院",
    "police": "公安",
    "school": "学校",
    "hospital": "医院",
    "grid": "网格",
    "screening": "排查",
    "contact-point": "妇女之家",
}
CATEGORIES = {
    "family-dispute": "婚姻家庭纠纷",
    "domestic-violence": "家庭暴力",
    "personal-rights": "人身权益",
    "labour": "劳动权益",
    "minor": "未成年人",
    "other": "其他",
}
RISKS = {"green": "绿", "yellow": "黄", "orange": "橙", "red": "红"}
LEVELS = {"community": "社区", "street": "街道", "district": "区", "city": "市"}
DEADLINES = {
    "accept": "受理",
    "first-visit": "首次走访",
    "consent": "征询双方意愿",
    "conclude": "办结",
}
OUTCOMES = {
    "settled": "调解成功并履行",
    "failed": "调解不成",
    "party-refused": "一方拒绝调解",
    "protected": "已落实保护措施",
}
PARTIES = {"concerned": "当事人", "other": "另一方"}
STEPS = {
    "find-risks": "摸排隐患",
    "settle": "化解冲突",
    "explain-law": "法律普及",
    "support": "后续支持",
}


def unit(code: str) -> str:
    """A unit's name, short: 南园社区."""
    found = UNITS.get(code)
    return code if found is None else found.name.removesuffix("居委会")


def moment(text: str) -> str:
    """A moment in Shenzhen, to the minute."""
    return datetime.fromisoformat(text).astimezone(SHANGHAI).strftime("%Y-%m-%d %H:%M")


def span(length: timedelta) -> str:
    """A length of domain time: 14 天 3 小时."""
    minutes = int(length.total_seconds() // 60)
    days, hours = minutes // 1440, minutes % 1440 // 60
    if days:
        return f"{days} 天 {hours} 小时" if hours else f"{days} 天"
    if hours:
        return f"{hours} 小时"
    return f"{minutes} 分" if minutes else "1 分以内"


def say(name: str, data: Mapping[str, Any]) -> str:
    """An event in a few words; empty for one that has none."""
    words = _EVENTS.get(name)
    return "" if words is None else words(data)


_EVENTS: Mapping[str, Callable[[Mapping[str, Any]], str]] = {
    "case-opened": lambda d: (
        f"立案 opened：{CATEGORIES[d['category']]}，风险{RISKS[d['risk']]}，首办 {unit(d['unit'])}"
    ),
    "case-offered": lambda d: (
        f"派单 offered：{unit(d['unit'])}，{moment(d['accept_by']['at'])} 前受理"
    ),
    "case-accepted": lambda d: (
        f"受理 accepted：{unit(d['unit'])}，{moment(d['conclude_by']['at'])} 前办结"
    ),
    "case-assigned": lambda d: "指派 assigned：调解员",
    "consent-recorded": lambda d: (
        f"意愿 consent：{PARTIES[d['party']]}{'同意' if d['consents'] else '拒绝'}调解"
    ),
    "visit-recorded": lambda d: f"走访 visit：{STEPS[d['step']]}",
    "agreement-reached": lambda d: (
        "协议 agreement：达成"
        + (f"，缺走访 {'、'.join(STEPS[s] for s in d['missing_steps'])}" * bool(d["missing_steps"]))
    ),
    "note-added": lambda d: "备注 note",
    "case-concluded": lambda d: f"办结 concluded：{OUTCOMES[d['outcome']]}",
    "case-escalated": lambda d: (
        f"升级 escalated：逾期未{DEADLINES[d['missed']]}，"
        f"{unit(d['from_unit'])} → {unit(d['to_unit'])}"
    ),
    "case-overdue": lambda d: f"超期 overdue：{unit(d['unit'])}，{DEADLINES[d['missed']]}",
    "case-closed": lambda d: f"结案 closed：{OUTCOMES[d['outcome']]}",
}
