"""PyTorch on the GPU, timed by CUDA events: the whole network, and its four convolutions alone, which are cuDNN's there. Channels last, cuDNN
left to choose its algorithm; inputs already on the device and normalised, which is more than lfm-cuda bench is given. Weights are random."""

import argparse

import torch
from torch.nn import functional as F

import torch_network


def milliseconds(work, iterations):
    """The fastest of five rounds, each of `iterations` calls after as many to warm up."""
    for _ in range(iterations):
        work()
    fastest = float("inf")
    for _ in range(5):
        start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        start.record()
        for _ in range(iterations):
            work()
        end.record()
        end.synchronize()
        fastest = min(fastest, start.elapsed_time(end) / iterations)
    return fastest


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 16, 64, 256])
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--iterations", type=int, default=10)
    options = parser.parse_args()
    if not torch.cuda.is_available():
        raise SystemExit("PyTorch sees no GPU")
    torch.backends.cudnn.benchmark = True
    torch.set_grad_enabled(False)
    print(f"PyTorch {torch.__version__}, cuDNN {torch.backends.cudnn.version()}, {torch.cuda.get_device_name()}")
    for name, dtype, tf32 in (("fp32", torch.float32, False), ("tf32", torch.float32, True), ("fp16", torch.float16, False),
                              ("bf16", torch.bfloat16, False)):
        torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = tf32
        network = torch_network.Network().eval().cuda().to(dtype=dtype, memory_format=torch.channels_last)
        for batch in options.batches:
            x = torch.rand(batch, 3, options.size, options.size, device="cuda").to(dtype=dtype, memory_format=torch.channels_last)
            whole = milliseconds(lambda: network(x), options.iterations)
            parts, y = [], torch_network.residual(x)
            for block in network.blocks:
                convolution = block[0]
                parts.append(milliseconds(lambda: F.conv2d(y, convolution.weight, convolution.bias), options.iterations))
                y = block(y)
            layers = ", ".join(f"{part:.3f}" for part in parts)
            print(f"{name} batch {batch}: {batch / whole * 1e3:.1f} images/s, {whole:.3f} ms; convolutions alone {layers} ms")


if __name__ == "__main__":
    main()
