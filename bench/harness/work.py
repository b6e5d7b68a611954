"""How much arithmetic an image is, and the pixels that everybody is given."""

import pathlib
import random
import subprocess

CHANNELS = (3, 64, 128, 256, 512)

PHOTOS = """
import sys
from PIL import Image
size, count, output = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
photos = [Image.open(p).convert("RGB") for p in sys.argv[4:]]
with open(output, "wb") as file:
    for i in range(count):
        photo = photos[i % len(photos)]
        left, top = (7 * i) % max(1, photo.width // 4), (5 * i) % max(1, photo.height // 4)
        file.write(photo.crop((left, top, photo.width, photo.height)).resize((size, size), Image.BILINEAR).tobytes())
"""


def gflop_per_image(size, k=16):
    """Floating-point operations of one image as a direct convolution counts them (docs/METHOD.md, section 3), in 10^9."""
    side, operations = size // 2 * 2, 0
    for block in range(4):
        side -= 1
        operations += 2 * 4 * CHANNELS[block] * CHANNELS[block + 1] * side * side
        if block < 3:
            side //= 2
    return (operations + 2 * 512 * 64 * side * side + 2 * 64 * k) / 1e9


def compulsory_megabytes(model, batch, size):
    """What must come from memory at the least: the weights once per batch and the pixels."""
    return (pathlib.Path(model).stat().st_size + batch * size * size * 3) / 1e6


def write_pixels(python, photos, size, count, output):
    """count images [size][size][3] of crops of the photos; of noise where there are none, or no Pillow."""
    done = subprocess.run([python, "-c", PHOTOS, str(size), str(count), str(output), *map(str, photos)], capture_output=True)
    if done.returncode != 0:
        output.write_bytes(random.Random(1).randbytes(count * size * size * 3))
