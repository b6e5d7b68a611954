"""PyTorch and LibTorch, where the machine has them: bench/peers/cuda_*, phase by phase."""

from __future__ import annotations

import json
import pathlib
import queue

from . import place
from .call import Call, Failed, OutOfTime, Skip
from .processes import Ended, Process

TOLERANCE = {
    "fp32": 2e-4,
    "tf32": 0.05,
    "fp16": 0.05,
    "bf16": 0.4,
}  # of the larger of 1 and the logit; the engines round at different places


class Peers:
    def __init__(self, call: Call):
        self._process: Process | None = None
        self._answers: queue.Queue[dict] = queue.Queue()
        self._missing = ""
        self._compiler: Process | None = None
        self._no_libtorch = ""
        self._script = call.scratch / "network.pt"
        self._worker = call.scratch / "cuda_libtorch"
        self._task: dict = {}
        sources = call.bundle.root / "bench/peers"
        self._torch = next(
            (
                pathlib.Path(folder) / "torch"
                for folder in place.site_packages(call.python)
                if (pathlib.Path(folder) / "torch").is_dir()
            ),
            None,
        )
        if not call.python:
            self._missing = "python3 is not on PATH"
        elif not self._torch:
            self._missing = f"{call.python} has no torch"
        else:
            self._command = [
                call.python,
                sources / "cuda_network.py",
                "--device",
                "cpu" if call.bundle.emulated else "cuda",
            ]
            self._start(call)
            self._compile(call, sources / "cuda_libtorch.cpp")

    # PyTorch: one process for all phases, which imports while others measure, and is started anew only after one that
    # was cut off.

    def _start(self, call: Call) -> None:
        self._answers = queue.Queue()
        answers = self._answers

        def take(line: str) -> None:
            try:
                answer = json.loads(line)
            except ValueError:
                return  # of a library
            if isinstance(answer, dict):
                answers.put(answer)

        self._process = call.start("PyTorch", self._command, on_line=take, talks=True)
        call.companions.append(self._process)

    def begin(self, call: Call, pixels: pathlib.Path, images: int, size: int, logits: dict[str, list[float]]) -> None:
        self.require()
        expected = call.scratch / "expected.json"
        expected.write_text(json.dumps(logits))
        dry = call.bundle.emulated
        self._task = {
            "model": str(call.require_model()),
            "pixels": str(pixels),
            "images": images,
            "size": size,
            "expected": str(expected),
            "batches": [2, 1] if dry else [64, 256, 16, 1],
            "training_batches": [2] if dry else [32, 256],
            "training_size": 64 if dry else 224,
            "precisions": ["fp32"] if dry else ["fp16", "bf16", "tf32", "fp32"],
            "samples": 2 if dry else 15,
            "script": str(self._script),
            "tolerance": TOLERANCE,
        }

    def phase(self, call: Call, name: str) -> None:
        self.require()
        if not self._task:
            raise Skip("the outputs were not compared")
        if not self._process or not self._process.running():
            self._start(call)
        self._process.say(json.dumps({**self._task, "phase": name}))
        rows = 0
        while True:
            try:
                answer = self._answers.get(timeout=min(1.0, max(0.05, call.left())))
            except queue.Empty:
                if call.left() > 0.1 and self._process.running():
                    continue
                cut_off = self._process.running()
                ended = self._process.wait(0)
                if cut_off:
                    raise OutOfTime(f"{rows} rows until then")
                raise Failed(ended.last_words())
            if answer.get("done") == name:
                return
            if "fault" in answer:
                if name == "agree":
                    self._missing = answer["fault"]
                raise Failed(answer["fault"])
            rows += 1
            call.row("peer", phase=name, **answer)

    def require(self) -> None:
        if self._missing:
            raise Skip(self._missing)

    # LibTorch: a program of ours, compiled against the headers and libraries that came with PyTorch.

    def _compile(self, call: Call, source: pathlib.Path) -> None:
        compiler = place.tool("g++", call.environment) or place.tool("c++", call.environment)
        include, library = self._torch / "include", self._torch / "lib"
        if not (include / "torch/script.h").exists():
            self._no_libtorch = f"{include} has no torch/script.h"
        elif not compiler:
            self._no_libtorch = "no C++ compiler"
        if self._no_libtorch:
            return
        cuda = ["-ltorch_cuda", "-lc10_cuda"] if (library / "libtorch_cuda.so").exists() else []
        self._compiler = call.start(
            "LibTorch, compiling",
            [
                compiler,
                "-std=c++20",
                "-O1",
                source,
                "-o",
                self._worker,
                f"-I{include}",
                f"-I{include}/torch/csrc/api/include",
                f"-L{library}",
                f"-Wl,-rpath,{library}",
                "-Wl,--no-as-needed",
                "-Wl,--allow-shlib-undefined",  # what its libraries need, they find themselves
                "-ltorch",
                "-ltorch_cpu",
                "-lc10",
                *cuda,
            ],
        )
        call.companions.append(self._compiler)

    def libtorch(self, call: Call) -> None:
        self.require()
        if self._no_libtorch:
            raise Skip(self._no_libtorch)
        if not self._script.exists():
            raise Skip("PyTorch wrote no TorchScript of the network")
        compiled = self._compiler.wait(call.left() - 5)
        if compiled.cut_off:
            raise Skip(f"compiling against LibTorch takes more than {compiled.seconds:.0f} s")
        if compiled.status != 0:
            first = next((line for line in compiled.lines if "error" in line), compiled.last_words())
            raise Skip(f"it does not compile: {first[:300]}")
        task, expected = self._task, json.loads(pathlib.Path(self._task["expected"]).read_text())
        faults: list[str] = []

        def take(line: str) -> None:
            try:
                answer = json.loads(line)
            except ValueError:
                return
            if "logits" in answer:
                want = expected[answer["precision"]]
                worst = max(abs(a - b) / max(1.0, abs(b)) for a, b in zip(answer["logits"], want))
                good = worst <= TOLERANCE[answer["precision"]]
                if not good:
                    faults.append(answer["precision"])
                call.row(
                    "peer", phase="agree", peer="LibTorch", precision=answer["precision"], deviation=worst, good=good
                )
            else:
                call.row("peer", phase="libtorch", peer="LibTorch", **answer)

        ended: Ended = call.run(
            "LibTorch",
            [
                self._worker,
                self._script,
                task["pixels"],
                task["size"],
                "cpu" if call.bundle.emulated else "cuda",
                task["samples"],
                len(expected["fp32"]),
                ",".join(task["precisions"]),
                ",".join(str(batch) for batch in task["batches"]),
            ],
            on_line=take,
        )
        if ended.status != 0:
            raise Failed(ended.last_words())
        if faults:
            raise Failed("its logits differ: " + ", ".join(faults))
