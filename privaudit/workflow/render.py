from pathlib import Path
def render_report(folder: Path) -> dict[str, str | None]:
    return {"html": None, "pdf": None}
