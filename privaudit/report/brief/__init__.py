"""The report's first two pages: an answer, a picture, and what to do now."""
