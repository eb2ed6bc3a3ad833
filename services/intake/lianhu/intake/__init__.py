"""Intake: reports become cases; triage, risk, jurisdiction, opening and closing 接报与立案."""
