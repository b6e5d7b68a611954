"""Image files to scores with Pillow and a peer, driven by bench/compare (protocol: bench/harness/contender.py).

reference     one image at a time: Pillow, PyTorch eager, as the published evaluation does
onnxruntime   the best we could write: as many threads as cores, each decodes, resizes and scores its own image (Pillow and ONNX
              Runtime both release the interpreter's lock), one thread inside each run
decode        Pillow alone: decode and resize
"""

import argparse
import json
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from PIL import Image

from network_worker import MEAN, STD, serve
from weights import read_model

SIZE = 256


def view(path):
    return Image.open(path).convert("RGB").resize((SIZE, SIZE), Image.BILINEAR)


def network_input(path):
    pixels = np.asarray(view(path), np.float32)
    return np.ascontiguousarray(((pixels / 255 - MEAN) / STD).transpose(2, 0, 1))[None]


def reference(options):
    import torch

    import torch_network

    torch.set_num_threads(options.threads)
    torch.set_grad_enabled(False)
    network = torch_network.build(*read_model(options.model))
    return lambda: [float(network(torch.from_numpy(network_input(path)))) for path in options.files]


def onnxruntime(options):
    import onnxruntime as ort

    import onnx_network

    settings = ort.SessionOptions()
    settings.intra_op_num_threads = settings.inter_op_num_threads = 1
    session = ort.InferenceSession(onnx_network.build(*read_model(options.model), 1, SIZE, SIZE), settings,
                                   providers=["CPUExecutionProvider"])
    pool = ThreadPoolExecutor(options.threads)
    score = lambda path: float(session.run(["logits"], {"pixels": network_input(path)})[0][0])
    return lambda: list(pool.map(score, options.files))


def decode(options):
    if options.threads == 1:
        return lambda: [view(path) and None for path in options.files]
    pool = ThreadPoolExecutor(options.threads)
    return lambda: [None for _ in pool.map(view, options.files)]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("pipeline", choices=["reference", "onnxruntime", "decode"])
    parser.add_argument("--model", required=True)
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("files", nargs="+")
    options = parser.parse_args()
    try:
        run_once = {"reference": reference, "onnxruntime": onnxruntime, "decode": decode}[options.pipeline](options)
        logits = run_once()
    except Exception as error:  # told to bench/compare, which goes on without this peer
        print(json.dumps({"error": f"{type(error).__name__}: {error}".split("\n")[0]}), flush=True)
        return 1
    print(json.dumps({"description": options.pipeline} | ({} if logits[0] is None else {"logits": logits})), flush=True)
    serve(run_once)
    return 0


if __name__ == "__main__":
    sys.exit(main())
