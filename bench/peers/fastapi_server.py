"""MODEL.onnx PORT THREADS: the model of `lfm-cuda convert OUT.onnx` behind what people write to serve a network: FastAPI,
uvicorn, Pillow and ONNX Runtime. POST /v1/detect, a picture as the body."""

import io
import math
import sys

import numpy as np
import onnxruntime
import uvicorn
from fastapi import FastAPI, Request
from PIL import Image
from starlette.concurrency import run_in_threadpool

options = onnxruntime.SessionOptions()
options.intra_op_num_threads = int(sys.argv[3])
session = onnxruntime.InferenceSession(sys.argv[1], options, providers=["CPUExecutionProvider"])
app = FastAPI()


def score(picture):
    image = Image.open(io.BytesIO(picture)).convert("RGB")
    pixels = np.asarray(image.resize((256, 256), Image.BILINEAR))[None]
    logit = float(session.run(["logits"], {"pixels": pixels})[0][0])
    return [{"logit": logit, "score": 1 / (1 + math.exp(-logit)), "width": image.width, "height": image.height}]


@app.post("/v1/detect")
async def detect(request: Request):
    return await run_in_threadpool(score, await request.body())


if __name__ == "__main__":
    uvicorn.run(app, port=int(sys.argv[2]), log_level="warning", access_log=False)
