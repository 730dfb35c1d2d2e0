"""Whole commands, from beginning to end: what `privaudit.api` and `privaudit.cli` call."""
