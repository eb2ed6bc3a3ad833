"""Notify: who was told what, by which channel, and how each notice ended 通知."""
