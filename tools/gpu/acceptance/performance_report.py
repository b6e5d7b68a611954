"""The part of a report that tells how fast the engine is."""

from __future__ import annotations

from typing import Callable

from .estimates import estimates
from .tables import number, of, table

PRECISIONS = ("fp32", "tf32", "fp16", "bf16")


def measured(rows: list[dict], mode: str) -> list[dict]:
    return [row for row in of(rows, "measured") if row["mode"] == mode]


def errors(rows: list[dict]) -> list[str]:
    found = [
        f"* {row['operation']}, {row.get('variant') or row.get('precision', '')}: {row['error']}"
        for row in rows
        if "error" in row
    ]
    return ["Not timed:", "", *found, ""] if found else []


def ceilings(rows: list[dict]) -> list[str]:
    found = measured(rows, "ceilings")
    if not found:
        return []
    timed = [row for row in found if "error" not in row]
    return (
        ["### Ceilings, measured", ""]
        + table(
            ["", "how", "TFLOP/s", "GB/s", "of the data sheet's"],
            [
                [
                    row["operation"],
                    row.get("variant"),
                        row.get("tflops"),
                    "" if row.get("tflops") else row.get("gigabytes_per_second"),
                    share(row),
                ]
                for row in timed
            ],
            3,
        )
        + errors(found)
    )


def share(row: dict) -> str:
    return f"{row['share_of_bound']:.0%}" if "share_of_bound" in row else ""


def spread(row: dict) -> str:
    """Images a second at the median, and at the 90th and 10th percentile of the time."""
    times = row["milliseconds"]
    rates = [1e3 * row["batch"] / times[key] for key in ("median", "p90", "p10")]
    return f"{number(rates[0])} ({number(rates[1])}–{number(rates[2])})"


def grid(rows: list[dict], name: Callable[[dict], str]) -> list[str]:
    """A line for each way and precision, in the order of the rows, and a column for each batch: images a second."""
    rows = [row for row in rows if "milliseconds" in row]
    batches = sorted({row["batch"] for row in rows})
    names = list(dict.fromkeys(name(row) for row in rows))
    by = {(name(row), row["precision"], row["batch"]): spread(row) for row in rows}
    lines = [
        [way, precision, *[by.get((way, precision, batch)) for batch in batches]]
        for way in names
        for precision in PRECISIONS
        if any(key[:2] == (way, precision) for key in by)
    ]
    return table(["images/s, median (p10–p90)", "", *[f"batch {batch}" for batch in batches]], lines, 2)


def inference(rows: list[dict]) -> list[str]:
    resident = [row for row in measured(rows, "resident") if row["part"] == "batch"]
    whole = [row for row in measured(rows, "end-to-end") if row["part"] == "batch"]
    others = [
        row for row in of(rows, "peer") if row["phase"] in ("eager", "compiled", "libtorch") and "milliseconds" in row
    ]
    if not resident and not whole and not others:
        return []
    ours = [{**row, "way": "lfm-cuda, resident"} for row in resident] + [
        {**row, "way": f"lfm-cuda, end to end{', ' + row['variant'] if row.get('variant') else ''}"} for row in whole
    ]
    every = ours + [{**row, "way": row["peer"]} for row in others]
    lines = [
        "### The whole network",
        "",
        "Resident: pixels on the device, as bytes; the peers have theirs there normalised, channels last. End to end: "
        "from the host's memory to "
        "logits there. Pictures of random pixels, the inputs taking turns so that none is found in the cache.",
        "",
    ]
    lines += grid(every, lambda row: row["way"])
    return lines + ratios(resident, others) + errors(resident + whole)


def ratios(resident: list[dict], others: list[dict]) -> list[str]:
    result = []
    for row in sorted(
        (row for row in resident if "milliseconds" in row),
        key=lambda row: (PRECISIONS.index(row["precision"]), row["batch"]),
    ):
        same = [
            other
            for other in others
            if "milliseconds" in other and (other["precision"], other["batch"]) == (row["precision"], row["batch"])
        ]
        if same:
            best = min(same, key=lambda other: other["milliseconds"]["median"])
            result.append(
                [
                    row["precision"],
                    row["batch"],
                    row["images_per_second"],
                    f"{number(best['images_per_second'])} ({best['peer']})",
                    f"{best['milliseconds']['median'] / row['milliseconds']['median']:.2f}x",
                ]
            )
    return table(["resident", "batch", "images/s", "the fastest peer", "ratio"], result)


