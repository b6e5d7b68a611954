"""The rows of one call or of several as a report for people, Markdown. However a call ended, its rows make a report."""

from __future__ import annotations

from . import correctness_report, performance_report
from .tables import cell, of, table


def report(calls: list[list[dict]]) -> str:
    calls = [rows for rows in calls if rows]
    lines = ["# On a GPU", ""]
    if sum(bool(of(rows, "call")) for rows in calls) > 1:
        lines += ["Where two calls measured the same, the later one's figure stands.", ""]
    if any(call["emulated"] for rows in calls for call in of(rows, "call")):
        lines = ["# Dry run on the emulated device: no figure here is a GPU's", ""]
    for rows in calls:
        lines += header(rows)
    every = newest([row for rows in calls for row in rows])
    for part in (states, *correctness_report.PARTS, *performance_report.PARTS, notes):
        lines += part(every)
    return "\n".join(lines).rstrip() + "\n"


# What two rows of a kind have in common that measured the same.
SAME = {
    "measured": ("mode", "part", "operation", "variant", "precision", "batch", "size"),
    "peer": ("phase", "peer", "precision", "batch"),
    "tests": ("program",),
    "sanitizer": ("tool", "program"),
    "samples": ("precision",),
    "curve": ("device", "precision"),
    "counters": ("of", "kernel", "grid"),
}


def newest(rows: list[dict]) -> list[dict]:
    """Where a call measured again what one before it had, its figure stands, in the place of the other's."""
    kept: dict[tuple, dict] = {}
    for place, row in enumerate(rows):
        names = SAME.get(row["row"])
        kept[(row["row"], *(row.get(name) for name in names)) if names else ("", place)] = row
    return list(kept.values())


def header(rows: list[dict]) -> list[str]:
    call = next(iter(of(rows, "call")), None)
    if not call:
        return []
    host, gpu, build = call["host"], call["device"], call["bundle"]
    lines = [f"## {call['call'].capitalize()}", ""]
    if gpu:
        lines += [
            f"{gpu['name']}, {gpu['memory_mib']} MiB, compute capability {gpu['compute_capability']}, "
            f"driver {gpu['driver']}, power limit {cell(gpu['power_limit_w'])} W, clocks up to {gpu['max_sm_mhz']} "
            f"(SM) and {gpu['max_memory_mhz']} MHz (memory)."
        ]
    else:
        lines += [f"No GPU: {call['no_device']}."]
    architectures = f" for architectures {build['architectures']}" if build["architectures"] else ""
    ended = "" if of(rows, "end") else "; **the call was ended from outside**, and what follows is what it had measured"
    lines += [
        f"Host: {host.get('cpu', 'unknown')}, {host['cores']} cores, {host.get('memory_gib', '?')} GiB, "
        f"{host.get('system', 'unknown')}, kernel {host['kernel']}. Built of commit {build['commit']}{architectures}, "
        f"{build['compiler']}.",
        f"{call['date']}; a budget of {call['budget']:.0f} s{ended}.",
        "",
    ]
    done = {row["step"]: row for row in of(rows, "step")}
    begun = [row["step"] for row in of(rows, "begin")]
    names = list(dict.fromkeys([*done, *begun]))
    summary = []
    for name in names:
        row = done.get(name)
        if row:
            summary.append(
                [name, f"{row['outcome']}{': ' + row['reason'] if row['reason'] else ''}", f"{row['seconds']:.1f} s"]
            )
        else:
            summary.append([name, "**under way**" if not of(rows, "end") else "not ended", ""])
    return lines + table(["step", "outcome", "time"], summary, 2)


def states(rows: list[dict]) -> list[str]:
    found = of(rows, "state")
    if not found:
        return []
    return ["### The GPU's state", ""] + table(
        ["when", "SM, MHz", "memory, MHz", "power, W", "temperature, C", "held back by"],
        [
            [
                row["when"],
                row["sm_mhz"],
                row["memory_mhz"],
                row["power_w"],
                row["temperature_c"],
                ", ".join(row["throttled"]),
            ]
            for row in found
        ],
    )


def notes(rows: list[dict]) -> list[str]:
    found = list(dict.fromkeys(row["text"] for row in of(rows, "note")))
    return ["### Notes", "", *[f"* {text}" for text in found], ""] if found else []
