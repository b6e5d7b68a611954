"""MODEL.lfmw IMAGE: the score of one image, as a user of PyTorch would write it."""

import json
import sys

import numpy as np
import torch
from PIL import Image

import torch_network
from weights import read_model

network = torch_network.build(*read_model(sys.argv[1]))
pixels = torch.from_numpy(np.array(Image.open(sys.argv[2]).convert("RGB").resize((256, 256), Image.BILINEAR)))
mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
with torch.no_grad():
    logit = network(((pixels / 255 - mean) / std).permute(2, 0, 1)[None])
print(json.dumps({"logit": logit.item(), "score": logit.sigmoid().item()}))
