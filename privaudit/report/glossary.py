"""The words of the field in plain language, and where the methods come from."""

from __future__ import annotations

from privaudit.report.content.elements import Term
from privaudit.report.content.texts import terms, texts

GLOSSARY = [Term(name, meaning) for name, meaning in terms("glossary").items()]
REFERENCES = texts("references")
