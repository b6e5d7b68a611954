"""What is compared: programs that time the same work on request.

Protocol, over a contender's standard input and output: when it is ready (everything loaded, one repetition done) it writes a
line of JSON with "description" and, for inference, "logits"; or "error". Then, for each line it reads,
    run N     N repetitions  ->  {"seconds": of all N, "processor_seconds": of all N and all threads}
    memory                   ->  {"peak_bytes": resident memory at its peak}
It ends with its input. While it waits it uses no processor time, so contenders can take turns in one run.
"""

import json
import os
import statistics
import subprocess
import time
from dataclasses import dataclass, field

# glibc gives large blocks back to the system at once and faults them in again on every step. PyTorch's users who know
# switch that off; "tuned" peers run so.
TUNED_MALLOC = {
    "MALLOC_MMAP_THRESHOLD_": str(1 << 32),
    "MALLOC_TRIM_THRESHOLD_": str(1 << 33),
    "MALLOC_TOP_PAD_": str(1 << 26),
}
SETTLE_SECONDS = 0.03  # lets the previous contender's threads stop spinning


class ContenderError(Exception):
    pass


@dataclass
class Contender:
    name: str
    command: list
    precision: str = "fp32"
    ours: bool = False
    is_reference: bool = False  # what a user of the published model runs
    compares: bool = True  # its logits are those of the others: it computes the same of the same pixels
    environment: dict = field(default_factory=dict)
    process: subprocess.Popen = None
    ready: dict = None
    processor_seconds: list = field(default_factory=list)  # of one repetition, per round

    def start(self, threads, timeout=600):
        environment = dict(os.environ, OMP_NUM_THREADS=str(threads), MKL_NUM_THREADS=str(threads), **self.environment)
        self.process = subprocess.Popen(self.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                                        text=True, env=environment)
        self.ready = self._answer()
        if "error" in self.ready:
            self.stop()
            raise ContenderError(self.ready["error"])

    def _answer(self):
        for line in self.process.stdout:
            if line.startswith("{"):  # libraries may print lines of their own
                return json.loads(line)
        return {"error": f"ended with status {self.process.wait()}"}

    def _ask(self, request):
        self.process.stdin.write(request + "\n")
        self.process.stdin.flush()
        answer = self._answer()
        if "error" in answer:
            raise ContenderError(f"{self.name}: {answer['error']}")
        return answer

    def seconds(self, repetitions):
        answer = self._ask(f"run {repetitions}")
        self.processor_seconds.append(answer["processor_seconds"] / repetitions)
        return answer["seconds"] / repetitions

    def peak_bytes(self):
        return self._ask("memory")["peak_bytes"]

    def stop(self):
        if self.process:
            self.process.stdin.close()
            self.process.stdout.close()
            self.process.wait()
            self.process = None


def check_logits(contenders, tolerance):
    """Raises if a contender's logits leave the first FP32 peer's (or, alone, the engine's own) by more than tolerance allows.
    Returns {name: largest deviation in units of max(1, |logit|)}."""
    contenders = [contender for contender in contenders if contender.compares]
    trusted = next((c for c in contenders if not c.ours and c.precision == "fp32"), contenders[0]).ready["logits"]
    deviations = {}
    for contender in contenders:
        got = contender.ready["logits"]
        deviation = max(abs(g - t) / max(1.0, abs(t)) for g, t in zip(got, trusted, strict=True))
        deviations[contender.name] = deviation
        judged = contender.ours or contender.precision == "fp32"
        if judged and not deviation <= tolerance[contender.precision]:
            raise ContenderError(f"{contender.name}: a logit is off by {deviation:.2g}; nothing was timed. "
                                 f"Got {got[:4]}, expected {trusted[:4]}")
    return deviations


def time_in_turn(contenders, rounds, seconds_per_round):
    """{name: [seconds of one repetition, per round]}: A B C A B C ..., the order turned round every other time."""
    repetitions = {}
    for contender in contenders:
        once = contender.seconds(1)
        repetitions[contender.name] = max(1, round(seconds_per_round / once))
        contender.processor_seconds.clear()
    times = {contender.name: [] for contender in contenders}
    for turn in range(rounds):
        for contender in contenders if turn % 2 == 0 else reversed(contenders):
            time.sleep(SETTLE_SECONDS)
            times[contender.name].append(contender.seconds(repetitions[contender.name]))
    return times


def row(contender, images, times):
    """What a results table keeps of a contender: images per second (median, slowest and fastest round), processor time, memory."""
    return {"name": contender.name, "description": contender.ready["description"], "precision": contender.precision,
            "ours": contender.ours, "is_reference": contender.is_reference, "compares": contender.compares,
            "images_per_s": {"median": images / statistics.median(times), "min": images / max(times), "max": images / min(times)},
            "processor_ms": 1e3 * statistics.median(contender.processor_seconds) / images,
            "seconds": times, "peak_bytes": contender.peak_bytes()}