def layers(rows: list[dict]) -> list[str]:
    found = [row for row in measured(rows, "resident") if row["part"] == "layer" and "milliseconds" in row]
    if not found:
        return []
    batch = max((row["batch"] for row in found), key=lambda size: (size == 64, size))
    names = list(dict.fromkeys(row["operation"] for row in found))
    by = {(row["precision"], row["operation"]): row for row in found if row["batch"] == batch}

    def told(row: dict | None) -> str:
        return f"{1e3 * row['milliseconds']['median']:.1f} ({row.get('share', 0):.0%})" if row else ""

    return [f"### Layers, resident, batch {batch}: microseconds", ""] + table(
        ["precision", *names],
        [
            [precision, *[told(by.get((precision, name))) for name in names]]
            for precision in PRECISIONS
            if any(key[0] == precision for key in by)
        ],
    )


def libraries(rows: list[dict]) -> list[str]:
    """A line a stage, precision and batch, a column a run: rows follow the batch of their run."""
    found = measured(rows, "compare-kernels")
    cells: dict[tuple, dict[str, str]] = {}
    run = ""
    for row in found:
        run = row.get("variant", run) if row["part"] == "batch" else run
        if "milliseconds" in row:
            key = (row["precision"], row["batch"], row["operation"])
            told = f"{1e3 * row['milliseconds']['median']:.1f}"
            cells.setdefault(key, {})[run] = f"({told})" if row["variant"] == "ours" != run else told
    if not found:
        return []
    runs = list(dict.fromkeys(row["variant"] for row in found if row["part"] == "batch"))
    head = ["precision", "batch", "", *runs]
    lines = [[*key, *[cell.get(name) for name in runs]] for key, cell in cells.items()]
    told = "In parentheses what our kernels computed in a library's run."
    return ["### Stages by libraries, resident: microseconds", "", told, ""] + table(head, lines, 3) + errors(found)


def peers(rows: list[dict]) -> list[str]:
    found = [row for row in of(rows, "peer") if "deviation" in row]
    compiled = [row for row in of(rows, "peer") if "compile_seconds" in row]
    if not found:
        return []
    versions = {f"PyTorch {row['torch']}, cuDNN {row['cudnn']}." for row in of(rows, "peer") if "torch" in row}
    lines = ["### Outputs, compared before anything was timed", "", *versions, ""] + table(
        ["peer", "precision", "largest deviation from lfm-cuda's logits", ""],
        [[row["peer"], row["precision"], row["deviation"], "" if row["good"] else "DIFFERS"] for row in found],
        2,
    )
    if compiled:
        lines += [
            f"torch.compile took {number(sum(row['compile_seconds'] for row in compiled))} s for {len(compiled)}.",
            "",
        ]
    return lines


def training(rows: list[dict]) -> list[str]:
    steps = [
        {**row, "way": "lfm-cuda"}
        for row in measured(rows, "training")
        if row["part"] == "batch" or row.get("operation") == "training step"
    ]
    others = [
        {**row, "way": row["peer"]} for row in of(rows, "peer") if row["phase"] == "training" and "milliseconds" in row
    ]
    if not steps and not others:
        return []
    sizes = sorted({row["size"] for row in steps + others})
    return (
        [f"### Training step, {', '.join(f'{size}²' for size in sizes)}", ""]
        + grid(steps + others, lambda row: row["way"])
        + errors(steps)
    )


def kernels(rows: list[dict]) -> list[str]:
    found = measured(rows, "kernels")
    if not found:
        return []
    lines = ["### Each kernel", "", f"The bound is that of a data sheet: {found[0].get('data_sheet')}.", ""]
    return (
        lines
        + table(
            ["operation", "variant", "us", "TFLOP/s", "GB/s", "of the bound"],
            [
                [
                    row["operation"],
                    row.get("variant"),
                    1e3 * row["milliseconds"]["median"],
                    row.get("tflops"),
                    row.get("gigabytes_per_second"),
                    share(row),
                ]
                for row in found
                if "milliseconds" in row
            ],
            2,
        )
        + errors(found)
    )


def counters(rows: list[dict]) -> list[str]:
    found = of(rows, "counters")
    keys = (
        "microseconds",
        "sm_percent",
        "memory_percent",
        "dram_percent",
        "tensor_percent",
        "warps_percent",
        "registers",
    )
    return (
        (
            ["### Counters", ""]
            + table(
                [
                    "pass",
                    "kernel",
                    "grid",
                    "us",
                    "SM, %",
                    "memory, %",
                    "DRAM, %",
                    "tensor pipe, %",
                    "warps active, %",
                    "registers",
                ],
                [[row["of"], row["kernel"], row["grid"], *[row.get(key) for key in keys]] for row in found],
                3,
            )
        )
        if found
        else []
    )


PARTS = (estimates, ceilings, inference, layers, libraries, peers, training, kernels, counters)
