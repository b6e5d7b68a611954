"""Is it right? Tests on the device, compute-sanitizer, the samples and a short training run beside the CPU engine's."""

from __future__ import annotations

import json
import pathlib
import random
import statistics

from . import test_program
from .call import Call, Failed, Skip, Step
from .place import Program, tool
from .processes import Ended

BUDGET = 240
# An engine's logit, in typical logits of these weights: the size of what their head sums. A picture's own may be next to
# nothing, since terms cancel, and so do the windows that it is the mean of; what rounding moves stays. In unit
# roundoffs: 4, as tests/engine/precision_test.cpp derives it for trained weights.
LOGIT_LIMIT = {"fp32": 2e-5, "tf32": 4 * 2.0**-11, "fp16": 4 * 2.0**-11, "bf16": 4 * 2.0**-8}
LOSS_LIMIT = (
    1e-3  # of FP32, times the step: Adam divides each gradient by its own size, so rounding grows from step to step
)
SANITIZERS = ("memcheck", "racecheck", "initcheck", "synccheck")


def starts(call: Call) -> None:
    """Every program loads on this machine, and test programs have tests for the device."""
    start_all(call, call.bundle.of_role("program") + call.tests("engine-test", "kernel-test"))


def start_all(call: Call, programs: list[Program]) -> None:
    faults: list[str] = []

    def ask(program: Program) -> None:
        test = program.role != "program"
        ended = call.run(
            program.name, test_program.listing(program, call.bundle.device) if test else [program.path, "--help"], 30
        )
        tests = test_program.listed(ended.lines) if test else None
        # Without a GPU there are no tests of one among those that every engine is a parameter of.
        none_here = program.every_device and not call.gpu and not call.bundle.emulated
        good = ended.status == 0 and (tests != 0 or none_here)
        if not good:
            faults.append(program.name)
        call.row(
            "program",
            name=program.name,
            starts=ended.status == 0,
            tests=tests,
            reason="" if ended.status == 0 else ended.last_words(),
        )

    call.side_by_side(ask, programs)
    if faults:
        raise Failed("these don't start, or hold no test for this device: " + ", ".join(sorted(faults)))


def device_answers(call: Call) -> None:
    """The first launch; without a device the steps that follow are skipped."""
    ended = call.run(
        "first launch",
        [
            call.bundle.program("lfm-cuda"),
            "bench",
            "--device",
            call.bundle.device,
            "--precision",
            "fp32",
            "--batch",
            "1",
            "--size",
            "48",
            "--iterations",
            "1",
            "--warm-up",
            "1",
        ],
        40 if not call.bundle.emulated else None,
    )
    if ended.status != 0:
        call.without_device()
        raise Failed(ended.last_words())
    call.row("first launch", seconds=round(ended.seconds, 2), said=ended.lines[0] if ended.lines else "")


def run_tests(
    call: Call, program: Program, *, before: tuple[object, ...] = (), name: str = ""
) -> tuple[Ended, test_program.Tests]:
    seen = test_program.Tests()
    required = {**call.environment, "LFM_REQUIRE": "cuda"}
    ended = call.run(
        name or program.name,
        [*before, *test_program.command(program, call.bundle.device)],
        environment=required,
        on_line=seen.take,
    )
    if ended.status != 0 and seen.running:  # it crashed, or was cut off there
        seen.failed.append(f"{seen.running} ({'cut off' if ended.cut_off else f'exit code {ended.status}'})")
    return ended, seen


def tests(call: Call) -> None:
    faults: list[str] = []

    def test(program: Program) -> None:
        ended, seen = run_tests(call, program)
        ran = ended.status in (0, test_program.ALL_SKIPPED)
        good = ran and not seen.failed and (seen.passed > 0 or bool(seen.skipped))
        if not good:
            faults.append(program.name)
        call.row(
            "tests",
            program=program.name,
            good=good,
            seconds=round(ended.seconds, 1),
            cut_off=ended.cut_off,
            **seen.counts(),
        )

    call.side_by_side(test, call.tests("engine-test", "kernel-test"))
    if faults:
        raise Failed(", ".join(sorted(faults)))


def sanitize(kind: str):
    def work(call: Call) -> None:
        sanitizer = tool("compute-sanitizer", call.environment)
        if not sanitizer:
            raise Skip("compute-sanitizer is not on PATH; it comes with the CUDA toolkit")
        faults: list[str] = []

        def check(program: Program) -> None:
            if call.left() < 3:
                call.row("sanitizer", tool=kind, program=program.name, outcome="not begun")
                faults.append(program.name)
                return
            ended, seen = run_tests(
                call,
                program,
                name=f"{kind} {program.name}",
                before=(sanitizer, "--tool", kind, "--error-exitcode", "9", "--print-limit", "20"),
            )
            summary = next((line.strip("= ") for line in reversed(ended.lines) if "SUMMARY" in line), "")
            good = ended.status in (0, test_program.ALL_SKIPPED) and not seen.failed
            outcome = (
                "clean"
                if good
                else "cut off" if ended.cut_off else f"{summary or ended.last_words()} (exit code {ended.status})"
            )
            call.row(
                "sanitizer",
                tool=kind,
                program=program.name,
                outcome=outcome,
                seconds=round(ended.seconds, 1),
                **seen.counts(),
            )
            if not good:
                faults.append(program.name)

        call.side_by_side(check, call.tests("kernel-test"))
        if faults:
            raise Failed(", ".join(sorted(faults)))

    return work


