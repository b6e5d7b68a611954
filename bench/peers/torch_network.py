"""The network in PyTorch, as a user of the reference would write it: input [n][3][h][w] float, normalised."""

import torch
from torch import nn
from torch.nn import functional as F

CHANNELS = (3, 64, 128, 256, 512)
BLOCKS = 4


def residual(x):
    """NPR: what differs from the top-left pixel of each 2x2 cell; an odd last row or column is dropped."""
    x = x[:, :, : x.shape[2] // 2 * 2, : x.shape[3] // 2 * 2]
    return (x - F.interpolate(x[:, :, ::2, ::2], scale_factor=2.0, mode="nearest")).abs()


class Network(nn.Module):
    def __init__(self, k=16):
        super().__init__()
        self.k = k
        self.blocks = nn.ModuleList()
        for block in range(BLOCKS):
            layers = [nn.Conv2d(CHANNELS[block], CHANNELS[block + 1], 2), nn.BatchNorm2d(CHANNELS[block + 1]), nn.ReLU(inplace=True)]
            if block < BLOCKS - 1:
                layers.append(nn.MaxPool2d(2))
            self.blocks.append(nn.Sequential(*layers))
        self.projection = nn.Conv2d(512, 64, 1, bias=False)
        self.head = nn.Linear(64 * k, 1)

    def maps(self, x):
        x = residual(x)
        for block in self.blocks:
            x = block(x)
        return self.projection(x).flatten(2)

    def forward(self, x):
        values = torch.topk(self.maps(x), self.k, dim=2).values
        return self.head(values.flatten(1)).squeeze(1)


def training_loss(network, x, labels, alpha=0.1, p_min=0.1, p_max=0.3):
    """BCE of the branch with ranked dropout plus alpha times that of the randomly drawn branch (docs/METHOD.md, sections 4 and 5)."""
    maps = network.maps(x)
    k = network.k
    drop = torch.linspace(p_max, p_min, k, device=maps.device)
    keep = (torch.rand(maps.shape[0], maps.shape[1], k, device=maps.device) >= drop) / (1 - drop.mean())
    top = torch.topk(maps, k, dim=2).values * keep
    places = torch.rand(maps.shape, device=maps.device).topk(k, dim=2).indices
    drawn = maps.gather(2, places).sort(dim=2, descending=True).values
    loss_a, loss_b = (
        F.binary_cross_entropy_with_logits(network.head(values.flatten(1)).squeeze(1), labels) for values in (top, drawn)
    )
    return loss_a + alpha * loss_b


def build(header, tensors):
    """The network with a model file's parameters, in evaluation mode."""
    if header["architecture"]["pooling"] != "topk":
        raise SystemExit("the peers' network has top-k pooling; give a model with it")
    network = Network(header["architecture"]["k"])
    state = {"projection.weight": tensors["projection.weight"], "head.weight": tensors["head.weight"], "head.bias": tensors["head.bias"]}
    for block in range(BLOCKS):
        ours, theirs = f"block{block + 1}", f"blocks.{block}"
        for name in ("weight", "bias"):
            state[f"{theirs}.0.{name}"] = tensors[f"{ours}.conv.{name}"]
        for name, mine in (("weight", "scale"), ("bias", "shift"), ("running_mean", "running_mean"), ("running_var", "running_var")):
            state[f"{theirs}.1.{name}"] = tensors[f"{ours}.norm.{mine}"]
    network.load_state_dict({name: torch.from_numpy(value.copy()) for name, value in state.items()}, strict=False)
    return network.eval()
