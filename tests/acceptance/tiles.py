#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Tiles do not show. Where the halo is used whole (SRVGG) the picture is the untiled one, byte for
byte, on every backend. For RealESRGAN_x4plus, whose halo is larger than any tile, small tiles with
the default overlap: the PSNR to the untiled picture, and no step at the seams."""
import re
import sys

import numpy as np
from PIL import Image

from common import REAL, ROOT, SAMPLE, X4PLUS, Checks, need_data, pixels, psnr, upscale, workspace

SIDE = 64
LEAST_PSNR = 44.0
PICTURES = {"comic2.png": (10, 20), "oldphoto6.png": (60, 40)}
SIZE = (120, 110)
SCALE = 4


def default_overlap():
    header = (ROOT / "src/upscale/upscaler.h").read_text()
    return int(re.search(r"kDefaultOverlap = (\d+)", header)[1])


def seams(length, overlap):
    """Where a tile begins or ends to count, and the middle between: of the result, along one axis.
    Tiles are as few as reach, and of one size (tile/grid.cc)."""
    count = -(-(length - overlap) // SIDE)
    advance = -(-(length - overlap) // count)
    begins = [i * advance for i in range(1, count)]
    return [SCALE * (b + part) for b in begins for part in (0, overlap // 2, overlap)]


def steps_at(picture, axis, lines):
    """Mean difference between the pixels on both sides of lines across an axis."""
    step = abs(np.diff(picture.astype(np.float64), axis=axis)).mean((1 - axis, 2))
    return np.mean([step[line - 1] for line in lines])


def seam_ratio(tiled, whole, overlap):
    """The mean step across seams to that across the 24 lines around each, both against the untiled
    picture, so that edges in the picture itself do not count."""
    ratios = []
    for axis, length in ((1, SIZE[0]), (0, SIZE[1])):
        at = seams(length, overlap)
        if not at:
            continue
        around = [s + d for s in at for d in range(-14, 15) if abs(d) > 2]
        gain = lambda lines: steps_at(tiled, axis, lines) / steps_at(whole, axis, lines)
        ratios.append(gain(at) / gain(around))
    return np.mean(ratios)


def main():
    checks = Checks()
    with workspace() as folder:
        for backend, box in (("cpu", (170, 10, 320, 130)), ("reference", (220, 20, 300, 100))):
            source = folder / f"{backend}.png"
            Image.open(SAMPLE).crop(box).save(source)
            results = []
            for tile in (64, 0):
                results.append(folder / f"{backend}_{tile}.png")
                upscale(source, results[-1], "-b", backend, "-t", tile)
            tiled, whole = (np.asarray(Image.open(result)).astype(int) for result in results)
            most = {"cpu": 1, "reference": 0}[backend]  # Winograd's sums round as the tiles lie
            checks.check(abs(tiled - whole).max() <= most, f"{backend}: tiles of 64 are exact")
        if checks.failed:
            return checks.end()

        need_data(2 * len(PICTURES), X4PLUS, REAL)
        for name, (x, y) in PICTURES.items():
            source = folder / name
            Image.open(REAL / name).crop((x, y, x + SIZE[0], y + SIZE[1])).save(source)
            results = []
            for tile in (SIDE, 0):
                upscale(source, folder / f"{tile}_{name}", "-n", X4PLUS, "-t", tile)
                results.append(pixels(folder / f"{tile}_{name}"))
            tiled, whole = results
            figure, ratio = psnr(tiled, whole), seam_ratio(tiled, whole, default_overlap())
            checks.check(figure >= LEAST_PSNR, f"x4plus {name}: PSNR to untiled",
                         f"{figure:.2f} dB")
            checks.check(ratio <= 1.05, f"x4plus {name}: step across seams", f"{ratio:.3f}")
    return checks.end()


if __name__ == "__main__":
    sys.exit(main())
