"""The JSON schema of ``report.json``, made from the dataclasses: ``make schema`` writes it anew."""

from __future__ import annotations

import json
import sys
from typing import Any

from pydantic import TypeAdapter

from privaudit.report.content.elements import FORMAT, Report


def schema() -> dict[str, Any]:
    """JSON Schema (2020-12) of a report; other programs may read `FORMAT` reports by it."""
    made = TypeAdapter(Report).json_schema()
    made["properties"]["format"] = {"const": FORMAT}
    # Every field is written, those with a default too; but for two that not every report has.
    for part in (made, *made["$defs"].values()):
        part["required"] = list(part["properties"])
        part["additionalProperties"] = False
    made["required"] = [name for name in made["required"] if name not in ("glance", "brief")]
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **made}


if __name__ == "__main__":
    sys.stdout.write(json.dumps(schema(), indent=2) + "\n")
