"""How fast is it? The GPU's ceilings, this engine, each kernel, PyTorch and LibTorch on the same pixels, counters."""

from __future__ import annotations

import dataclasses
import json
import random

from . import counters, peers
from .call import Call, Failed, OutOfTime, Step
from .correctness import device_answers, start_all
from .place import with_cuda_libraries
from .processes import Ended

BUDGET = 300
PRECISIONS = ("fp16", "bf16", "tf32", "fp32")
BATCHES = (64, 256, 16, 1)  # the most telling first
DATA_SHEETS = {"H200": "h200", "H100": "h100", "4090": "4090", "A6000": "a6000"}  # by what a GPU's name holds


def measured(call: Call, name: str, command: list[object], environment: dict[str, str] | None = None) -> int:
    """Runs what prints one JSON object of the schema in bench/README.md, and records its rows. How many have a time."""
    ended = call.run(name, command, environment=environment)
    report = json_of(ended)
    if report is None or "rows" not in report:
        raise Failed(f"{name}: {ended.last_words()}")
    for note in report.get("notes", []):
        call.row("note", text=note)
    for row in report["rows"]:
        call.row("measured", mode=report["mode"], clock=report.get("clock"), data_sheet=report.get("data_sheet"), **row)
    if ended.status != 0:
        raise Failed(f"{name}: exit code {ended.status}")
    return sum("milliseconds" in row for row in report["rows"])


def json_of(ended: Ended) -> dict | None:
    """The object that it printed, which may follow notes."""
    begin = ended.text.find("{")
    try:
        return json.JSONDecoder().raw_decode(ended.text[begin:])[0] if begin >= 0 else None
    except ValueError:
        return None


def data_sheet(call: Call) -> list[object]:
    name = call.gpu.identity()["name"] if call.gpu else ""
    return next((["--gpu", key] for part, key in DATA_SHEETS.items() if part in name), [])


def lfm_bench(call: Call, subcommand: str, *options: object) -> None:
    dry = ["--emulated"] if call.bundle.emulated else []
    command = [call.bundle.program("lfm-bench"), subcommand, "--json", *data_sheet(call), *options, *dry]
    if not measured(call, f"lfm-bench {subcommand}", command, with_cuda_libraries(call.environment, call.python)):
        raise Failed("nothing was timed")


def ceilings(call: Call) -> None:
    lfm_bench(call, "ceilings", "--iterations", 10)


def kernels(call: Call) -> None:
    lfm_bench(
        call,
        "kernels",
        *(["--batch", 1, "--size", 48] if call.bundle.emulated else ["--batch", 64, "--iterations", 10]),
    )


def compare_kernels(call: Call) -> None:
    """Each stage with our kernels, cuDNN's and cuBLAS's; what these can't do is a row that says why."""
    emulated = call.bundle.emulated
    choices = [("fp16", 1)] if emulated else [(precision, 64) for precision in PRECISIONS] + [("fp16", 1)]
    sizes = ["--size", 48, "--iterations", 1, "--warm-up", 1] if emulated else ["--iterations", 20, "--warm-up", 5]
    for precision, batch in choices:
        command = [call.bundle.program("lfm-cuda"), "bench", "--compare-kernels", "--json"]
        command += ["--device", call.bundle.device, "--precision", precision, "--batch", batch, *sizes]
        environment = with_cuda_libraries(call.environment, call.python)
        measured(call, f"bench --compare-kernels {precision} {batch}", command, environment)


def bench(*mode: str):
    def work(call: Call) -> None:
        choices = (
            [(48, 1, "fp16"), (48, 1, "fp32")]
            if call.bundle.emulated
            else [(256, b, p) for p in PRECISIONS for b in BATCHES]
        )
        iterations = (
            ["--iterations", 1, "--warm-up", 1] if call.bundle.emulated else ["--iterations", 40, "--warm-up", 5]
        )
        time_each(call, mode, choices, iterations)

    return work


