"""Reads a .lfmw file (src/model/container.h) with nothing but NumPy: the peers' network is built from it."""

import json
import struct

import numpy as np

MAGIC = b"\x89LFMW\r\n\x1a"
PREFIX = 64  # bytes before the JSON header
DTYPES = {"F32": "<f4", "U64": "<u8", "U8": "u1"}


def read_model(path):
    """(header, {name: array}) of a model file."""
    with open(path, "rb") as file:
        data = file.read()
    if not data.startswith(MAGIC):
        raise SystemExit(f"{path}: not an .lfmw file; lfm-cuda convert makes one")
    (version,) = struct.unpack_from("<I", data, 8)
    (json_size,) = struct.unpack_from("<Q", data, 24)
    if version != 1:
        raise SystemExit(f"{path}: format version {version}; this script reads version 1")
    header = json.loads(data[PREFIX : PREFIX + json_size])
    tensors = {}
    for entry in header["tensors"]:
        count = int(np.prod(entry["shape"], dtype=np.int64))
        values = np.frombuffer(data, DTYPES[entry["type"]], count, entry["offset"])
        tensors[entry["name"]] = values.reshape(entry["shape"])
    return header, tensors
