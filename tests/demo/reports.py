"""The reports of the demo: some by seven channels, two publishers, four of them not valid."""

from __future__ import annotations

from typing import Any

HOTLINE, GRID, OFFICERS = "hotline-futian", "grid-futian", "officers-shenzhen"
POLICE, TREASURY = "police-futian", "treasury-futian"

Report = tuple[str, str, dict[str, Any]]
"""Publisher, id, body."""

_PLACES = ("440304001019", "440304001020", "440304001023")


def _report(channel: str, narrative: str, place: int, **more: Any) -> dict[str, Any]:
    return {
        "channel": channel,
        "narrative": narrative,
        "place": {"division": _PLACES[place % len(_PLACES)]},
        **more,
    }


_SHE = {
    "name": "王小红",
    "phone": "138 0013 8001",
    "born": "1990-02-28",
    "document": {"number": "440304199002281234"},
}
_HE = {"name": "陈大强", "phone": "139-0013-9002"}

REPORTS: tuple[Report, ...] = (
    (
        HOTLINE,
        "story-1",
        _report(
            "hotline-12338",
            "夫妻因家务分工和孩子教育多次争吵。",
            0,
            concerned={"name": "何玉兰", "email": "yulan.he@example.org"},
            safe_contact={"allowed": ["email"]},
        ),
    ),
    (HOTLINE, "story-2", _report("walk-in", "婚后感情不和，想离婚，希望有人调解。", 1)),
    (HOTLINE, "story-3", _report("letter", "婆媳矛盾多年，家庭不睦，请帮助调解。", 2)),
    (HOTLINE, "r-04", _report("online", "公司拖欠工资三个月，劳动合同也没有签。", 0)),
    (HOTLINE, "r-05", _report("hotline-12338", "丈夫长期不归家，不给抚养费。", 1)),
    (HOTLINE, "r-06", _report("walk-in", "老人赡养问题，兄妹争执。", 2)),
    (GRID, "r-07", _report("grid", "网格员入户，邻居反映夫妻争吵。", 0)),
    (
        GRID,
        "r-08",
        _report(
            "school",
            "老师反映学生家长离婚纠纷影响孩子。",
            1,
            concerned={"name": "李小雨", "phone": "13800000001"},
        ),
    ),
    (
        GRID,
        "r-09",
        _report("grid", "丈夫酒后殴打妻子。", 2, indicators={"physical_violence": True}),
    ),
    (GRID, "r-10", _report("grid", "怀孕后被公司辞退。", 0)),
    (GRID, "r-11", _report("school", "离异家庭探望权纠纷。", 1)),
    (HOTLINE, "r-12", _report("letter", "分居多年，财产分割有争议。", 2)),
    (HOTLINE, "r-13", _report("online", "彩礼返还纠纷。", 0)),
    (HOTLINE, "r-14", _report("hotline-12338", "与丈夫因买房争吵。", 1)),
    (GRID, "r-15", _report("grid", "夫妻冷战，希望社区上门。", 2)),
    (HOTLINE, "r-16", {"channel": "walk-in", "narrative": "婚姻咨询，没有留下地址。"}),
    (
        HOTLINE,
        "story-4",
        _report(
            "hotline-12338",
            "昨晚被丈夫打伤，眼眶骨折，已去医院。",
            1,
            indicators={"physical_violence": True, "injury": True},
            reporter={"relation": "self"},
            concerned=_SHE,
            other_party=_HE,
            safe_contact={"allowed": ["sms"], "hours": {"start": "00:00", "end": "00:00"}},
        ),
    ),
    (
        GRID,
        "story-5",
        _report(
            "school",
            "班主任发现学生身上多处伤痕。",
            0,
            indicators={"minor_victim": True, "guardian_suspected": True},
            concerned={"name": "周小宝", "born": "2018-06-01"},
        ),
    ),
    (HOTLINE, "story-6", _report("walk-in", "丈夫去世后独自抚养孩子，生活困难。", 0)),
    (HOTLINE, "story-7", _report("walk-in", "下岗后无收入，家中老人生病。", 1)),
    (
        HOTLINE,
        "story-8",
        _report(
            "walk-in",
            "长期被丈夫跟踪威胁，手机也被他看着，请不要打电话。",
            2,
            indicators={"physical_violence": True, "injury": True},
            concerned={"name": "沈静宜", "phone": "13700137003"},
            safe_contact={"allowed": [], "note": "手机在他手里"},
        ),
    ),
    (HOTLINE, "bad-place", _report("walk-in", "x", 0) | {"place": {"division": "12"}}),
    (HOTLINE, "outside", _report("walk-in", "x", 0) | {"place": {"division": "440305000000"}}),
    (HOTLINE, "three-faults", {"channel": "fax", "narrative": "", "wrong_field": 1}),
    (GRID, "not-its-channel", _report("letter", "信件由网格转来。", 0)),
)

LATER: tuple[Report, ...] = (
    next(one for one in REPORTS if one[1] == "story-1"),
    (
        GRID,
        "story-4-police",
        _report("police", "出警记录：住户被丈夫打伤。", 1, concerned={**_SHE, "name": "王 小紅"}),
    ),
    (
        HOTLINE,
        "story-4-other",
        _report(
            "hotline-12338",
            "妻子离家不归，希望帮助找她回来。",
            1,
            reporter={**_HE, "relation": "self"},
        ),
    ),
)
"""What comes when all of those are cases: one of them again, and the same matter by other ways."""