def training(call: Call) -> None:
    choices = (
        [(64, 2, "fp32")]
        if call.bundle.emulated
        else [(224, b, p) for b in (32, 256) for p in ("bf16", "tf32", "fp32")]
    )
    iterations = ["--iterations", 1, "--warm-up", 1] if call.bundle.emulated else ["--iterations", 15, "--warm-up", 3]
    time_each(call, ("--training",), choices, iterations)


def time_each(call: Call, mode: tuple[str, ...], choices: list[tuple[int, int, str]], iterations: list[object]) -> None:
    for size, batch, precision in choices:
        if call.left() < 2:
            raise OutOfTime(f"not {precision}, batch {batch}, and what follows")
        measured(
            call,
            f"bench {' '.join(mode)} {precision} {batch}",
            [
                call.bundle.program("lfm-cuda"),
                "bench",
                *mode,
                "--json",
                "--device",
                call.bundle.device,
                "--precision",
                precision,
                "--batch",
                batch,
                "--size",
                size,
                *iterations,
            ],
        )


def write_pixels(call: Call, images: int, size: int):
    path = call.scratch / "pixels.raw"
    path.write_bytes(random.Random(1).randbytes(3 * images * size * size))
    return path


def our_logits(call: Call, pixels, images: int, size: int) -> dict[str, list[float]]:
    """Of the first images, in each precision: what the peers have to agree with."""
    found = {}
    for precision in ("fp32",) if call.bundle.emulated else ("fp32", "tf32", "fp16", "bf16"):
        ended = call.run(
            f"logits {precision}",
            [
                call.bundle.program("lfm-bench"),
                "worker",
                "--model",
                call.require_model(),
                "--input",
                pixels,
                "--device",
                call.bundle.device,
                "--precision",
                precision,
                "--batch",
                images,
                "--size",
                size,
            ],
        )
        said = json_of(ended) or {}
        if "logits" not in said:
            raise Failed(f"lfm-bench worker --precision {precision}: {said.get('error', ended.last_words())}")
        found[precision] = said["logits"]
    return found


def agree(call: Call) -> None:
    """What PyTorch computes with the same weights of the same pixels; nothing of the peers is timed before."""
    call.peers.require()
    size, images, most = (64, 2, 2) if call.bundle.emulated else (256, 64, 256)
    pixels = write_pixels(call, most, size)
    logits = our_logits(call, pixels, images, size)
    call.peers.begin(call, pixels, most, size, logits)
    call.peers.phase(call, "agree")


def steps(call: Call) -> list[Step]:
    call.peers = peers.Peers(call)  # PyTorch is imported, and LibTorch's program compiled, while the engine is measured
    patience = 40 if call.bundle.emulated else 1
    measurements = [
        Step("ceilings", 15 * patience, ceilings),
        Step("resident", 45 * patience, bench("--resident")),
        Step("end to end", 45 * patience, bench()),
        Step("kernels", 25 * patience, kernels),
        Step("kernels of libraries", 25 * patience, compare_kernels),
        Step("peers agree", 40 * patience, agree),
        Step("PyTorch, eager", 30 * patience, lambda call: call.peers.phase(call, "eager")),
        Step("LibTorch", 40 * patience, lambda call: call.peers.libtorch(call)),
        Step("training", 25 * patience, training),
        Step("counters", 60 * patience, counters.profile),
        Step("PyTorch, training", 45 * patience, lambda call: call.peers.phase(call, "training")),
        Step("PyTorch, compiled", 90 * patience, lambda call: call.peers.phase(call, "compiled")),
    ]
    return [
        Step(
            "programs start",
            20 * patience,
            lambda call: start_all(call, call.bundle.of_role("program")),
            on_device=False,
        ),
        Step("first launch", 30 * patience, device_answers, on_device=False),
        *[dataclasses.replace(step, patient=True) for step in measurements],
    ]
