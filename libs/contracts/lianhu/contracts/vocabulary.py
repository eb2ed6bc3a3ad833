"""The words that several messages share, each with its Chinese term."""

from __future__ import annotations

from enum import StrEnum


class Channel(StrEnum):
    """By which way a report came 来源渠道."""

    HOTLINE_12338 = "hotline-12338"  # 12338 妇女维权热线
    HOTLINE_OTHER = "hotline-other"  # 其他热线
    WALK_IN = "walk-in"  # 来访
    LETTER = "letter"  # 来信
    ONLINE = "online"  # 网络
    ROBOT = "robot"  # 法律咨询机器人
    PUBLIC_OPINION = "public-opinion"  # 舆情
    COURT = "court"  # 法院
    POLICE = "police"  # 公安
    SCHOOL = "school"  # 学校
    HOSPITAL = "hospital"  # 医院
    GRID = "grid"  # 网格员
    SCREENING = "screening"  # 排查
    CONTACT_POINT = "contact-point"  # 妇女小组、妇女之家


class Category(StrEnum):
    """What a matter is about 案件类别. Violence is not nested under family in routing."""

    FAMILY_DISPUTE = "family-dispute"  # 婚姻家庭纠纷
    DOMESTIC_VIOLENCE = "domestic-violence"  # 家庭暴力
    PERSONAL_RIGHTS = "personal-rights"  # 人身权益
    LABOUR = "labour"  # 劳动权益
    MINOR = "minor"  # 未成年人
    OTHER = "other"  # 其他


class Risk(StrEnum):
    """How grave and how urgent 风险等级, from green to red."""

    GREEN = "green"
    YELLOW = "yellow"
    ORANGE = "orange"
    RED = "red"

    @property
    def rank(self) -> int:
        """0 for green to 3 for red."""
        return _RISKS.index(self)


_RISKS = tuple(Risk)


class Path(StrEnum):
    """Whether a case may be mediated at all 办理路径."""

    MEDIATION = "mediation"  # 调解
    PROTECTION = "protection"  # 保护


class Ground(StrEnum):
    """Why a case is not mediated 不适宜调解的情形 (人民调解若干规定 §22, and policy)."""

    VIOLENCE_WITH_INJURY = "violence-with-injury"  # 暴力致伤
    GRAVE_DANGER = "grave-danger"  # 现实危险
    ORDER_IN_FORCE = "order-in-force"  # 人身安全保护令或告诫书有效期内
    COERCION = "coercion"  # 胁迫
    SEXUAL_OFFENCE = "sexual-offence"  # 性侵害
    MINOR_VICTIM = "minor-victim"  # 未成年人受害
    WITH_POLICE_OR_COURT = "with-police-or-court"  # 公安或法院已受理


class Authority(StrEnum):
    """A partner authority 联动单位."""

    POLICE = "police"  # 公安
    CIVIL_AFFAIRS = "civil-affairs"  # 民政
    PROCURATORATE = "procuratorate"  # 检察院
    COURT = "court"  # 法院
    JUSTICE = "justice"  # 司法行政
    EDUCATION = "education"  # 教育
    HEALTH = "health"  # 卫健


class PartnerSays(StrEnum):
    """What a partner authority says of what it was asked."""

    RECEIVED = "received"  # 已签收
    FILED = "filed"  # 已立案
    ANSWERED = "answered"  # 已反馈
    DECLINED = "declined"  # 不予受理


class Chase(StrEnum):
    """How a silent partner is chased, from the mildest (妇女权益保障法 §73)."""

    REMINDER = "reminder"  # 催办
    DEMAND = "demand"  # 要求查处
    SUPERVISION_LETTER = "supervision-letter"  # 督促处理意见书
    GOVERNMENT = "government"  # 提请同级政府督查


class PublisherKind(StrEnum):
    """What sort of system a publisher is; it decides which topics it has."""

    REPORTING = "reporting"  # 报告来源
    OFFICERS = "officers"  # 妇联工作系统
    PARTNER = "partner"  # 联动单位
    TREASURY = "treasury"  # 财政支付


class Language(StrEnum):
    """In which language a notice is written."""

    ZH_CN = "zh-CN"
    ZH_HANT = "zh-Hant"
    EN = "en"


class Holder(StrEnum):
    """Whose contact a card gives."""

    SELF = "self"  # 本人
    GUARDIAN = "guardian"  # 监护人


class LegalBasis(StrEnum):
    """Why personal data may be processed at all (个人信息保护法 §13)."""

    CONSENT = "consent"
    STATUTORY_DUTY = "statutory-duty"
    EMERGENCY = "emergency"


class Relation(StrEnum):
    """Who the reporter is to the person concerned 报告人与当事人的关系."""

    SELF = "self"
    FAMILY = "family"
    NEIGHBOUR = "neighbour"
    PROFESSIONAL = "professional"
    OTHER = "other"
    UNKNOWN = "unknown"


class Party(StrEnum):
    """One of the two sides of a matter 当事人."""

    CONCERNED = "concerned"
    OTHER = "other"


class VisitStep(StrEnum):
    """The four-step visit 四步走访, in its order."""

    FIND_RISKS = "find-risks"  # 摸排隐患
    SETTLE = "settle"  # 化解冲突
    EXPLAIN_LAW = "explain-law"  # 法律普及
    SUPPORT = "support"  # 后续支持


class DeadlineKind(StrEnum):
    """Which clock of a case 时限."""

    ACCEPT = "accept"  # 受理
    FIRST_VISIT = "first-visit"  # 首次走访
    CONSENT = "consent"  # 征询双方意愿
    CONCLUDE = "conclude"  # 办结


class Outcome(StrEnum):
    """How the mediation of a case ended 调解结果."""

    SETTLED = "settled"  # 调解成功并履行
    FAILED = "failed"  # 调解不成
    PARTY_REFUSED = "party-refused"  # 一方明确拒绝
    PROTECTED = "protected"  # 保护措施已落实


class AgreementForm(StrEnum):
    """Written (signatures and seal) or oral (recorded) 协议形式."""

    WRITTEN = "written"
    ORAL = "oral"


class AudienceRole(StrEnum):
    """As what somebody hears of an event 通知对象."""

    OWNING_UNIT = "owning-unit"
    UNIT_LEFT = "unit-left"
    UNIT_REACHED = "unit-reached"
    INFORMED_UNIT = "informed-unit"
    """Below the owning unit, on the protection path; it acts when it is asked."""
    FINANCE = "finance"
    """The finance post 财务 of a unit."""
    PERSON_CONCERNED = "person-concerned"
    OTHER_PARTY = "other-party"


class NoticeChannel(StrEnum):
    """By which way a notice leaves 通知渠道."""

    IN_APP = "in-app"  # 站内消息
    EMAIL = "email"  # 电子邮件
    SMS = "sms"  # 短信