def write_noise(path: pathlib.Path, side: int, *, pairs: bool, seed: int) -> None:
    """A PPM of noise; with pairs, rows come twice, which is what there is to learn."""
    draw = random.Random(seed)
    rows = [draw.randbytes(3 * side) for _ in range(side)]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(
        b"P6\n%d %d\n255\n" % (side, side) + b"".join(rows[y - y % 2] if pairs else rows[y] for y in range(side))
    )


def samples(call: Call) -> None:
    """From files to logits on the device, beside the CPU's."""
    model, pictures, precisions = call.require_model(), [call.bundle.root / "samples"], ["fp32", "tf32", "fp16", "bf16"]
    if call.bundle.emulated:  # which takes a second for some hundred pixels
        write_noise(call.scratch / "sample.ppm", 64, pairs=True, seed=1)
        pictures, precisions = [call.scratch / "sample.ppm"], ["fp32"]

    def logits(device: str, precision: str) -> dict[str, float]:
        ended = call.run(
            f"detect {device} {precision}",
            [
                call.bundle.program("lfm-cuda"),
                "detect",
                "--quiet",
                "--device",
                device,
                "--precision",
                precision,
                "--model",
                model,
                "--format",
                "jsonl",
                *pictures,
            ],
        )
        if ended.status != 0:
            raise Failed(f"detect --device {device} --precision {precision}: {ended.last_words()}")
        found = [json.loads(line) for line in ended.lines if line.startswith("{")]
        return {
            pathlib.Path(record["path"]).name: record["logit"] for record in found if record.get("logit") is not None
        }

    expected = logits("cpu", "fp32")
    typical = max(1.0, statistics.fmean([logit * logit for logit in expected.values()]) ** 0.5)
    faults = []
    for precision in precisions:
        got = logits(call.bundle.device, precision)
        worst = max(
            (abs(got[name] - want) / typical for name, want in expected.items() if name in got),
            default=None,
        )
        good = got.keys() == expected.keys() and worst is not None and worst <= LOGIT_LIMIT[precision]
        call.row(
            "samples",
            precision=precision,
            logits=got,
            cpu=expected,
            deviation=worst,
            limit=LOGIT_LIMIT[precision],
            good=good,
        )
        if not good:
            faults.append(precision)
    if faults:
        raise Failed("logits differ from the CPU's: " + ", ".join(faults))


def training(call: Call) -> None:
    """Noise against noise whose rows come in pairs, from the same seed on each engine."""
    images, side, crop, epochs = (2, 48, 48, 1) if call.bundle.emulated else (16, 96, 48, 20)
    data = call.scratch / "pictures"
    for i in range(images):
        write_noise(data / "0_real" / f"{i}.ppm", side, pairs=False, seed=2 * i)
        write_noise(data / "1_fake" / f"{i}.ppm", side, pairs=True, seed=2 * i + 1)
    curves: dict[str, list[float]] = {}

    def train(engine: tuple[str, str]) -> None:
        device, precision = engine
        out = call.scratch / f"run-{device}-{precision}"
        ended = call.run(
            f"train {device} {precision}",
            [
                call.bundle.program("lfm-cuda"),
                "train",
                "--data",
                data,
                "--val",
                data,
                "--out",
                out,
                "--device",
                device,
                "--precision",
                precision,
                "--view",
                "native",
                "--crop",
                crop,
                "--val-crop",
                crop,
                "--batch",
                2 * images,
                "--epochs",
                epochs,
                "--seed",
                1,
            ],
        )
        if ended.status != 0:
            raise Failed(f"train --device {device} --precision {precision}: {ended.last_words()}")
        log = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
        curves[f"{device} {precision}"] = [record["loss"] for record in log if record["type"] == "step"]
        last = [record for record in log if record["type"] == "epoch"][-1].get("validation", {})
        call.row(
            "curve",
            device=device,
            precision=precision,
            losses=curves[f"{device} {precision}"],
            seconds=round(ended.seconds, 1),
            accuracy=last.get("accuracy"),
        )

    call.side_by_side(
        train, [("cpu", "fp32"), (call.bundle.device, "fp32")] + ([] if call.bundle.emulated else [("cuda", "bf16")])
    )
    cpu, ours = curves["cpu fp32"], curves[f"{call.bundle.device} fp32"]
    astray = [step for step, (a, b) in enumerate(zip(cpu, ours), 1) if not abs(a - b) <= LOSS_LIMIT * step]
    if len(cpu) != len(ours) or astray:
        raise Failed(
            f"the loss leaves the CPU engine's at step {astray[0] if astray else min(len(cpu), len(ours)) + 1}"
        )


def steps(call: Call) -> list[Step]:
    patience = 60 if call.bundle.emulated else 1  # a few cores, emulating
    plan = [
        Step("programs start", 25 * patience, starts, on_device=False),
        Step("first launch", 40 * patience, device_answers, on_device=False),
        Step("tests", 80 * patience, tests),
        Step("samples", 20 * patience, samples),
        Step("memcheck", 60 * patience, sanitize("memcheck")),
        Step("racecheck", 60 * patience, sanitize("racecheck")),
        Step("training", 30 * patience, training),
    ]
    return plan + [Step(kind, 60 * patience, sanitize(kind), patient=True) for kind in SANITIZERS[2:]]
