"""One peer at one batch, size and number of threads, driven by bench/compare (protocol: bench/harness/contender.py).

The peers are handed float32 [n][3][h][w], already normalised, outside the time that is measured: more than they get in use.
"""

import argparse
import json
import resource
import sys
import time

import numpy as np

from weights import read_model

MEAN = np.float32([0.485, 0.456, 0.406])
STD = np.float32([0.229, 0.224, 0.225])


def normalised(path, n, size):
    pixels = np.fromfile(path, np.uint8, n * size * size * 3).reshape(n, size, size, 3)
    return np.ascontiguousarray(((pixels.astype(np.float32) / 255 - MEAN) / STD).transpose(0, 3, 1, 2))


def torch_infer(peer, header, tensors, x, threads):
    import torch

    import torch_network

    torch.set_num_threads(threads)
    torch.set_grad_enabled(False)
    network, x = torch_network.build(header, tensors), torch.from_numpy(x)
    if peer != "torch-eager":
        network, x = network.to(memory_format=torch.channels_last), x.contiguous(memory_format=torch.channels_last)
    if peer == "torchscript":
        network = torch.jit.optimize_for_inference(torch.jit.freeze(torch.jit.trace(network, x)))
    if peer == "torch-compile":
        network = torch.compile(network, mode="max-autotune-no-cudagraphs")
    if peer == "torchscript":
        for _ in range(3):  # its profiling executor specialises on the first runs
            network(x)
    return lambda: network(x).numpy(), f"PyTorch {torch.__version__.split('+')[0]}"


def torch_train(peer, header, tensors, x, threads):
    import torch

    import torch_network

    torch.set_num_threads(threads)
    network, x = torch_network.build(header, tensors).train(), torch.from_numpy(x)
    if peer != "torch-eager":
        network, x = network.to(memory_format=torch.channels_last), x.contiguous(memory_format=torch.channels_last)
    labels = torch.arange(x.shape[0]) % 2 == 1
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-4)
    loss_of = torch.compile(torch_network.training_loss) if peer == "torch-compile" else torch_network.training_loss

    def step():
        optimizer.zero_grad(set_to_none=True)
        loss_of(network, x, labels.float()).backward()
        optimizer.step()

    return step, f"PyTorch {torch.__version__.split('+')[0]}"


def onnxruntime_infer(peer, header, tensors, x, threads):
    import onnxruntime

    import onnx_network

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    model = onnx_network.build(header, tensors, x.shape[0], *x.shape[2:])
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    return lambda: session.run(["logits"], {"pixels": x})[0], f"ONNX Runtime {onnxruntime.__version__}"


def openvino_infer(peer, header, tensors, x, threads):
    import openvino

    import onnx_network

    core = openvino.Core()
    if peer == "openvino-bf16" and "BF16" not in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        raise RuntimeError("this CPU has no BF16 arithmetic")
    model = core.read_model(onnx_network.build(header, tensors, x.shape[0], *x.shape[2:]))
    compiled = core.compile_model(model, "CPU", {
        "INFERENCE_NUM_THREADS": threads,
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_PRECISION_HINT": "bf16" if peer == "openvino-bf16" else "f32",
    })
    request = compiled.create_infer_request()
    return lambda: request.infer({0: x})[0], f"OpenVINO {openvino.__version__.split('-')[0]}"


def serve(run_once):
    for line in sys.stdin:
        if line.startswith("run "):
            begin, processor_begin = time.perf_counter(), time.process_time()
            for _ in range(int(line[4:])):
                run_once()
            answer = {"seconds": time.perf_counter() - begin, "processor_seconds": time.process_time() - processor_begin}
        else:
            answer = {"peak_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024}
        print(json.dumps(answer), flush=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("peer")
    parser.add_argument("--model", required=True)
    parser.add_argument("--input", required=True)
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--batch", type=int, required=True)
    parser.add_argument("--size", type=int, required=True)
    parser.add_argument("--train", action="store_true")
    options = parser.parse_args()
    try:
        header, tensors = read_model(options.model)
        x = normalised(options.input, options.batch, options.size)
        kind = options.peer.split("-")[0]
        make = torch_train if options.train else {"onnxruntime": onnxruntime_infer, "openvino": openvino_infer}.get(kind, torch_infer)
        run_once, description = make(options.peer, header, tensors, x, options.threads)
        first = run_once()
    except Exception as error:  # told to bench/compare, which goes on without this peer
        print(json.dumps({"error": f"{type(error).__name__}: {error}".split("\n")[0]}), flush=True)
        return 1
    ready = {"description": description}
    if not options.train:
        ready["logits"] = [float(value) for value in first]
    print(json.dumps(ready), flush=True)
    serve(run_once)
    return 0


if __name__ == "__main__":
    sys.exit(main())
