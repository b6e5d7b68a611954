"""MODEL.lfmw OUTPUT.pt: the network traced and frozen, for LibTorch."""

import sys

import torch

import torch_network
from weights import read_model

network = torch_network.build(*read_model(sys.argv[1])).to(memory_format=torch.channels_last)
example = torch.zeros(1, 3, 256, 256).contiguous(memory_format=torch.channels_last)
torch.jit.freeze(torch.jit.trace(network, example)).save(sys.argv[2])
