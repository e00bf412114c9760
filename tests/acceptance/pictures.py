#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Every kind of PNG comes back as it went in: gray, gray+alpha, RGB, RGBA, 8 and 16 bit, four times
as large, with the values that PyTorch gives (tests/golden). Constant alpha stays constant; the same
command gives the same bytes; a JPEG's orientation is applied."""
import json
import struct
import sys

import numpy as np
from PIL import Image

from common import ROOT, SAMPLE, Checks, upscale, workspace
from png_file import read_png, write_png

def read_golden(name):
    content = (ROOT / f"tests/golden/{name}.safetensors").read_bytes()
    length = struct.unpack_from("<Q", content)[0]
    header = json.loads(content[8:8 + length])
    dtypes = {"U8": np.uint8, "I32": np.int32}
    tensors = {}
    for key in ("input", "picture"):
        begin, end = (8 + length + v for v in header[key]["data_offsets"])
        tensors[key] = np.frombuffer(content[begin:end], dtypes[header[key]["dtype"]]).reshape(
            header[key]["shape"])
    return tensors["input"], tensors["picture"]


def main():
    checks = Checks()
    with workspace() as folder:
        source, target = folder / "in.png", folder / "out.png"
        for name in ("default", "default_odd", "default_gray", "default_gray_alpha", "default_rgba",
                     "default_gray16", "default_rgb16", "default_rgba16"):
            picture, expected = read_golden(name)
            deep = picture.dtype != np.uint8
            write_png(source, picture.astype(np.uint16) if deep else picture)
            upscale(source, target, "--overwrite")
            made = read_png(target)
            same_kind = made.shape == expected.shape and made.itemsize == (2 if deep else 1)
            worst = abs(made.astype(int) - expected).max() if same_kind else -1
            # The network's result is held to 1e-4, which is 6.6 levels of 16 bit.
            checks.check(same_kind and worst <= (8 if deep else 1), name,
                         f"{made.shape} {made.dtype}, largest difference {worst}")

        picture, _ = read_golden("default_rgba")
        for value in (0, 128, 255):
            constant = picture.copy()
            constant[..., 3] = value
            write_png(source, constant)
            upscale(source, target, "--overwrite")
            made = read_png(target)
            checks.check(made.shape[2] == 4 and (made[..., 3] == value).all(),
                         f"alpha of {value} everywhere stays")

        again = folder / "again.png"
        upscale(source, again)
        checks.check(again.read_bytes() == target.read_bytes(), "the same command, the same bytes")

        for mode in ("RGB", "L"):
            small = Image.open(SAMPLE).convert(mode).crop((210, 20, 250, 50))
            small.save(folder / "in.jpg", quality=90)
            upscale(folder / "in.jpg", folder / "out.jpg", "--overwrite")
            made = Image.open(folder / "out.jpg")
            checks.check((made.format, made.mode, made.size) == ("JPEG", mode, (160, 120)),
                         f"JPEG in, JPEG out: {mode}", f"{made.format} {made.mode} {made.size}")
        exif = Image.Exif()
        exif[0x112] = 6  # turned by a quarter
        small.save(folder / "turned.jpg", quality=90, exif=exif)
        upscale(folder / "turned.jpg", folder / "upright.png")
        made = Image.open(folder / "upright.png")
        checks.check(made.size == (120, 160) and made.getexif().get(0x112, 1) == 1,
                     "a JPEG lying on its side is set upright", f"{made.size}")
    return checks.end()


if __name__ == "__main__":
    sys.exit(main())
