"""Data that is at hand in Python, ``privaudit.score(data=…)``: tables, arrays, datasets of other libraries."""
