"""What was reckoned of a GPU before one was met, and what was measured."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import repeat
from typing import Callable

from .tables import of, table


def microseconds(row: dict) -> float:
    return 1e3 * row["milliseconds"]["median"]


def rate(row: dict) -> float:
    return row["images_per_second"]


@dataclass(frozen=True)
class Estimate:
    what: str
    low: float
    high: float
    told: str  # how a number is written
    wanted: dict  # of the row
    key: Callable[[dict], float]


def of_kernel(operation: str) -> dict:
    return {"mode": "kernels", "operation": operation, "precision": "fp16"}


def share_of_peak(row: dict) -> float:
    return row.get("share_of_bound", 0.0)


def by_warpgroups(operation: str) -> dict:
    return {**of_kernel(operation), "variant": "warpgroups, fp16"}


# What was reckoned for an H100 or H200 before the kernels that stand here now had met one: docs/PROFILING.md.
ESTIMATES = (
    *(
        Estimate(
            f"conv2x2_wgmma, block {block}, FP16, share of the peak",
            0.5,
            0.65,
            "{:.0%}",
            by_warpgroups(f"conv2x2_tensor, block {block}"),
            share_of_peak,
        )
        for block in (2, 3)
    ),
    Estimate(
        "pool_head, us of a batch of 64",
        6,
        14,
        "{:.1f}",
        {"mode": "kernels", "operation": "pool_head", "batch": 64},
        microseconds,
    ),
    Estimate("first_block_tensor, FP16, us of 64 images", 48, 75, "{:.0f}", of_kernel("first_block"), microseconds),
    Estimate(
        "resident, FP16, one image, images/s",
        20e3,
        26e3,
        "{:,.0f}",
        {"mode": "resident", "part": "batch", "precision": "fp16", "batch": 1},
        rate,
    ),
    Estimate(
        "resident, FP16, batch 64, images/s",
        105e3,
        140e3,
        "{:,.0f}",
        {"mode": "resident", "part": "batch", "precision": "fp16", "batch": 64},
        rate,
    ),
    Estimate(
        "training, BF16, batch 256, images/s",
        9.3e3,
        11e3,
        "{:,.0f}",
        {"mode": "training", "precision": "bf16", "batch": 256},
        rate,
    ),
)


def estimates(rows: list[dict]) -> list[str]:
    names = [call["device"]["name"] for call in of(rows, "call") if call["device"]]
    if not any("H100" in name or "H200" in name for name in names):
        return []
    return ["### What was reckoned beforehand", ""] + table(
        ["", "estimate", "measured", ""], map(answered, ESTIMATES, repeat(rows))
    )


def answered(estimate: Estimate, rows: list[dict]) -> list[str]:
    told = estimate.told.format
    reckoned = [estimate.what, f"{told(estimate.low)} to {told(estimate.high)}"]
    for row in of(rows, "measured"):
        if "milliseconds" in row and all(row.get(name) == value for name, value in estimate.wanted.items()):
            value = estimate.key(row)
            met = "lower" if value < estimate.low else "higher" if value > estimate.high else "as reckoned"
            return [*reckoned, told(value), met]
    return [*reckoned, "", ""]
