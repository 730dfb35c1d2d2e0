"""Placeholder."""

from privaudit.report.parts import Report


def build_reproduction(studies):
    return Report(title="x", subtitle="", finding=[], facts=[], sections=[])
