"""PyTorch on a GPU, driven by tools/gpu/acceptance: a task a line of its input, an answer a line of output, both JSON.

A task names one of the phases below. Outputs are compared before anything is timed. Inputs lie on the device,
normalised and channels last: more than lfm-cuda bench is given. Batches of other pixels take turns, so that no input is
found in the cache. Times are CUDA events'.
"""

import argparse
import json
import sys
import time

import numpy as np
import torch

import torch_network
from weights import read_model

DTYPES = {"fp32": torch.float32, "tf32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
SAMPLE_SECONDS = 0.05  # of one sample, at least: many calls at batch 1


def say(**answer):
    print(json.dumps(answer), flush=True)


def choose(precision):
    tf32 = precision == "tf32"
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = tf32


class Clock:
    def __init__(self, device):
        self.cuda = device == "cuda"

    def seconds(self, work, calls):
        if not self.cuda:
            begin = time.perf_counter()
            for _ in range(calls):
                work()
            return (time.perf_counter() - begin) / calls
        begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        begin.record()
        for _ in range(calls):
            work()
        end.record()
        end.synchronize()
        return begin.elapsed_time(end) / 1e3 / calls

    def spread(self, work, samples):
        """Milliseconds of a call: median, 10th and 90th percentile, of samples of so many calls that each lasts."""
        for _ in range(3):  # cuDNN tries its algorithms, the allocator its sizes
            self.seconds(work, 2)
        calls = max(1, min(500, round(SAMPLE_SECONDS / max(1e-6, self.seconds(work, 2)))))
        times = sorted(1e3 * self.seconds(work, calls) for _ in range(samples))
        at = lambda share: times[min(len(times) - 1, round(share * (len(times) - 1)))]  # noqa: E731
        return {
            "milliseconds": {"median": at(0.5), "p10": at(0.1), "p90": at(0.9), "least": times[0]},
            "samples": samples,
        }


class Peer:
    def __init__(self, device):
        self.device, self.clock, self.task = device, Clock(device), None
        self.networks = {}
        torch.backends.cudnn.benchmark = True

    def take(self, task):
        if self.task is None or {**self.task, "phase": ""} != {**task, "phase": ""}:
            self.header, self.tensors = read_model(task["model"])
            shape = (task["images"], task["size"], task["size"], 3)
            pixels = np.fromfile(task["pixels"], np.uint8, int(np.prod(shape))).reshape(shape)
            self.pixels = torch.from_numpy(pixels).to(self.device)
        self.task = task
        say(task=task["phase"], torch=torch.__version__, cudnn=torch.backends.cudnn.version())
        getattr(self, task["phase"])()
        say(done=task["phase"])

    def input(self, precision, first, count):
        """Images from `first` on, around the end if need be."""
        places = torch.arange(first, first + count, device=self.device) % self.pixels.shape[0]
        x = self.pixels[places].permute(0, 3, 1, 2).float() / 255
        mean, std = (torch.tensor(values, device=self.device).view(1, 3, 1, 1) for values in (MEAN, STD))
        return ((x - mean) / std).to(dtype=DTYPES[precision], memory_format=torch.channels_last)

    def inputs(self, precision, batch):
        """So many batches that what came first has left the cache when it comes again."""
        size = self.task["size"]
        cache = torch.cuda.get_device_properties(0).L2_cache_size if self.clock.cuda else 0
        each = batch * 3 * size * size * torch.finfo(DTYPES[precision]).bits // 8
        return [self.input(precision, i * batch, batch) for i in range(max(2, min(512, 2 * cache // each + 1)))]

    def network(self, precision):
        choose(precision)
        if precision not in self.networks:
            network = torch_network.build(self.header, self.tensors)
            self.networks[precision] = network.to(
                device=self.device, dtype=DTYPES[precision], memory_format=torch.channels_last
            )
        return self.networks[precision]

    def compare(self, peer, precision, network):
        """Whether its logits are those that lfm-cuda computed in the same precision."""
        with open(self.task["expected"]) as file:
            want = torch.tensor(json.load(file)[precision])
        with torch.no_grad():
            got = network(self.input(precision, 0, len(want))).float().cpu()
        worst = ((got - want).abs() / want.abs().clamp(min=1)).max().item()
        good = worst <= self.task["tolerance"][precision]
        say(agrees=good, peer=peer, precision=precision, deviation=worst, good=good)
        return good

    def time(self, peer, precision, batch, network):
        inputs, turn = self.inputs(precision, batch), 0

        def work():
            nonlocal turn
            turn = (turn + 1) % len(inputs)
            network(inputs[turn])

        with torch.no_grad():
            spread = self.clock.spread(work, self.task["samples"])
        say(
            peer=peer,
            precision=precision,
            batch=batch,
            size=self.task["size"],
            **spread,
            images_per_second=1e3 * batch / spread["milliseconds"]["median"],
        )

    # The phases.

    def agree(self):
        differ = [p for p in self.task["precisions"] if not self.compare("PyTorch, eager", p, self.network(p))]
        choose("fp32")
        network = torch_network.build(self.header, self.tensors).to(self.device).to(memory_format=torch.channels_last)
        with torch.no_grad():  # LibTorch's program takes it from here
            torch.jit.trace(network, self.input("fp32", 0, 2)).save(self.task["script"])
        if differ:
            say(fault="PyTorch's logits differ from lfm-cuda's in " + ", ".join(differ))

    def eager(self):
        for batch in self.task["batches"]:
            for precision in self.task["precisions"]:
                self.time("PyTorch, eager", precision, batch, self.network(precision))

    def compiled(self):
        torch._dynamo.config.cache_size_limit = 64  # a batch and a precision each
        for batch in self.task["batches"]:
            for precision in self.task["precisions"]:
                # With CUDA graphs, as PyTorch's guide has it for small batches; they copy their input, which large ones
                # need not.
                graphs = self.clock.cuda and batch < 64
                network = torch.compile(
                    self.network(precision), mode="reduce-overhead" if graphs else None, dynamic=False
                )
                if batch == self.task["batches"][0] and not self.compare("PyTorch, compiled", precision, network):
                    continue
                begin = time.perf_counter()
                with torch.no_grad():
                    network(self.input(precision, 0, batch))
                say(
                    peer="PyTorch, compiled",
                    precision=precision,
                    batch=batch,
                    compile_seconds=time.perf_counter() - begin,
                )
                self.time("PyTorch, compiled", precision, batch, network)

    def training(self):
        """A step: forward with both branches, backward, Adam. BF16 by autocast, as PyTorch's users have it."""
        size = self.task["training_size"]
        for batch in self.task["training_batches"]:
            for precision in [p for p in self.task["precisions"] if p != "fp16"]:
                choose(precision)
                network = (
                    torch_network.Network(self.header["architecture"]["k"])
                    .to(self.device)
                    .to(memory_format=torch.channels_last)
                    .train()
                )
                optimizer = torch.optim.Adam(network.parameters(), lr=1e-4, fused=self.clock.cuda)
                inputs = [
                    torch.randn(batch, 3, size, size, device=self.device).contiguous(memory_format=torch.channels_last)
                    for _ in range(2)
                ]
                labels, turn = (torch.arange(batch, device=self.device) % 2).float(), 0

                def step():
                    nonlocal turn
                    turn = 1 - turn
                    optimizer.zero_grad(set_to_none=True)
                    with torch.autocast(self.device, torch.bfloat16, enabled=precision == "bf16"):
                        loss = torch_network.training_loss(network, inputs[turn], labels)
                    loss.backward()
                    optimizer.step()

                spread = self.clock.spread(step, self.task["samples"])
                say(
                    peer="PyTorch, eager",
                    precision=precision,
                    batch=batch,
                    size=size,
                    **spread,
                    images_per_second=1e3 * batch / spread["milliseconds"]["median"],
                )


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=["cuda", "cpu"], default="cuda")
    peer = Peer(parser.parse_args().device)
    for line in sys.stdin:
        try:
            if peer.device == "cuda" and not torch.cuda.is_available():
                raise RuntimeError("PyTorch sees no GPU")
            peer.take(json.loads(line))
        except Exception as error:  # the next phase may still do
            say(fault=f"{type(error).__name__}: {error}".split("\n")[0])
    return 0


if __name__ == "__main__":
    sys.exit(main())
