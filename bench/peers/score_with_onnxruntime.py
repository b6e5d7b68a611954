"""MODEL.onnx IMAGE: the score of one image with as little Python as possible."""

import json
import math
import sys

import numpy as np
import onnxruntime
from PIL import Image

session = onnxruntime.InferenceSession(sys.argv[1], providers=["CPUExecutionProvider"])
pixels = np.asarray(Image.open(sys.argv[2]).convert("RGB").resize((256, 256), Image.BILINEAR), np.float32)
mean, std = np.float32([0.485, 0.456, 0.406]), np.float32([0.229, 0.224, 0.225])
x = np.ascontiguousarray(((pixels / 255 - mean) / std).transpose(2, 0, 1))[None]
logit = float(session.run(["logits"], {"pixels": x})[0][0])
print(json.dumps({"logit": logit, "score": 1 / (1 + math.exp(-logit))}))
