"""Tables and numbers in Markdown."""

from __future__ import annotations

from typing import Iterable


def table(head: Iterable[str], rows: Iterable[Iterable[object]], left: int = 1) -> list[str]:
    head, rows = list(head), [[cell(value) for value in row] for row in rows]
    if not rows:
        return []
    rule = ["---" if i < left else "---:" for i in range(len(head))]
    return ["| " + " | ".join(line) + " |" for line in [head, rule, *rows]] + [""]


def cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return number(value)
    return str(value).replace("|", "\\|").replace("\n", " ")


def number(value: float) -> str:
    """Three figures and more: 123456, 12345, 123, 12.3, 0.123."""
    if value != value:
        return "NaN"
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def of(rows: list[dict], kind: str) -> list[dict]:
    return [row for row in rows if row["row"] == kind]
