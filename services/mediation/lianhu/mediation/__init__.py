"""Mediation: where a case is and how far; units, levels, escalation, settlement 调解."""
