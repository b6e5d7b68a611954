"""The part of a report that tells whether the engine is right."""

from __future__ import annotations

from .tables import of, table


def programs(rows: list[dict]) -> list[str]:
    broken = [row for row in of(rows, "program") if not row["starts"]]
    return (
        (
            ["### Programs that don't start", ""]
            + table(["program", "why"], [[row["name"], row["reason"]] for row in broken])
        )
        if broken
        else []
    )


def tests(rows: list[dict]) -> list[str]:
    found = of(rows, "tests")
    if not found:
        return []
    lines = ["### Tests", ""] + table(
        ["program", "outcome", "passed", "failed", "skipped", "seconds"],
        [
            [
                row["program"],
                "passed" if row["good"] else "cut off" if row["cut_off"] else "FAILED",
                row["passed"],
                len(row["failed"]),
                sum(row["skipped"].values()),
                row["seconds"],
            ]
            for row in sorted(found, key=lambda row: (row["good"], row["program"]))
        ],
        2,
    )
    failures = [f"* {row['program']}: {name}" for row in found for name in row["failed"]]
    reasons: dict[str, int] = {}
    for row in found:
        for reason, count in row["skipped"].items():
            reasons[reason] = reasons.get(reason, 0) + count
    lines += ["Failed:", "", *failures, ""] if failures else []
    lines += ["Skipped:", "", *[f"* {count}: {reason}" for reason, count in reasons.items()], ""] if reasons else []
    return lines


def sanitizers(rows: list[dict]) -> list[str]:
    found = of(rows, "sanitizer")
    if not found:
        return []
    tools = list(dict.fromkeys(row["tool"] for row in found))
    by = {(row["program"], row["tool"]): row for row in found}
    programs_ = sorted({row["program"] for row in found})
    return ["### compute-sanitizer", ""] + table(
        ["program", *tools],
        [[program, *[told_by(by.get((program, kind))) for kind in tools]] for program in programs_],
        1 + len(tools),
    )


def told_by(row: dict | None) -> str:
    return "" if row is None else row["outcome"] + (f", {row['seconds']:.0f} s" if "seconds" in row else "")


def samples(rows: list[dict]) -> list[str]:
    found = of(rows, "samples")
    if not found:
        return []
    names = sorted(found[0]["cpu"])
    return ["### Logits of the samples", ""] + table(
        ["", *names, "worst deviation", "limit"],
        [["CPU, fp32", *[f"{found[0]['cpu'][name]:.4f}" for name in names], "", ""]]
        + [
            [
                f"{row['precision']}{'' if row['good'] else ', DIFFERS'}",
                *[f"{row['logits'][name]:.4f}" if name in row["logits"] else "none" for name in names],
                row["deviation"],
                row["limit"],
            ]
            for row in found
        ],
    )


def curves(rows: list[dict]) -> list[str]:
    found = of(rows, "curve")
    if not found:
        return []
    steps = max(len(row["losses"]) for row in found)
    shown = sorted({1, 2, 3, 5, 10, 15, steps} & set(range(1, steps + 1)))
    cpu = next((row["losses"] for row in found if row["device"] == "cpu"), [])
    return ["### Loss of a short training run, from one seed", ""] + table(
        ["engine", *[f"step {step}" for step in shown], "farthest from the CPU's", "validation accuracy", "seconds"],
        [
            [
                f"{row['device']}, {row['precision']}",
                *[f"{row['losses'][step - 1]:.5f}" if step <= len(row["losses"]) else "" for step in shown],
                max((abs(a - b) for a, b in zip(row["losses"], cpu)), default=None) if row["device"] != "cpu" else "",
                row.get("accuracy"),
                row["seconds"],
            ]
            for row in sorted(found, key=lambda row: row["device"] != "cpu")
        ],
    )


PARTS = (programs, tests, sanitizers, samples, curves)
