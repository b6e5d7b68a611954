"""OUTPUT WIDTH HEIGHT COUNT PHOTO...: JPEG files of crops of the photos, at the qualities cameras and the web use."""

import pathlib
import sys

from PIL import Image

output = pathlib.Path(sys.argv[1])
width, height, count = map(int, sys.argv[2:5])
images = [Image.open(path).convert("RGB") for path in sys.argv[5:]]
for i in range(count):
    path = output / f"{i:03}.jpg"
    if not path.exists():
        image = images[i % len(images)]
        left, top = 3 * i % (image.width // 8), 5 * i % (image.height // 8)
        crop = image.crop((left, top, image.width, image.height)).resize((width, height), Image.BICUBIC)
        crop.save(path, quality=75 + 5 * (i % 5))
