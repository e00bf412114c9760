#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""crop.py DATA FOLDER: the three 512x512 crops that fidelity is measured on, as PPM."""
import sys
from pathlib import Path

from PIL import Image

CROPS = {  # name: file, left, top
    "grass": ("images/corrupt/junk_jpeg_header.jpg", 256, 200),
    "bicycles": ("images/jpeg/jxl_bicycles_restarts.jpg", 256, 60),
    "houses": ("sr-sets/golden-rrdb/netherlands_RealESRGAN_x4plus.png", 400, 300),
}
SIDE = 512

data, folder = map(Path, sys.argv[1:])
folder.mkdir(parents=True, exist_ok=True)
for name, (file, left, top) in CROPS.items():
    with Image.open(data / file) as picture:
        crop = picture.convert("RGB").crop((left, top, left + SIDE, top + SIDE))
    crop.save(folder / f"{name}.ppm")
