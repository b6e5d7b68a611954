"""The counters of each kernel of a pass, by ncu: as text, as a report for ncu-ui, and the most telling as rows."""

from __future__ import annotations

import csv

from .call import Call, Failed, OutOfTime, Skip
from .place import tool

# What is profiled, the most telling first: every kernel of one batch, or of one training step.
PASSES = (
    ("inference-fp16", ("--precision", "fp16", "--batch", "64")),
    ("training-bf16", ("--training", "--precision", "bf16", "--batch", "32", "--size", "224")),
    ("inference-fp32", ("--precision", "fp32", "--batch", "64")),
)
SECTIONS = (
    "SpeedOfLight",
    "MemoryWorkloadAnalysis",
    "ComputeWorkloadAnalysis",
    "Occupancy",
    "SchedulerStats",
    "WarpStateStats",
    "LaunchStats",
)
METRICS = {  # by ncu's names
    "gpu__time_duration.sum": "time",
    "sm__throughput.avg.pct_of_peak_sustained_elapsed": "sm_percent",
    "gpu__compute_memory_throughput.avg.pct_of_peak_sustained_elapsed": "memory_percent",
    "dram__throughput.avg.pct_of_peak_sustained_elapsed": "dram_percent",
    "sm__inst_executed_pipe_tensor.avg.pct_of_peak_sustained_active": "tensor_percent",
    "sm__warps_active.avg.pct_of_peak_sustained_active": "warps_percent",
    "launch__registers_per_thread": "registers",
}


def profile(call: Call) -> None:
    ncu = tool("ncu", call.environment)
    if not ncu:
        raise Skip("ncu is not on PATH; it comes with the CUDA toolkit (Nsight Compute)")
    dry = call.bundle.emulated
    passes = (("inference-fp32", ("--precision", "fp32", "--batch", "1", "--size", "48")),) if dry else PASSES
    for name, options in passes:
        if call.left() < 5:
            raise OutOfTime(f"not {name} and what follows")
        export = call.report.parent / f"{call.rows.stem}-{name}"
        sections = [word for section in SECTIONS for word in ("--section", section)]
        ended = call.run(
            f"ncu {name}",
            [
                ncu,
                "--clock-control",
                "none",
                "--profile-from-start",
                "off",
                "--force-overwrite",
                "--export",
                export,
                *sections,
                "--metrics",
                ",".join(METRICS),
                call.bundle.program("lfm-cuda"),
                "bench",
                "--device",
                call.bundle.device,
                "--warm-up",
                1,
                "--profile",
                1,
                *options,
            ],
            environment={**call.environment, "LFM_CUDA_GRAPHS": "off"},
        )
        if not export.with_suffix(".ncu-rep").exists():
            raise Failed(f"{name}: {ended.last_words()}")
        text = call.run(f"ncu {name}, as text", [ncu, "--import", export.with_suffix(".ncu-rep"), "--page", "details"])
        with open(call.report.parent / f"{call.rows.stem}-counters.txt", "a", encoding="utf-8") as file:
            file.write(f"{name}: {' '.join(options)}\n\n{text.text}\n\n")
        table = call.run(
            f"ncu {name}, as a table",
            [ncu, "--import", export.with_suffix(".ncu-rep"), "--csv", "--page", "raw", "--metrics", ",".join(METRICS)],
        )
        for row in rows_of(table.lines):
            call.row("counters", of=name, **row)
        if ended.status != 0:
            raise Failed(f"{name}: {ended.last_words()}")


def rows_of(lines: list[str]) -> list[dict]:
    """Of ncu's table: a line of names, one of units, one a launch."""
    begin = next((i for i, line in enumerate(lines) if line.startswith('"ID"')), None)
    if begin is None:
        return []
    table = list(csv.reader(lines[begin:]))
    names, units = table[0], table[1]
    rows = []
    for values in table[2:]:
        if len(values) != len(names):
            continue
        record = dict(zip(names, values))
        row = {
            "kernel": record.get("Kernel Name", "").split("(")[0],
            "grid": record.get("Grid Size"),
            "block": record.get("Block Size"),
        }
        for metric, key in METRICS.items():
            try:
                value = float(record[metric].replace(",", ""))
            except (KeyError, ValueError):
                continue
            if key == "time":
                unit = units[names.index(metric)]
                value *= {
                    "ns": 1e-3,
                    "nsecond": 1e-3,
                    "us": 1,
                    "usecond": 1,
                    "ms": 1e3,
                    "msecond": 1e3,
                    "s": 1e6,
                    "second": 1e6,
                }.get(unit, 1)
                key = "microseconds"
            row[key] = round(value, 3)
        rows.append(row)
    return rows
