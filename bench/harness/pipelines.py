"""From files: decoding alone, JPEG files to scores, and the cold start of one image."""

import json
import os
import pathlib
import subprocess
import time

from harness import machine
from harness.contender import Contender, ContenderError, check_logits, row, time_in_turn

PEERS = pathlib.Path(__file__).resolve().parent.parent / "peers"
TOLERANCE = {"fp32": 2e-4}
CORPORA = {"500 × 375": (500, 375, 48), "4000 × 3000 (12 megapixels)": (4000, 3000, 6)}
SMOKE_CORPORA = {"200 × 150": (200, 150, 3)}


class Command(Contender):
    """A contender whose repetition is a whole process, from its start to its end; it prints a JSON line with "logit" per image."""

    def start(self, threads, timeout=600):
        self.environment = dict(os.environ, **self.environment)
        self.peak = self.processor = 0
        self.ready = {"description": self.name, "logits": [json.loads(line)["logit"] for line in self.run().splitlines()]}

    def run(self):
        process = subprocess.Popen(self.command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=self.environment)
        output, errors = process.stdout.read(), process.stderr.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        process.stdout.close()
        process.stderr.close()
        if process.returncode != 0:
            raise ContenderError(f"{self.name}: {(errors.strip().splitlines() or ['failed'])[-1]}")
        self.peak = max(self.peak, usage.ru_maxrss * 1024)
        self.processor += usage.ru_utime + usage.ru_stime
        return output

    def seconds(self, repetitions):
        begin, self.processor = time.perf_counter(), 0
        for _ in range(repetitions):
            self.run()
        self.processor_seconds.append(self.processor / repetitions)
        return (time.perf_counter() - begin) / repetitions

    def peak_bytes(self):
        return self.peak

    def stop(self):
        pass


def detect_contenders(options, threads, files, name):
    """lfm-cuda detect as the peers see the files, resized to 256 x 256; and as its users get it, in the view of the weights, whatever that is:
    the other view may be of more pixels, and gives other logits."""
    command = [str(options.build / "bin/lfm-cuda"), "detect", "--model", str(options.model), "--device", options.device,
               "--threads", str(threads), "--format", "jsonl", "--quiet"]
    return [Command(f"{name}, --view resize", [*command, "--view", "resize", *files], ours=True),
            Command(f"{name}, the weights' own view", [*command, *files], ours=True, compares=False)]


def corpus(options, width, height, count):
    """JPEG files of that size made from bench/photos; those themselves where there is no Pillow to make them."""
    folder = options.output / f"jpeg-{width}x{height}"
    folder.mkdir(parents=True, exist_ok=True)
    if options.has_peers:
        subprocess.run([str(options.python), str(PEERS / "write_jpegs.py"), str(folder), str(width), str(height), str(count),
                        *map(str, options.photos)], check=True)
        return [str(path) for path in sorted(folder.glob("*.jpg"))][:count]
    return [str(path) for path in options.photos][:count]


def run_together(options, title, contenders, images):
    """One table of contenders that go through the same files."""
    running = []
    print(title)
    try:
        for contender in contenders:
            try:
                contender.start(machine.cores())
                running.append(contender)
            except (ContenderError, OSError) as error:
                print(f"  {contender.name}: skipped ({error})")
                if contender.ours:
                    raise ContenderError(str(error)) from error
        if all("logits" in contender.ready for contender in running):
            check_logits(running, TOLERANCE)
        times = time_in_turn(running, options.rounds, options.seconds)
        rows = []
        for contender in running:
            rows.append(row(contender, images, times[contender.name]))
            rate = rows[-1]["images_per_s"]
            print(f"  {contender.name:44} {rate['median']:8.2f} images/s (min {rate['min']:.2f})")
        return {"title": title, "rows": rows}
    finally:
        for contender in running:
            contender.stop()


def files(options):
    threads = machine.cores()
    tables = []
    for name, (width, height, count) in (SMOKE_CORPORA if options.smoke else CORPORA).items():
        paths = corpus(options, width, height, count)
        name = name if options.has_peers else "photos as they are"
        worker = [str(options.python), str(PEERS / "files_worker.py")]
        common = ["--model", str(options.model), "--threads", str(threads), *paths]
        scoring = detect_contenders(options, threads, paths, "lfm-cuda detect, start of the process included")
        decoding = [Contender("lfm", [str(options.build / "bin/lfm-bench"), "worker", "--threads", str(threads), "--decode", *paths], ours=True)]
        if options.has_peers:
            scoring += [Contender("Pillow + PyTorch, one image at a time", [*worker, "reference", *common], is_reference=True),
                        Contender("Pillow + ONNX Runtime, an image per thread", [*worker, "onnxruntime", *common])]
            decoding += [Contender("Pillow, one image at a time", [*worker, "decode", *common[:2], "--threads", "1", *paths], is_reference=True),
                         Contender("Pillow, an image per thread", [*worker, "decode", *common])]
        tables.append(run_together(options, f"{name}: files to scores, {threads} threads", scoring, len(paths)))
        tables.append(run_together(options, f"{name}: decode and resize alone, {threads} threads", decoding, len(paths)))
    return tables


def cold_start(options):
    """From the start of the process to the score of one 500 x 375 JPEG."""
    path = corpus(options, *(SMOKE_CORPORA["200 × 150"] if options.smoke else CORPORA["500 × 375"]))[0]
    contenders = detect_contenders(options, machine.cores(), [path], "lfm-cuda detect")
    if options.has_peers:
        onnx = options.output / "model.onnx"
        subprocess.run([str(options.python), str(PEERS / "onnx_network.py"), str(options.model), str(onnx)], check=True)
        contenders += [
            Command("Python with PyTorch", [str(options.python), str(PEERS / "score_with_torch.py"), str(options.model), path],
                    is_reference=True),
            Command("Python with ONNX Runtime", [str(options.python), str(PEERS / "score_with_onnxruntime.py"), str(onnx), path]),
        ]
    return [run_together(options, "one 500 × 375 JPEG, process start to score", contenders, 1)]
