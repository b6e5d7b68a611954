#!/usr/bin/env python3
"""The exported network against this program's: onnx_test.py PROGRAM WORK. Exit code 77, a skip, without ONNX Runtime or OpenVINO."""

import json
import pathlib
import subprocess
import sys

program, work = sys.argv[1], pathlib.Path(sys.argv[2])
try:
    import numpy
except ImportError:
    sys.exit(77)


def onnx_runtime(path):
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return lambda pixels: session.run(None, {"pixels": pixels})[0]


def openvino(path):
    import openvino

    compiled = openvino.Core().compile_model(path, "CPU")
    return lambda pixels: compiled({"pixels": pixels})["logits"]


def write_ppm(path, pixels):
    path.write_bytes(b"P6\n%d %d\n255\n" % (pixels.shape[1], pixels.shape[0]) + pixels.tobytes())


def logits_of(model, pictures):
    command = [program, "detect", "--device", "cpu", "--view", "native", "--model", model, "--format", "json", "-q", *pictures]
    return [record["logit"] for record in json.loads(subprocess.run(command, check=True, capture_output=True).stdout)]


random = numpy.random.default_rng(1)
work.mkdir(parents=True, exist_ok=True)
tried = 0
for make in (onnx_runtime, openvino):
    for model in sorted(work.glob("*.lfmw")):
        network = work / f"{model.stem}.onnx"
        subprocess.run([program, "convert", "--force", model, network], check=True, capture_output=True)
        try:
            run = make(network)
        except ImportError:
            print(f"{make.__name__} is not installed")
            break
        for batch, height, width in ((1, 256, 256), (3, 224, 224), (2, 71, 60), (1, 97, 130)):
            # Smooth noise: what a network sees of a picture, and no two positions alike.
            pixels = random.integers(0, 256, (batch, height, width, 3), dtype=numpy.uint8)
            pictures = []
            for i, picture in enumerate(pixels):
                pictures.append(work / f"{i}.ppm")
                write_ppm(pictures[-1], picture)
            expected = logits_of(model, pictures)
            got = run(pixels)
            assert got.shape == (batch,), got.shape
            for ours, theirs in zip(expected, got):
                assert abs(ours - theirs) <= 2e-4 * max(1, abs(ours)), (make.__name__, model.name, height, width, ours, float(theirs))
            tried += 1
print(f"{tried} batches agree")
sys.exit(0 if tried else 77)
